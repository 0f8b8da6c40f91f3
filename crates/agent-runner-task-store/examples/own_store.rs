//! A store of your own, here one that writes a journal of what is done to another, and the suite
//! that shows that it keeps every promise: `cargo test --example own_store --features conformance`.
#![expect(clippy::print_stdout, reason = "an example speaks to its reader")]

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use agent_runner_task_store::{
    AddReport, Attempt, Beat, Claim, ClaimRequest, Counts, Fence, Filter, Finished, MemoryStore,
    NewTask, Report, RunningTask, Selector, StoreError, Task, TaskId, TaskStatus, TaskStore,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StoreError> {
    let store = Journaled::new(MemoryStore::new());
    store.add(vec![NewTask { prompt: "say hello".into(), ..NewTask::default() }]).await?;
    store.cancel(&Selector::Matching(Filter::default())).await?;
    for line in store.journal() {
        println!("{line}");
    }
    Ok(())
}

struct Journaled<S> {
    store: S,
    journal: Mutex<Vec<String>>,
}

impl<S> Journaled<S> {
    fn new(store: S) -> Self {
        Self { store, journal: Mutex::default() }
    }

    fn note(&self, line: String) {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn journal(&self) -> Vec<String> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait::async_trait]
impl<S: TaskStore> TaskStore for Journaled<S> {
    async fn add(&self, tasks: Vec<NewTask>) -> Result<AddReport, StoreError> {
        let report = self.store.add(tasks).await?;
        self.note(format!("added {}, updated {}", report.added, report.updated));
        Ok(report)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, StoreError> {
        let claim = self.store.claim(request).await?;
        if let Some(claim) = &claim {
            self.note(format!("claimed {}, attempt {}", claim.task.id, claim.fence.attempt));
        }
        Ok(claim)
    }

    async fn finish(
        &self,
        fence: &Fence,
        report: Report,
        next: Option<&ClaimRequest>,
    ) -> Result<Finished, StoreError> {
        let finished = self.store.finish(fence, report, next).await?;
        self.note(format!("finished {}: {}", fence.task, finished.status));
        Ok(finished)
    }

    async fn heartbeat(&self, fences: &[Fence]) -> Result<Vec<Beat>, StoreError> {
        self.store.heartbeat(fences).await
    }

    async fn rescue(&self, fence: &Fence, reason: &str) -> Result<TaskStatus, StoreError> {
        let status = self.store.rescue(fence, reason).await?;
        self.note(format!("rescued {} because {reason}: {status}", fence.task));
        Ok(status)
    }

    async fn rescue_expired(&self, limit: usize) -> Result<Vec<TaskId>, StoreError> {
        let rescued = self.store.rescue_expired(limit).await?;
        for id in &rescued {
            self.note(format!("rescued {id}"));
        }
        Ok(rescued)
    }

    async fn running(&self) -> Result<Vec<RunningTask>, StoreError> {
        self.store.running().await
    }

    async fn cancel(&self, which: &Selector) -> Result<u64, StoreError> {
        let cancelled = self.store.cancel(which).await?;
        self.note(format!("cancelled {cancelled}"));
        Ok(cancelled)
    }

    async fn retry(&self, which: &Selector) -> Result<u64, StoreError> {
        let retried = self.store.retry(which).await?;
        self.note(format!("retried {retried}"));
        Ok(retried)
    }

    async fn get(&self, id: &TaskId) -> Result<Option<Task>, StoreError> {
        self.store.get(id).await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<&TaskId>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        self.store.list(filter, after, limit).await
    }

    async fn attempts(&self, id: &TaskId) -> Result<Vec<Attempt>, StoreError> {
        self.store.attempts(id).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.store.counts().await
    }

    async fn next_due(&self) -> Result<Option<Duration>, StoreError> {
        self.store.next_due().await
    }

    async fn delayed(&self, limit: usize) -> Result<Vec<Task>, StoreError> {
        self.store.delayed(limit).await
    }
}

#[cfg(test)]
mod tests {
    use agent_runner_task_store::{MemoryStore, conformance, conformance::Fixture};

    use super::Journaled;

    conformance!(journaled, |clock| async {
        Fixture::new(Journaled::new(MemoryStore::with_clock(clock)))
    });
}
