//! [`SqliteStore`]: the suite, the model, and what is its own: the file.

mod crash;
mod crowd;
mod file;
mod migration;
mod model;

use std::{path::Path, sync::Arc};

use agent_runner_task_store::{
    ManualClock, SqliteOptions, SqliteStore, Synchronous, conformance, conformance::Fixture,
};
use tempfile::TempDir;

use crate::overlap;

conformance!(suite, |clock| async {
    let folder = folder();
    Fixture::new(open(&folder.path().join("store.db"), clock)).overlap(overlap).keeping(folder)
});

conformance!(without_overlap, |clock| async {
    let folder = folder();
    let store = options(clock).open(folder.path().join("store.db")).expect("the store opens");
    Fixture::new(store).keeping(folder)
});

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn open(path: &Path, clock: Arc<ManualClock>) -> SqliteStore {
    options(clock).overlap(overlap).open(path).expect("the store opens")
}

/// Options for a test that cuts no power.
fn options(clock: Arc<ManualClock>) -> SqliteOptions {
    SqliteStore::options().synchronous(Synchronous::Normal).clock(clock)
}
