//! Eight processes on one key, each as often as it can: this program again, as a child.

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use agent_runner_lock::LockDir;
use rustix::fs::FlockOperation;

use super::report;

const FOLDER: &str = "AGENT_RUNNER_LOCK_BENCH_FOLDER";
const KIND: &str = "AGENT_RUNNER_LOCK_BENCH_KIND";
const SPAN: &str = "AGENT_RUNNER_LOCK_BENCH_MILLIS";

/// How the children acquire the lock: as we do, or by nothing but the kernel's lock.
const OURS: &str = "ours";
const PLAIN: &str = "plain";

pub(crate) fn measure(folder: &Path, span: Duration) {
    let ours = per_second(OURS, folder, span);
    let plain = per_second(PLAIN, folder, span);
    let against = "plain flock, without record or token";
    report("8 processes on one key", ours, plain, "acquisitions/s", "", against);
}

/// How often a second eight processes together have the lock.
fn per_second(kind: &str, folder: &Path, span: Duration) -> f64 {
    let start = |_| {
        let mut child = Command::new(env::current_exe().expect("it runs"))
            .env(FOLDER, folder)
            .env(KIND, kind)
            .env(SPAN, span.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        (child, answers)
    };
    let mut children: Vec<_> = (0..8).map(start).collect();
    let line = |answers: &mut BufReader<_>| {
        let mut line = String::new();
        answers.read_line(&mut line).expect("it speaks");
        line
    };
    for (_, answers) in &mut children {
        assert_eq!(line(answers), "ready\n");
    }
    for (child, _) in &mut children {
        drop(child.stdin.take());
    }
    let mut total = 0;
    for (child, answers) in &mut children {
        total += line(answers).trim().parse::<u32>().expect("a number");
        Child::wait(child).expect("it ends");
    }
    f64::from(total) / span.as_secs_f64()
}

pub(crate) fn is_child() -> bool {
    env::var_os(KIND).is_some()
}

/// Says that it is ready, waits for the end of its input, and says how often it had the lock.
pub(crate) fn child() {
    let folder = env::var_os(FOLDER).expect("it is set");
    let span = env::var(SPAN).expect("it is set").parse().expect("a number");
    let span = Duration::from_millis(span);
    let folder = Path::new(&folder).join("contended");
    let dir = LockDir::open(&folder).expect("a lock folder");
    let plain = folder.join("plain");
    let is_ours = env::var(KIND).expect("it is set") == OURS;
    println!("ready");
    io::stdout().flush().expect("somebody listens");
    io::stdin().read_to_end(&mut Vec::new()).expect("it ends");

    let had_it = || {
        if is_ours {
            return dir.try_acquire("42").expect("it works").acquired().is_some();
        }
        let file = std::fs::File::create(&plain).expect("it can be opened");
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
    };
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < span {
        count += u32::from(had_it());
    }
    println!("{count}");
}
