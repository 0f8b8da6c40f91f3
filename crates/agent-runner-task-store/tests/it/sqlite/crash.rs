//! `kill -9` at any time: what was acknowledged is there, nothing is lost, nothing done twice.
//!
//! The workers are this test binary, run again with the store's path in the environment. Each says
//! on its standard output what the store has acknowledged, one line at a time.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use agent_runner_task_store::{
    Budget, ClaimRequest, Filter, NewTask, Report, SqliteStore, StoreError, Takes, TaskId,
    TaskStatus, TaskStore, Verdict, Worker,
};
use rand::RngExt;

use crate::overlap;

const STORE: &str = "AGENT_RUNNER_TEST_CRASH_STORE";
const TASKS: u64 = 3_000;
const CHILDREN: usize = 3;
const TIME: Duration = Duration::from_secs(8);

#[test]
fn killed_workers_lose_nothing_and_do_nothing_twice() {
    let folder = super::folder();
    let path = folder.path().join("store.db");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let store = open(&path);
    let tasks = (0..TASKS).map(|n| {
        let needs = (n > 10 && n % 7 == 0).then(|| id(n - 5)).into_iter().collect();
        let locks = if n % 5 == 0 { vec![format!("lock {}", n % 3)] } else { vec![] };
        let touches = match n % 5 {
            1 => vec![format!("folder-{}/**", n % 4)],
            2 => vec![format!("folder-{}/file", n % 4), format!("folder-{}/other", n % 3)],
            _ => vec![],
        };
        Ok(NewTask { id: Some(id(n)), depends_on: needs, locks, touches, ..NewTask::default() })
    });
    runtime.block_on(store.import(Box::new(tasks))).expect("the tasks are good");

    let (said, heard) = mpsc::channel();
    let mut children: Vec<Child> = (0..CHILDREN).map(|_| spawn(&path, &said)).collect();
    let (begun, mut kills) = (Instant::now(), 0);
    while begun.elapsed() < TIME {
        // Not a wait for something to happen: a random moment for a kill.
        let nap = rand::rng().random_range(20..120);
        std::thread::sleep(Duration::from_millis(nap));
        let victim = rand::rng().random_range(0..CHILDREN);
        end(&mut children[victim]);
        kills += 1;
        children[victim] = spawn(&path, &said);
    }
    children.iter_mut().for_each(end);
    drop(said);

    let mut finished: BTreeMap<String, u32> = BTreeMap::new();
    for line in heard {
        *finished.entry(line).or_default() += 1;
    }
    assert!(kills > 20 && !finished.is_empty(), "{kills} kills, {} tasks", finished.len());
    let twice: Vec<_> = finished.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "acknowledged twice: {twice:?}");

    let mut counts = agent_runner_task_store::Counts::default();
    for task in runtime.block_on(store.list(&Filter::default(), None, usize::MAX)).expect("a list")
    {
        let done = task.status == TaskStatus::Succeeded;
        assert!(done || !finished.contains_key(task.id.as_str()), "{} was lost", task.id);
        let attempts = runtime.block_on(store.attempts(&task.id)).expect("it is there");
        let ends = attempts.iter().filter_map(|attempt| attempt.report.as_ref());
        let successes = ends.filter(|report| report.verdict == Verdict::Succeeded).count();
        assert_eq!(successes, usize::from(done), "{} succeeded {successes} times", task.id);
        match task.status {
            TaskStatus::Succeeded => counts.succeeded += 1,
            TaskStatus::Running => counts.running += 1,
            TaskStatus::Pending => counts.pending += 1,
            TaskStatus::Waiting => counts.waiting += 1,
            other => panic!("{} is {other}", task.id),
        }
    }
    assert_eq!(counts.total(), TASKS, "every task is there");
    assert_eq!(runtime.block_on(store.counts()).expect("counting works"), counts);

    // And the next run completes it.
    runtime.block_on(work(&store, |_| ())).expect("what is left can be done");
    assert_eq!(runtime.block_on(store.counts()).expect("counting works").succeeded, TASKS);
    runtime.block_on(check_exclusion(&store));
}

