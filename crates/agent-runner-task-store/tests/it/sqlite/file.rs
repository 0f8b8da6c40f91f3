//! What kinds of files are opened, and what is said of the others.

use std::fs;

use agent_runner_task_store::{NewTask, SqliteStore, StoreError, TaskStore};
use rusqlite::Connection;

use super::folder;

fn task(prompt: &str) -> NewTask {
    NewTask { prompt: prompt.into(), ..NewTask::default() }
}

#[tokio::test]
async fn a_new_store_is_made_with_its_folder_and_found_again() {
    let folder = folder();
    let path = folder.path().join("deep/er/store.db");
    let store = SqliteStore::open(&path).expect("a store is made");
    store.add(vec![task("a")]).await.expect("the task is good");
    drop(store);
    assert!(!path.with_extension("db-wal").exists(), "the last one out tidies up");
    let again = SqliteStore::open(&path).expect("the store opens");
    assert_eq!(again.counts().await.expect("counting works").pending, 1);
}

#[tokio::test]
async fn two_stores_may_share_a_file() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let (one, two) = (SqliteStore::open(&path), SqliteStore::open(&path));
    let (one, two) = (one.expect("it opens"), two.expect("it opens twice"));
    one.add(vec![task("a")]).await.expect("the task is good");
    two.add(vec![task("b")]).await.expect("the task is good");
    assert_eq!(one.counts().await.expect("counting works").pending, 2);
}

#[test]
fn many_may_make_it_at_the_same_time() {
    let folder = folder();
    let path = folder.path().join("store.db");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| SqliteStore::open(&path).expect("one makes it, all open it"));
        }
    });
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let folder = folder();
    let text = folder.path().join("notes.txt");
    fs::write(&text, "not a database, but long enough to look at: ".repeat(50)).expect("written");
    let foreign = folder.path().join("foreign.db");
    let conn = Connection::open(&foreign).expect("a database is made");
    conn.execute_batch("CREATE TABLE mine (x)").expect("a table is made");
    drop(conn);
    for path in [text, foreign] {
        let before = fs::read(&path).expect("it is there");
        let refused = SqliteStore::open(&path);
        assert!(matches!(refused, Err(StoreError::NotAStore { .. })), "{path:?}: {refused:?}");
        assert_eq!(fs::read(&path).expect("it is there"), before, "{path:?} is untouched");
    }
}

#[test]
fn a_newer_store_is_refused() {
    let folder = folder();
    let path = folder.path().join("store.db");
    drop(SqliteStore::open(&path));
    let conn = Connection::open(&path).expect("a database");
    conn.pragma_update(None, "user_version", 7).expect("a version");
    drop(conn);
    let refused = SqliteStore::open(&path);
    assert!(
        matches!(refused, Err(StoreError::NewerSchema { found: 7, known: 3, .. })),
        "{refused:?}",
    );
}

#[tokio::test]
async fn damage_is_said() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).expect("a store is made");
    let tasks = (0..2_000).map(|n| task(&format!("{n} {}", "long ".repeat(50))));
    store.add(tasks.collect()).await.expect("the tasks are good");
    drop(store);
    let mut bytes = fs::read(&path).expect("it is there");
    // All but the header and the schema.
    bytes[20 * 4096..].fill(0x5A);
    fs::write(&path, bytes).expect("written");
    let store = SqliteStore::open(&path).expect("the header is whole");
    let listed = store.list(&agent_runner_task_store::Filter::default(), None, 5_000).await;
    assert!(matches!(listed, Err(StoreError::Corrupt { .. })), "{listed:?}");
}

#[test]
fn a_folder_is_no_store() {
    let folder = folder();
    let refused = SqliteStore::open(folder.path());
    assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    let refused = SqliteStore::open(file.join("store.db"));
    assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
}

#[tokio::test]
async fn reading_only_changes_nothing() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let read_only = || SqliteStore::options().read_only(true);
    let missing = read_only().open(&path);
    assert!(
        matches!(&missing, Err(StoreError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound),
        "{missing:?}",
    );
    let store = SqliteStore::open(&path).expect("a store is made");
    store.add(vec![task("a")]).await.expect("the task is good");
    let live = read_only().open(&path).expect("beside a writer");
    assert_eq!(live.counts().await.expect("counting works").pending, 1);
    drop((live, store));

    let alone = read_only().open(&path).expect("after the writer");
    assert_eq!(alone.counts().await.expect("counting works").pending, 1);
    let refused = alone.add(vec![task("b")]).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly { .. })), "{refused:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_said_and_loses_nothing() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).expect("a store is made");
    store.add(vec![task("a")]).await.expect("the task is good");
    drop(store);
    // SQLite says the same of a file that may not grow as of a disk that cannot.
    let conn = Connection::open(&path).expect("a database");
    let pages: i64 = conn.pragma_query_value(None, "page_count", |row| row.get(0)).expect("pages");
    drop(conn);
    let store = SqliteStore::options().max_pages(pages).open(&path).expect("the store opens");
    let tasks = (0..5_000).map(|n| task(&format!("{n} {}", "long ".repeat(50))));
    let refused = store.add(tasks.collect()).await;
    assert!(matches!(refused, Err(StoreError::DiskFull { .. })), "{refused:?}");
    let counts = store.counts().await.expect("counting works");
    assert_eq!(counts.total(), 1, "all or none, and the store goes on");
}
