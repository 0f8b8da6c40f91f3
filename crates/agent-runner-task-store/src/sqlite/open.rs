//! Opening the file: is it ours, is it of our version, and what if it is new.

use std::{
    fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig};

use super::{
    fault::{Fault, Outcome},
    options::SqliteOptions,
};
use crate::StoreError;

/// `ARts` in the header of the file: a task store of agent-runner.
const APPLICATION_ID: i32 = 0x4152_7473;

/// What brings a store from each version to the next; their number is the newest version.
pub(super) const MIGRATIONS: [&str; 3] =
    [include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];

/// Opens the connection that writes, and makes the store if there is none.
pub(super) fn writer(path: &Path, options: &SqliteOptions) -> Outcome<Connection> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|source| io_fault(path, source))?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = connect(path, flags, options)?;
    match glance(&conn, path)? {
        Version::Newest => {}
        Version::Empty | Version::Older(_) => migrate(&mut conn, path, options)?,
    }
    use_wal(&conn, options)?;
    conn.execute_batch(
        "PRAGMA cache_size = -16384; PRAGMA journal_size_limit = 67108864;
         PRAGMA wal_autocheckpoint = 4000; PRAGMA temp_store = MEMORY;",
    )?;
    if let Some(pages) = options.max_pages {
        conn.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(conn)
}

/// Opens a connection that looks. The store exists.
pub(super) fn reader(path: &Path, options: &SqliteOptions) -> Outcome<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = connect(path, flags, options)?;
    match glance(&conn, path)? {
        Version::Newest => Ok(conn),
        Version::Empty => Err(StoreError::NotAStore { path: path.to_owned() }.into()),
        Version::Older(found) => {
            let detail = format!("schema version {found} must first be opened for writing");
            Err(StoreError::Database(detail.into()).into())
        }
    }
}

fn connect(path: &Path, flags: OpenFlags, options: &SqliteOptions) -> Outcome<Connection> {
    if path.is_dir() {
        return Err(io_fault(path, io::ErrorKind::IsADirectory.into()));
    }
    if !flags.contains(OpenFlags::SQLITE_OPEN_CREATE) {
        // SQLite does not say why it cannot open a file; the system does.
        fs::File::open(path).map_err(|source| io_fault(path, source))?;
    }
    let mut conn = Connection::open_with_flags(path, flags)?;
    conn.set_prepared_statement_cache_capacity(128);
    // Plans do not depend on the values bound. Without this SQLite prepares a statement anew each
    // time that a value might have made another plan better: a quarter of the writer's time.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    wait_for_others(&mut conn, options.busy_timeout)?;
    Ok(conn)
}

enum Version {
    /// Nothing is in the file.
    Empty,
    Older(i64),
    Newest,
}

/// What the file is, seen at one moment: somebody else may be making it.
fn glance(conn: &Connection, path: &Path) -> Outcome<Version> {
    let tx = conn.unchecked_transaction()?;
    version(&tx, path)
}

/// What the file is; an error if it is not ours or from the future.
fn version(conn: &Connection, path: &Path) -> Outcome<Version> {
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if application != APPLICATION_ID {
        let untouched = application == 0 && found == 0 && tables == 0;
        let foreign = || StoreError::NotAStore { path: path.to_owned() };
        return if untouched { Ok(Version::Empty) } else { Err(foreign().into()) };
    }
    match found {
        _ if found > known => {
            Err(StoreError::NewerSchema { path: path.to_owned(), found, known }.into())
        }
        _ if found == known => Ok(Version::Newest),
        _ => Ok(Version::Older(found)),
    }
}

/// Brings the store to the newest version, in one transaction. Several processes may try at once.
fn migrate(conn: &mut Connection, path: &Path, options: &SqliteOptions) -> Outcome<()> {
    use_wal(conn, options)?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = match version(&tx, path)? {
        Version::Newest => MIGRATIONS.len(),
        Version::Empty => 0,
        Version::Older(found) => usize::try_from(found).unwrap_or(0),
    };
    for (version, script) in (1_i64..).zip(MIGRATIONS).skip(done) {
        tx.execute_batch(script)?;
        tx.pragma_update(None, "user_version", version)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok(tx.commit()?)
}

/// Switches to a write-ahead log. SQLite asks no busy handler for that switch, so we wait here.
fn use_wal(conn: &Connection, options: &SqliteOptions) -> Outcome<()> {
    let deadline = Instant::now() + options.busy_timeout;
    loop {
        match conn.pragma_update(None, "journal_mode", "wal") {
            Err(error) if is_busy(&error) && Instant::now() < deadline => thread::sleep(nap(0)),
            other => return Ok(other?),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}

/// Waits for other processes in short naps. SQLite's own handler sleeps up to 100 ms at a time,
/// and whoever sleeps longest is passed by all the others.
fn wait_for_others(conn: &mut Connection, timeout: Duration) -> Outcome<()> {
    let mut since = Instant::now();
    Ok(conn.busy_handler(Some(move |tries| {
        if tries == 0 {
            since = Instant::now();
        }
        thread::sleep(nap(tries));
        since.elapsed() < timeout
    }))?)
}

/// 50 to 200 µs, and ten times that for a writer that takes long.
fn nap(tries: i32) -> Duration {
    let short = rand::random_range(50..200);
    Duration::from_micros(if tries < 200 { short } else { short * 10 })
}

fn io_fault(path: &Path, source: io::Error) -> Fault {
    StoreError::Io { path: path.to_owned(), source }.into()
}
