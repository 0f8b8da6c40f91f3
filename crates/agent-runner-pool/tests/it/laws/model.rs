//! What has to be true of any run.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use agent_runner_pool::{
    End, Ended, Event, HealthPolicy, JobError, Recovered, WorkerHealth, WorkerId,
};

use super::{
    script::{Act, Script},
    stage::{MAX_REQUEUES, Seen},
};

/// How an attempt ended, for comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Finished,
    Failed,
    Panicked,
    TimedOut,
    GivenUp,
    Requeued,
    Released,
    Cancelled,
}

impl Kind {
    pub(crate) fn of<O>(end: &End<O, String>) -> Self {
        match end {
            End::Finished(_) => Self::Finished,
            End::Failed(error) => Self::of_error(error),
            End::Requeued(_) => Self::Requeued,
            End::Released(_) => Self::Released,
            End::Cancelled => Self::Cancelled,
            _ => panic!("an end that the model does not know"),
        }
    }

    fn of_error(error: &JobError<String>) -> Self {
        match error {
            JobError::Failed(_) => Self::Failed,
            JobError::Panicked { .. } => Self::Panicked,
            JobError::TimedOut { .. } => Self::TimedOut,
            JobError::GivenUp { .. } => Self::GivenUp,
            _ => panic!("an error that the model does not know"),
        }
    }

    pub(crate) fn is_final(self) -> bool {
        !matches!(self, Self::Requeued | Self::Released | Self::Cancelled)
    }

    fn is_the_workers(self) -> bool {
        matches!(self, Self::Requeued | Self::GivenUp)
    }

    /// What the model expects of an attempt in a run that nobody cancels.
    fn expected(act: Act, requeues: u32) -> Self {
        match act {
            Act::Succeed | Act::SucceedLate => Self::Finished,
            Act::Fail => Self::Failed,
            Act::Panic => Self::Panicked,
            Act::Hang | Act::Obey => Self::TimedOut,
            Act::BreakWorker if requeues < MAX_REQUEUES => Self::Requeued,
            Act::BreakWorker => Self::GivenUp,
            Act::Limit => Self::Released,
        }
    }
}

impl Seen {
    pub(crate) fn check(&self, script: &Script) {
        self.check_that_no_job_is_lost();
        self.check_ends(script);
        self.check_counts();
        self.check_why_it_ended();
        if script.reader.is_some() {
            self.check_jobs_events();
            self.check_health(script.policy);
        } else {
            let limit = Duration::from_secs(1);
            assert!(self.overtime < limit, "a cancelled run ends in time: {:?}", self.overtime);
        }
    }

    fn check_that_no_job_is_lost(&self) {
        assert!(self.books.out.is_empty(), "jobs that nobody settled: {:?}", self.books.out);
        let left: BTreeSet<_> = self.left.iter().copied().collect();
        assert_eq!(left.len(), self.left.len(), "a job is in the queue twice: {:?}", self.left);
        for job in 0..self.jobs {
            assert!(
                self.books.is_ended(job) != left.contains(&job),
                "job {job} is either ended or left: {:?}",
                self.books
            );
        }
    }

    fn check_ends(&self, script: &Script) {
        for (job, ends) in &self.books.ends {
            let mut requeued = 0;
            for (index, &(attempt, requeues, kind)) in ends.iter().enumerate() {
                assert_eq!(attempt as usize, index + 1, "attempts of job {job} are counted");
                assert_eq!(requeues, requeued, "requeues of job {job} are counted");
                requeued += u32::from(kind == Kind::Requeued);
                if kind == Kind::Cancelled {
                    // One that had not begun was claimed by a worker that was leaving.
                    let begun = self.books.begun.contains(&(*job, attempt));
                    assert!(self.cancelled || !begun, "job {job} was cancelled by nobody");
                } else {
                    let (act, _) = script.act(*job, attempt);
                    assert_eq!(kind, Kind::expected(act, requeues), "job {job}, {act:?}");
                }
            }
        }
    }

    fn check_counts(&self) {
        let count = |fits: fn(Kind) -> bool| {
            self.books.ends.values().flatten().filter(|end| fits(end.2)).count() as u64
        };
        let counts = self.summary.counts;
        assert_eq!(counts.running, 0);
        assert_eq!(counts.finished, count(|kind| kind == Kind::Finished));
        assert_eq!(counts.requeued, count(|kind| kind == Kind::Requeued));
        let failed = |kind: Kind| kind.is_final() && kind != Kind::Finished;
        assert_eq!(counts.failed, count(failed));
    }

