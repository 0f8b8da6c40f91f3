//! The store under test, with the words that make a case short.

use std::{sync::Arc, time::Duration};

use crate::{
    AddReport, Attempt, Beat, Budget, Claim, ClaimRequest, Counts, Fence, Filter, ManualClock,
    NewTask, Overlap, Report, RunningTask, Selector, StoreError, Takes, Task, TaskId, TaskStatus,
    TaskStore, Verdict, Worker,
};

pub(super) struct Subject {
    pub(super) store: Arc<dyn TaskStore>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) overlap: Overlap,
}

pub(super) const LEASE: Duration = Duration::from_secs(60);

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn id(id: &str) -> TaskId {
    TaskId::new(id).expect("the suite's ids are good")
}

pub(super) fn task(name: &str) -> NewTask {
    NewTask { id: Some(id(name)), prompt: format!("do {name}"), ..NewTask::default() }
}

pub(super) fn after(name: &str, needs: &[&str]) -> NewTask {
    NewTask { depends_on: needs.iter().map(|on| id(on)).collect(), ..task(name) }
}

pub(super) fn locking(name: &str, locks: &[&str]) -> NewTask {
    NewTask { locks: words(locks), ..task(name) }
}

pub(super) fn touching(name: &str, touches: &[&str]) -> NewTask {
    NewTask { touches: words(touches), ..task(name) }
}

pub(super) fn tagged(name: &str, tags: &[&str]) -> NewTask {
    NewTask { tags: words(tags), ..task(name) }
}

pub(super) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

pub(super) fn worker(number: u32) -> Worker {
    Worker { run: "suite".into(), host: "here".into(), pid: 1, number }
}

pub(super) fn request() -> ClaimRequest {
    ClaimRequest {
        worker: worker(1),
        lease: LEASE,
        budget: Budget::default(),
        tags: vec![],
        takes: Takes::default(),
    }
}

pub(super) const FAILED: Verdict = Verdict::Failed { retry_after: Duration::ZERO };
pub(super) const CRASHED: Verdict = Verdict::Crashed { retry_after: Duration::ZERO };
pub(super) const RELEASED: Verdict = Verdict::Released { retry_after: Duration::ZERO };

pub(super) fn report(verdict: Verdict) -> Report {
    Report::new(verdict, "suite")
}

impl Subject {
    pub(super) async fn add(&self, tasks: impl IntoIterator<Item = NewTask>) -> AddReport {
        self.try_add(tasks).await.expect("the tasks are good")
    }

    pub(super) async fn try_add(
        &self,
        tasks: impl IntoIterator<Item = NewTask>,
    ) -> Result<AddReport, StoreError> {
        self.store.add(tasks.into_iter().collect()).await
    }

    pub(super) async fn try_claim(&self) -> Option<Claim> {
        self.store.claim(&request()).await.expect("claiming works")
    }

    /// Claims a task that must be there.
    pub(super) async fn claim(&self) -> Claim {
        self.try_claim().await.expect("a task can be claimed")
    }

    /// Claims a task that must be the one named.
    pub(super) async fn claim_of(&self, name: &str) -> Claim {
        let claim = self.claim().await;
        assert_eq!(claim.fence.task.as_str(), name, "the task that comes next");
        claim
    }

    pub(super) async fn claim_tagged(&self, tags: &[&str]) -> Option<Claim> {
        let request = ClaimRequest { tags: words(tags), ..request() };
        self.store.claim(&request).await.expect("claiming works")
    }

    /// Claims until nothing is left, and names what came.
    pub(super) async fn claim_all(&self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(claim) = self.try_claim().await {
            names.push(claim.fence.task.to_string());
        }
        names
    }

    pub(super) async fn finish(&self, claim: &Claim, verdict: Verdict) -> TaskStatus {
        self.try_finish(&claim.fence, verdict).await.expect("the claim is held")
    }

    pub(super) async fn try_finish(
        &self,
        fence: &Fence,
        verdict: Verdict,
    ) -> Result<TaskStatus, StoreError> {
        Ok(self.store.finish(fence, report(verdict), None).await?.status)
    }

    /// Claims the task named and finishes it.
    pub(super) async fn run(&self, name: &str, verdict: Verdict) -> TaskStatus {
        let claim = self.claim_of(name).await;
        self.finish(&claim, verdict).await
    }

    pub(super) async fn beat(&self, fence: &Fence) -> Beat {
        let beats = self.store.heartbeat(std::slice::from_ref(fence)).await;
        *beats.expect("beating works").first().expect("one answer for one fence")
    }

    pub(super) async fn rescue(&self, fence: &Fence) -> TaskStatus {
        self.store.rescue(fence, "its process is gone").await.expect("the claim is held")
    }

    pub(super) async fn rescue_expired(&self, limit: usize) -> Vec<String> {
        let rescued = self.store.rescue_expired(limit).await.expect("rescuing works");
        rescued.into_iter().map(String::from).collect()
    }

    pub(super) async fn cancel(&self, name: &str) -> u64 {
        self.store.cancel(&Selector::Ids(vec![id(name)])).await.expect("the task exists")
    }

    pub(super) async fn retry(&self, name: &str) -> u64 {
        self.store.retry(&Selector::Ids(vec![id(name)])).await.expect("the task exists")
    }

    pub(super) async fn get(&self, name: &str) -> Task {
        self.find(name).await.expect("the task exists")
    }

    pub(super) async fn find(&self, name: &str) -> Option<Task> {
        self.store.get(&id(name)).await.expect("looking works")
    }

    pub(super) async fn status(&self, name: &str) -> TaskStatus {
        self.get(name).await.status
    }

    pub(super) async fn attempts(&self, name: &str) -> Vec<Attempt> {
        self.store.attempts(&id(name)).await.expect("the task exists")
    }

    pub(super) async fn running(&self) -> Vec<RunningTask> {
        self.store.running().await.expect("looking works")
    }

    pub(super) async fn counts(&self) -> Counts {
        self.store.counts().await.expect("counting works")
    }

    pub(super) async fn next_due(&self) -> Option<Duration> {
        self.store.next_due().await.expect("looking works")
    }

    pub(super) async fn delayed(&self, limit: usize) -> Vec<String> {
        let tasks = self.store.delayed(limit).await.expect("looking works");
        tasks.into_iter().map(|task| task.id.into()).collect()
    }

    pub(super) async fn list(&self, filter: &Filter) -> Vec<String> {
        let tasks = self.store.list(filter, None, usize::MAX).await.expect("listing works");
        tasks.into_iter().map(|task| task.id.into()).collect()
    }

    /// Checks that the maintained counts are those that counting gives, and returns them.
    pub(super) async fn counts_add_up(&self) -> Counts {
        let tasks = self.store.list(&Filter::default(), None, usize::MAX).await;
        let mut recount = Counts::default();
        for task in tasks.expect("listing works") {
            *recount.of(task.status) += 1;
        }
        assert_eq!(self.counts().await, recount, "the counts are those of the tasks");
        recount
    }

    pub(super) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}
