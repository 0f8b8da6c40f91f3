//! Many tasks that want the same few resources: who waits is woken in time, and at little cost.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agent_runner_task_store::{
    Budget, ClaimRequest, ManualClock, NewTask, Report, Selector, Takes, TaskId, TaskStore,
    Verdict, Worker,
    conformance::model::{Action, replay},
};
use proptest::{collection::vec, prelude::*, sample::select};
use rusqlite::Connection;

use super::{folder, options};
use crate::overlap;

fn id(n: u32) -> TaskId {
    TaskId::new(format!("t{n}")).expect("a good id")
}

fn words(from: &[&'static str], most: usize) -> impl Strategy<Value = Vec<String>> + use<> {
    vec(select(from.to_vec()).prop_map(str::to_owned), 0..=most)
}

fn tags() -> impl Strategy<Value = Vec<String>> {
    words(&["red", "blue"], 1)
}

fn task() -> impl Strategy<Value = NewTask> {
    let patterns = ["**", "a/**", "a/b/**", "a/b/c", "a/b/d", "a/e", "f/**", "f/g", "f/h"];
    let wants = (words(&["x", "y"], 1), words(&patterns, 2));
    (0..16_u32, 0..2_u32, -1..=1, wants, tags()).prop_map(
        |(n, version, priority, (locks, touches), tags)| {
            let (id, prompt) = (Some(id(n)), format!("version {version}"));
            NewTask { id, prompt, priority, locks, touches, tags, ..NewTask::default() }
        },
    )
}

fn request() -> impl Strategy<Value = ClaimRequest> {
    tags().prop_map(|tags| {
        let worker = Worker { run: "crowd".into(), host: "here".into(), pid: 1, number: 0 };
        let budget = Budget { attempts: 1_000, recoveries: 1_000 };
        ClaimRequest {
            worker,
            lease: Duration::from_secs(60),
            budget,
            tags,
            takes: Takes::default(),
        }
    })
}

fn action() -> impl Strategy<Value = Action> {
    let again = Verdict::Released { retry_after: Duration::ZERO };
    let report = select(vec![Verdict::Succeeded, again, Verdict::Cancelled])
        .prop_map(|verdict| Report::new(verdict, "crowd"));
    let one = || (0..16_u32).prop_map(|n| Selector::Ids(vec![id(n)]));
    prop_oneof![
        3 => task().prop_map(|task| Action::Add { tasks: vec![task], delays: vec![None] }),
        6 => request().prop_map(Action::Claim),
        5 => (any::<usize>(), report, prop::option::of(request()))
            .prop_map(|(claim, report, next)| Action::Finish { claim, report, next }),
        1 => any::<usize>().prop_map(|claim| Action::Rescue { claim }),
        1 => one().prop_map(Action::Cancel),
        1 => one().prop_map(Action::Retry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn what_waits_is_woken_in_time(actions in vec(action(), 1..200)) {
        let folder = folder();
        let path = folder.path().join("store.db");
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime can be built").block_on(async {
            let clock = Arc::new(ManualClock::default());
            let store = super::open(&path, Arc::clone(&clock));
            replay(Arc::new(store), clock, overlap, &actions).await;
        });
        check_invariant(&path);
    }
}

/// The invariant of the store's `resources.rs`, in its tables. Each query looks for what breaks it.
fn check_invariant(path: &Path) {
    let conn = Connection::open(path).expect("the store is a database");
    for (what, sql) in [
        (
            "a resource that tasks are parked on is closed, or a ready task that wants it stands \
             before them, whatever the tag",
            "SELECT waiter.resource || ' ' || waiter.tag FROM waiter
             WHERE waiter.resource NOT IN (SELECT resource FROM closed)
             AND NOT EXISTS (
                 SELECT 1 FROM task JOIN want USING (seq)
                 WHERE state = 0 AND want.resource = waiter.resource
                 AND (-priority, task.seq) < (waiter.rank, waiter.seq)
                 AND waiter.tag IN (SELECT '' UNION SELECT '#' || name FROM tag WHERE seq = task.seq))",
        ),
        (
            "what is parked is parked on something that it wants",
            "SELECT id FROM task WHERE state = 3 AND NOT EXISTS (
                 SELECT 1 FROM waiter JOIN want USING (seq, resource)
                 WHERE waiter.seq = task.seq AND tag = '')",
        ),
        (
            "nobody else is in the lists of those who are parked",
            "SELECT id FROM waiter JOIN task USING (seq) WHERE state <> 3",
        ),
        (
            "running tasks, and no others, have all that they want",
            "SELECT * FROM (
                 SELECT resource, seq FROM closed WHERE own
                 EXCEPT SELECT resource, seq FROM want JOIN task USING (seq) WHERE state = 4)
             UNION ALL SELECT * FROM (
                 SELECT resource, seq FROM want JOIN task USING (seq) WHERE state = 4
                 EXCEPT SELECT resource, seq FROM closed WHERE own)",
        ),
    ] {
        let mut statement = conn.prepare(sql).expect("the query is good");
        let rows = statement.query_map([], |row| row.get(0)).expect("it can be asked");
        let found: Vec<String> = rows.collect::<Result<_, _>>().expect("it is text");
        assert!(found.is_empty(), "{what}; not so: {found:?}");
    }
    let mut statement = conn
        .prepare(
            "SELECT closed.resource, taken.resource FROM closed JOIN closed AS taken USING (seq)
             WHERE taken.own AND taken.resource >= '~' AND NOT closed.own",
        )
        .expect("the query is good");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let pairs: Vec<(String, String)> =
        rows.expect("it can be asked").collect::<Result<_, _>>().expect("it is text");
    for (closed, _) in &pairs {
        let mut taken = pairs.iter().filter(|(other, _)| other == closed).map(|(_, taken)| taken);
        let is_so = taken.any(|taken| overlap(&closed[1..], &taken[1..]));
        assert!(is_so, "'{closed}' is closed by a task that is not in its way");
    }
}

/// How often the store asked what overlaps.
static ASKED: AtomicUsize = AtomicUsize::new(0);

fn counted(one: &str, other: &str) -> bool {
    ASKED.fetch_add(1, Ordering::Relaxed);
    overlap(one, other)
}

#[tokio::test]
async fn the_number_of_tasks_that_wait_does_not_matter() {
    let folder = folder();
    let store = options(Arc::default()).overlap(counted).open(folder.path().join("store.db"));
    let store = store.expect("the store opens");
    let touching = |n: u32| {
        let pattern = ["a/**", "a/b", "a/c", "a/d"][(n % 4) as usize];
        NewTask { id: Some(id(n)), touches: vec![pattern.into()], ..NewTask::default() }
    };
    store.add((0..400).map(touching).collect()).await.expect("the tasks are good");
    let worker = Worker { run: "one".into(), host: "here".into(), pid: 1, number: 0 };
    let (lease, budget) = (Duration::from_secs(60), Budget::default());
    let request = ClaimRequest { worker, lease, budget, tags: vec![], takes: Takes::default() };
    let mut ends = 0;
    let mut running = Vec::new();
    loop {
        while let Some(claim) = store.claim(&request).await.expect("claiming works") {
            running.push(claim);
        }
        let Some(claim) = running.pop() else { break };
        let report = Report::new(Verdict::Succeeded, "done");
        store.finish(&claim.fence, report, None).await.expect("the claim is held");
        ends += 1;
    }
    assert_eq!(ends, 400);
    let asked = ASKED.load(Ordering::Relaxed);
    assert!(asked < 4 * ends, "{asked} questions for {ends} ends");
}
