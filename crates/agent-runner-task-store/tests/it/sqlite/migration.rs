//! Stores of older versions: opened, brought up to date, and the same as before to their users.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agent_runner_task_store::{
    Budget, ClaimRequest, Clock, CommandLine, Fence, Filter, ManualClock, NewTask, Report,
    SqliteStore, StoreError, Takes, TaskId, TaskStatus, TaskStore, Verdict, Worker,
};
use rusqlite::Connection;
use tempfile::TempDir;

const VERSION_1: &str = include_str!("fixtures/version-1.sql");
const VERSION_2: &str = include_str!("fixtures/version-2.sql");

/// The fence of the task in it that holds a lock.
const HOLDER: u64 = 8_162_020_340_444_485_900;

/// Makes a store of an older version.
fn old_store(version: &str) -> (TempDir, PathBuf) {
    let folder = super::folder();
    let path = folder.path().join("store.db");
    let conn = Connection::open(&path).expect("a database is made");
    conn.execute_batch(version).expect("the script is good");
    (folder, path)
}

fn id(id: &str) -> TaskId {
    TaskId::new(id).expect("a good id")
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// What was added to it.
fn added(clock: &ManualClock) -> Vec<NewTask> {
    let task =
        |name| NewTask { id: Some(id(name)), prompt: format!("do {name}"), ..NewTask::default() };
    vec![
        task("succeeded"),
        NewTask { max_attempts: Some(1), ..task("failed") },
        task("cancelled"),
        NewTask { locks: words(["db"]), ..task("holder") },
        NewTask { locks: words(["db"]), tags: words(["red"]), ..task("parked") },
        NewTask { locks: words(["ui", "db"]), ..task("parked too") },
        task("next"),
        NewTask { depends_on: vec![id("holder"), id("succeeded")], ..task("blocked") },
        NewTask { not_before: Some(clock.now() + Duration::from_secs(3_602)), ..task("delayed") },
        NewTask {
            title: "All of it".into(),
            command: Some(CommandLine::Argv(words(["make", "all"]))),
            priority: -1,
            locks: words(["ui"]),
            tags: words(["red", "blue"]),
            max_attempts: Some(7),
            timeout: Some(Duration::from_secs(90)),
            idle_timeout: Some(Duration::from_millis(1_500)),
            verify: Some(CommandLine::Shell("make test".into())),
            payload: serde_json::json!({ "any": ["thing", 1, null] }),
            source: Some("tasks.json".into()),
            ..task("full")
        },
        NewTask {
            key: Some("a-key".into()),
            prompt: "no name".into(),
            priority: -2,
            ..NewTask::default()
        },
    ]
}

#[tokio::test]
async fn nobody_notices_that_the_store_was_of_version_1() {
    nobody_notices_that_it_was_of(VERSION_1).await;
}

#[tokio::test]
async fn nobody_notices_that_the_store_was_of_version_2() {
    nobody_notices_that_it_was_of(VERSION_2).await;
}

async fn nobody_notices_that_it_was_of(version: &str) {
    let (_folder, path) = old_store(version);
    let clock = Arc::new(ManualClock::default());
    let store = super::open(&path, Arc::clone(&clock));
    let kept = store.list(&Filter::default(), None, usize::MAX).await.expect("listing works");
    let statuses: Vec<_> = kept.iter().map(|task| (task.id.as_str(), task.status)).collect();
    assert_eq!(
        statuses,
        [
            ("succeeded", TaskStatus::Succeeded),
            ("failed", TaskStatus::Failed),
            ("cancelled", TaskStatus::Cancelled),
            ("holder", TaskStatus::Running),
            ("parked", TaskStatus::Waiting),
            ("parked too", TaskStatus::Waiting),
            ("next", TaskStatus::Running),
            ("blocked", TaskStatus::Waiting),
            ("delayed", TaskStatus::Waiting),
            ("full", TaskStatus::Pending),
            ("1", TaskStatus::Pending),
        ]
    );
    assert_eq!(kept[1].error.as_deref(), Some("it broke"));
    let again = store.add(added(&clock)).await.expect("the tasks are good");
    assert_eq!(
        (again.added, again.updated, again.unchanged),
        (0, 0, 11),
        "the hashes are the same"
    );

    let holder = Fence { task: id("holder"), attempt: 1, nonce: HOLDER };
    let report = || Report::new(Verdict::Succeeded, "succeeded");
    store.finish(&holder, report(), None).await.expect("the claim is held as before");
    let mut claimed = Vec::new();
    for takes in [Takes::new(|command| command.is_some()), Takes::default()] {
        while let Some(claim) = store.claim(&request(&takes)).await.expect("claiming works") {
            claimed.push(String::from(claim.fence.task));
        }
    }
    let expected = ["full", "parked", "blocked", "1"];
    assert_eq!(claimed, expected, "one has a command, and two wait for what others hold");
}

fn request(takes: &Takes) -> ClaimRequest {
    let worker = Worker { run: "new".into(), host: "here".into(), pid: 1, number: 0 };
    let (lease, budget) = (Duration::from_secs(60), Budget::default());
    ClaimRequest { worker, lease, budget, tags: vec![], takes: takes.clone() }
}

#[test]
fn an_old_store_becomes_what_a_new_one_is() {
    for version in [VERSION_1, VERSION_2] {
        becomes_what_a_new_one_is(version);
    }
}

fn becomes_what_a_new_one_is(version: &str) {
    let (folder, path) = old_store(version);
    let refused = SqliteStore::options().read_only(true).open(&path);
    assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope
                .spawn(|| SqliteStore::open(&path).expect("one brings it up to date, all open it"));
        }
    });
    let new = folder.path().join("new.db");
    drop(SqliteStore::open(&new).expect("a store is made"));
    assert_eq!(schema(&path), schema(&new));
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let (_folder, path) = old_store(VERSION_1);
    let conn = Connection::open(&path).expect("a database");
    conn.execute_batch("CREATE TABLE closed (in_the_way)").expect("a table is made");
    drop(conn);
    let before = schema(&path);
    let refused = SqliteStore::open(&path);
    assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
    assert_eq!(schema(&path), before);
}

fn schema(path: &Path) -> (i64, Vec<String>) {
    let conn = Connection::open(path).expect("a database");
    let version =
        conn.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    let mut statement = conn.prepare(sql).expect("every database has a schema");
    let rows = statement.query_map([], |row| row.get(0)).expect("it can be read");
    (version, rows.collect::<Result<_, _>>().expect("it is text"))
}