    fn check_why_it_ended(&self) {
        match &self.summary.ended {
            Ended::Drained => assert!(self.left.is_empty(), "left: {:?}", self.left),
            Ended::Stopped => assert!(self.stopped),
            Ended::NoWorkersLeft => assert!(!self.summary.retired.is_empty()),
            other => panic!("{other:?}"),
        }
    }

    /// Each job's events are its attempts, in their order.
    fn check_jobs_events(&self) {
        let mut told: BTreeMap<usize, Vec<(u32, Kind)>> = BTreeMap::new();
        let mut running: BTreeMap<usize, (WorkerId, u32)> = BTreeMap::new();
        for event in &self.log {
            if let Event::JobStarted { worker, job, attempt } = event {
                let other = running.insert(*job, (*worker, *attempt));
                assert_eq!(other, None, "job {job} starts while it runs");
            } else if let Some((worker, job, kind)) = ending(event) {
                let (by, attempt) = running.remove(&job).expect("a job ends after it started");
                assert_eq!(by, worker, "job {job} ends where it started");
                told.entry(job).or_default().push((attempt, kind));
            }
        }
        assert!(running.is_empty(), "every job that started is said to have ended");
        for (job, told) in told {
            // What was claimed and given back without a start is no event.
            let mut ends = self.books.ends[&job].iter().map(|end| (end.0, end.2));
            assert!(told.iter().all(|told| ends.any(|end| end == *told)), "job {job}: {told:?}");
        }
    }

    /// Each worker does only what it may after what it has been through.
    fn check_health(&self, policy: HealthPolicy) {
        let mut workers: BTreeMap<WorkerId, WorkerHealth> = BTreeMap::new();
        for event in &self.log {
            if let Some((worker, _, kind)) = ending(event) {
                let health = workers.get_mut(&worker).expect("a worker starts first");
                if kind.is_the_workers() {
                    health.record_failure();
                } else if kind == Kind::Finished {
                    health.record_success();
                }
            }
            match event {
                Event::WorkerStarted { worker } => {
                    assert!(workers.insert(*worker, WorkerHealth::new(policy)).is_none());
                }
                Event::JobStarted { worker, .. } => {
                    assert!(workers[worker].is_healthy(), "{worker} gets a job though unhealthy");
                }
                Event::WorkerUnhealthy { worker, health } => {
                    assert_eq!(health, &workers[worker]);
                    assert!(!health.is_healthy());
                }
                Event::WorkerRecovered { worker, health } => {
                    let model = workers.get_mut(worker).unwrap();
                    assert!(model.may_recover(), "{worker} recovers beyond its ration");
                    model.record_recovery(Recovered::Yes);
                    assert_eq!(health, model);
                }
                Event::RecoveryFailed { worker, health } => {
                    let model = workers.get_mut(worker).unwrap();
                    assert!(model.may_recover(), "{worker} recovers beyond its ration");
                    model.record_recovery(Recovered::No);
                    assert_eq!(health, model);
                }
                Event::WorkerRetired { worker, health } => {
                    assert_eq!(workers.remove(worker).as_ref(), Some(health));
                    assert!(!health.is_healthy() && !health.may_recover());
                }
                Event::WorkerStopped { worker } => {
                    let health = workers.remove(worker).expect("a worker leaves once");
                    assert!(health.is_healthy() || self.stopped || health.may_recover());
                }
                _ => {}
            }
        }
        assert!(workers.is_empty(), "every worker is said to have left");
    }
}

/// Whose attempt ended how, if that is what happened.
fn ending(event: &Event<usize, (), String>) -> Option<(WorkerId, usize, Kind)> {
    match event {
        Event::JobFinished { worker, job, .. } => Some((*worker, *job, Kind::Finished)),
        Event::JobFailed { worker, job, error } => Some((*worker, *job, Kind::of_error(error))),
        Event::JobRequeued { worker, job, .. } => Some((*worker, *job, Kind::Requeued)),
        Event::JobReleased { worker, job, error: Some(_) } => Some((*worker, *job, Kind::Released)),
        Event::JobReleased { worker, job, error: None } => Some((*worker, *job, Kind::Cancelled)),
        _ => None,
    }
}
