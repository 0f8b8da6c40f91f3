//! Many processes that claim resources which overlap, killed at random, judged from outside.
//!
//! The harness counts a claim from when it read `OK` until before it sends `R` or kills the holder,
//! so that two in conflict which it sees at once really were. `AGENT_RUNNER_TORTURE_SECS` makes it
//! last longer than its few seconds.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdin, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use agent_runner_lock::{AcquireAll, LockDir, LockState, Resource, ResourceLock};

use crate::torture::{Random, duration, spin};

const FOLDER: &str = "AGENT_RUNNER_LOCK_TEST_CLAIMS";
const CARELESS: &str = "AGENT_RUNNER_LOCK_TEST_CARELESS";

/// What there is to claim. Some get along, most do not.
const RESOURCES: &[&str] = &[
    "paths:src/a",
    "paths:src/a/*.rs",
    "paths:src/b/**",
    "paths:**/*.md",
    "paths:docs/*.md",
    "shared:paths:src",
    "shared:paths:docs",
    "shared:paths:src/{a,b}/x.rs",
    "db",
    "shared:db",
    "shared:db",
];

/// A child that claims what it is told to.
struct Agent {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStderr>,
}

impl Agent {
    fn start(folder: &Path, careless: bool) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "claims_torture::an_agent_claims", "--nocapture"])
            .env(FOLDER, folder)
            .env(CARELESS, careless.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stderr.take().unwrap());
        Self { child, requests, answers }
    }

    fn send(&mut self, request: &str) {
        self.requests.write_all(format!("{request}\n").as_bytes()).unwrap();
    }

    fn receive(&mut self) -> String {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The agent: `A resource resource …` is answered by `OK token` or `BUSY`, `R` by `OK`. With `K` it
/// starts a child that keeps what is held, and ends with the agent's input.
#[test]
fn an_agent_claims() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let dir = LockDir::open(&folder).unwrap();
    let careless = env::var(CARELESS).is_ok_and(|careless| careless == "true");
    let mut held = Held::Nothing;
    for request in io::stdin().lock().lines() {
        let request = request.unwrap();
        let answer = match request.strip_prefix("A ").map(parse) {
            None => {
                match held {
                    Held::Claim(ref lock) if request == "K" => leave_to_child(lock),
                    _ => held = Held::Nothing,
                }
                "OK".to_owned()
            }
            Some(resources) if careless => match claim_carelessly(Path::new(&folder), &resources) {
                Some(claim) => {
                    held = Held::Carelessly(claim);
                    "OK 0".to_owned()
                }
                None => "BUSY".to_owned(),
            },
            Some(resources) => match dir.try_acquire_all(&resources) {
                Ok(AcquireAll::Acquired(lock)) => {
                    let answer = format!("OK {}", lock.token());
                    held = Held::Claim(lock);
                    answer
                }
                Ok(AcquireAll::Held(_)) => "BUSY".to_owned(),
                Err(error) => format!("ERR {error}"),
            },
        };
        io::stderr().write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
    drop(held);
}

#[expect(clippy::zombie_processes, reason = "it outlives us: that is what is tested")]
fn leave_to_child(lock: &ResourceLock) {
    lock.keep_with_child(Command::new("cat").stdout(Stdio::null())).unwrap();
}

enum Held {
    Nothing,
    Claim(ResourceLock),
    Carelessly(#[expect(dead_code, reason = "it is held")] Careless),
}

/// A file that is removed at the end.
struct Careless(PathBuf);

impl Drop for Careless {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

fn parse(texts: &str) -> Vec<Resource> {
    texts.split(' ').map(|text| text.parse().unwrap()).collect()
}

/// What one would write without a mutex: look at everybody's file, then write one's own.
fn claim_carelessly(folder: &Path, resources: &[Resource]) -> Option<Careless> {
    let others = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let others = others.filter(|path| path.extension().is_some_and(|end| end == "careless"));
    // One that was removed meanwhile is in nobody's way.
    let texts = others.filter_map(|path| fs::read_to_string(path).ok());
    let mut theirs = texts.filter(|text| !text.is_empty()).flat_map(|text| parse(&text));
    if theirs.any(|their| resources.iter().any(|mine| mine.conflicts_with(&their))) {
        return None;
    }
    let path = folder.join(format!("{}.careless", std::process::id()));
    let texts: Vec<_> = resources.iter().map(Resource::to_string).collect();
    fs::write(&path, texts.join(" ")).unwrap();
    Some(Careless(path))
}

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    /// By agent.
    live: Vec<(u64, Vec<Resource>)>,
    /// The last to hold each combination, with its token.
    ended: Vec<(Vec<Resource>, u64)>,
    grants: u64,
    refusals: u64,
    kills: u64,
    together: u64,
    conflicts: u64,
    old_tokens: u64,
    errors: Vec<String>,
}

fn conflict(one: &[Resource], other: &[Resource]) -> bool {
    one.iter().any(|one| other.iter().any(|other| one.conflicts_with(other)))
}

impl Seen {
    fn begin(&mut self, agent: u64, resources: &[Resource], token: u64) {
        self.grants += 1;
        self.together += u64::from(!self.live.is_empty());
        let in_conflict = self.live.iter().filter(|(_, other)| conflict(other, resources));
        self.conflicts += in_conflict.count() as u64;
        let before = self.ended.iter().filter(|(other, _)| conflict(other, resources));
        self.old_tokens += before.filter(|(_, before)| *before >= token).count() as u64;
        self.live.push((agent, resources.to_vec()));
    }

    fn end(&mut self, agent: u64, resources: &[Resource], token: u64) {
        self.live.retain(|(other, _)| *other != agent);
        self.ended.retain(|(other, _)| *other != resources);
        self.ended.push((resources.to_vec(), token));
    }
}

/// Makes one agent after the other claim and release, and kills some of them.
fn drive(number: u64, folder: &Path, careless: bool, seen: &Mutex<Seen>, stop: &AtomicBool) {
    let mut random = Random(number + 1);
    let mut agent = Agent::start(folder, careless);
    while !stop.load(SeqCst) {
        let mut pick = || RESOURCES[usize::try_from(random.below(RESOURCES.len() as u64)).unwrap()];
        let texts = [pick(), pick()].join(" ");
        let resources = parse(&texts);
        // The careless leave their files behind when they are killed.
        let mut doomed = |one_in: u64| !careless && random.below(one_in) == 0;
        let (while_acquiring, while_holding, while_releasing) =
            (doomed(40), doomed(30), doomed(30));

        agent.send(&format!("A {texts}"));
        let mut killed = while_acquiring;
        if while_acquiring {
            spin(random.below(500));
        } else {
            let answer = agent.receive();
            if let Some(token) = answer.strip_prefix("OK ") {
                let token = token.parse().unwrap();
                seen.lock().unwrap().begin(number, &resources, token);
                spin(random.below(500));
                seen.lock().unwrap().end(number, &resources, token);
                killed = while_holding || while_releasing;
                if !while_holding {
                    agent.send("R");
                }
                if !killed {
                    assert_eq!(agent.receive(), "OK");
                }
            } else if answer == "BUSY" {
                seen.lock().unwrap().refusals += 1;
            } else {
                seen.lock().unwrap().errors.push(answer);
                return;
            }
        }
        if killed {
            seen.lock().unwrap().kills += 1;
            drop(agent);
            agent = Agent::start(folder, careless);
        }
    }
}

fn torture(folder: &Path, careless: bool, lasts: Duration) -> Seen {
    let (seen, stop) = (Mutex::new(Seen::default()), AtomicBool::new(false));
    thread::scope(|scope| {
        for number in 0..6 {
            let (seen, stop) = (&seen, &stop);
            scope.spawn(move || drive(number, folder, careless, seen, stop));
        }
        let start = Instant::now();
        let caught = || careless && seen.lock().unwrap().conflicts > 0;
        while start.elapsed() < lasts && !caught() {
            thread::park_timeout(Duration::from_millis(5));
        }
        stop.store(true, SeqCst);
    });
    seen.into_inner().unwrap()
}

#[test]
fn claims_in_conflict_are_never_held_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let dir = LockDir::open(folder.path().join("locks")).unwrap();
    let seen = torture(dir.path(), false, duration(4));
    println!("{} grants, {} refusals, {} kills", seen.grants, seen.refusals, seen.kills);
    let innocent = seen.conflicts == 0 && seen.old_tokens == 0 && seen.errors.is_empty();
    assert!(innocent, "claims do not hold: {seen:?}");
    let happened = seen.grants > 100 && seen.refusals > 20 && seen.kills > 10;
    assert!(happened && seen.together > 10, "too little happened: {seen:?}");

    assert_eq!(dir.claims().unwrap(), [], "all holders are gone");
    let files = fs::read_dir(dir.path().join("claims")).unwrap();
    assert_eq!(files.count(), 1, "nothing is left of them but the mutex");
}

/// The positive control: a harness that does not catch this proves nothing.
#[test]
fn claims_without_a_mutex_are_caught() {
    let folder = tempfile::tempdir().unwrap();
    let seen = torture(folder.path(), true, Duration::from_secs(60));
    assert!(seen.conflicts > 0, "nobody was caught: {seen:?}");
}

#[test]
fn a_killed_holders_child_keeps_the_claim() {
    let folder = tempfile::tempdir().unwrap();
    let dir = LockDir::open(folder.path().join("locks")).unwrap();
    let mut agent = Agent::start(dir.path(), false);
    for request in ["A db", "K"] {
        agent.send(request);
        assert!(agent.receive().starts_with("OK"));
    }
    agent.child.kill().unwrap();
    agent.child.wait().unwrap();
    let [claim] = &dir.claims().unwrap()[..] else { panic!("one claim is held") };
    assert_eq!((claim.state, &claim.resources), (LockState::Orphaned, &parse("db")));
    assert!(claim.to_string().ends_with("(dead, but its child goes on)"), "{claim}");

    drop(agent);
    let minute = Some(Duration::from_secs(60));
    let lock = dir.acquire_all_blocking(&parse("db"), minute).unwrap();
    // As long as the holder lives, its release counts, whatever the child does.
    let mut child = Command::new("cat");
    let mut child = lock.keep_with_child(child.stdin(Stdio::piped())).unwrap();
    lock.release().unwrap();
    assert_eq!(dir.claims().unwrap(), []);
    drop(child.stdin.take());
    child.wait().unwrap();
}
