//! [`SqliteStore`]: the suite, the model, and what is its own: the file.

mod crash;
mod file;
mod model;

use std::{path::Path, sync::Arc};

use agent_runner_task_store::{
    ManualClock, SqliteStore, Synchronous, conformance, conformance::Fixture,
};
use tempfile::TempDir;

conformance!(suite, |clock| async {
    let folder = folder();
    Fixture::new(open(&folder.path().join("store.db"), clock)).keeping(folder)
});

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

/// Opens a store for a test that cuts no power.
fn open(path: &Path, clock: Arc<ManualClock>) -> SqliteStore {
    let options = SqliteStore::options().synchronous(Synchronous::Normal).clock(clock);
    options.open(path).expect("the store opens")
}
