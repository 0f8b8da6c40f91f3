//! The suite against [`MemoryStore`].

use agent_runner_task_store::{MemoryStore, conformance, conformance::Fixture};

use crate::overlap;

conformance!(suite, |clock| async {
    Fixture::new(MemoryStore::with_clock(clock).overlap(overlap)).overlap(overlap)
});

conformance!(without_overlap, |clock| async { Fixture::new(MemoryStore::with_clock(clock)) });