/// No two attempts that want the same overlapped in time.
async fn check_exclusion(store: &SqliteStore) {
    let mut attempts = Vec::new();
    for task in store.list(&Filter::default(), None, usize::MAX).await.expect("a list") {
        if !task.spec.locks.is_empty() || !task.spec.touches.is_empty() {
            for attempt in store.attempts(&task.id).await.expect("it is there") {
                let end = attempt.finished_at.expect("all have ended");
                attempts.push((attempt.started_at, end, attempt.task, task.spec.clone()));
            }
        }
    }
    // Times are whole milliseconds: of two that began in one, the first is who ended in it.
    attempts.sort_by_key(|(start, end, ..)| (*start, *end));
    for (at, (_, end, id, spec)) in attempts.iter().enumerate() {
        let later = attempts[at + 1..].iter().take_while(|(start, ..)| start < end);
        for (_, _, other_id, other) in later {
            let locks = spec.locks.iter().any(|name| other.locks.contains(name));
            let touches = spec
                .touches
                .iter()
                .any(|pattern| other.touches.iter().any(|taken| overlap(pattern, taken)));
            assert!(!locks && !touches, "{id} and {other_id} ran at the same time");
        }
    }
}

fn open(path: impl AsRef<Path>) -> SqliteStore {
    SqliteStore::options().overlap(overlap).open(path).expect("the store opens")
}

/// The other process. Without the variable it is an empty test.
#[test]
fn a_worker_to_be_killed() {
    let Some(path) = env::var_os(STORE) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let store = open(path);
    let said = runtime.block_on(work(&store, |id| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "done={id}").and_then(|()| out.flush()).expect("somebody listens");
    }));
    said.expect("the store works");
}

/// Claims and finishes until all is done; rescues what others have left behind.
async fn work(store: &SqliteStore, acknowledged: impl Fn(&TaskId)) -> Result<(), StoreError> {
    let run = format!("{}-{}", std::process::id(), rand::random::<u64>());
    let worker = Worker { run, host: "here".into(), pid: std::process::id(), number: 0 };
    let budget = Budget { attempts: 1, recoveries: u32::MAX };
    let request = ClaimRequest {
        worker,
        lease: Duration::from_millis(50),
        budget,
        tags: vec![],
        takes: Takes::default(),
    };
    while store.counts().await?.open() > 0 {
        store.rescue_expired(10).await?;
        let mut claim = store.claim(&request).await?;
        while let Some(held) = claim {
            let report = Report::new(Verdict::Succeeded, "succeeded");
            claim = match store.finish(&held.fence, report, Some(&request)).await {
                Ok(finished) => {
                    acknowledged(&held.fence.task);
                    finished.next
                }
                // Too slow for so short a lease: somebody else has it now.
                Err(StoreError::LeaseLost { .. }) => None,
                Err(error) => return Err(error),
            };
        }
    }
    Ok(())
}

fn spawn(path: &Path, said: &mpsc::Sender<String>) -> Child {
    let mut child = Command::new(env::current_exe().expect("this test has a binary"))
        .args(["--exact", "sqlite::crash::a_worker_to_be_killed", "--nocapture"])
        .env(STORE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this test can be run again");
    let (out, said) = (child.stdout.take().expect("it is piped"), said.clone());
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            // The harness may put its own words in front.
            if let Some((_, id)) = line.split_once("done=") {
                said.send(id.to_owned()).expect("the test listens to the end");
            }
        }
    });
    child
}

fn end(child: &mut Child) {
    // It may have ended by itself when all was done.
    child.kill().ok();
    child.wait().expect("it is our child");
}

fn id(n: u64) -> TaskId {
    TaskId::new(format!("task-{n}")).expect("a good id")
}
