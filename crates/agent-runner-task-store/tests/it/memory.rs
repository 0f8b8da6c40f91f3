//! The suite against [`MemoryStore`].

use agent_runner_task_store::{MemoryStore, conformance, conformance::Fixture};

conformance!(suite, |clock| async { Fixture::new(MemoryStore::with_clock(clock)) });
