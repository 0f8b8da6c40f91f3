//! The health of a worker: counters and rules, without a clock and without a runtime.

/// How much a worker may fail before it needs recovery, and how often recovery is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPolicy {
    /// So many failures in a row make a worker unhealthy (3). 1 recovers after every failure.
    #[doc(alias = "MAX_CONSECUTIVE_FAILURES")]
    pub max_consecutive_failures: u32,
    /// A worker's ration of attempts at recovery, good and bad ones, for its whole life (5).
    #[doc(alias = "MAX_RECOVERY_ATTEMPTS")]
    pub max_recovery_attempts: u32,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self { max_consecutive_failures: 3, max_recovery_attempts: 5 }
    }
}

/// What a worker has been through: failures of its own, and recoveries.
///
/// A pure value: whoever holds it decides what follows from [`is_healthy`](Self::is_healthy) and
/// [`may_recover`](Self::may_recover). The pool gives an unhealthy worker no job, and retires it
/// when it may not recover.
///
/// # Examples
///
/// ```
/// use agent_runner_pool::{HealthPolicy, Recovered, WorkerHealth};
///
/// let mut health = WorkerHealth::new(HealthPolicy::default());
/// for _ in 0..3 {
///     health.record_failure();
/// }
/// assert!(!health.is_healthy());
///
/// health.record_recovery(Recovered::Yes);
/// assert!(health.is_healthy());
/// assert_eq!(health.recovery_attempts(), 1);
/// ```
#[doc(alias = "WorkerHealthState")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerHealth {
    policy: HealthPolicy,
    consecutive_failures: u32,
    recovery_attempts: u32,
    total_recoveries: u32,
}

impl WorkerHealth {
    /// A worker that nothing has happened to.
    pub const fn new(policy: HealthPolicy) -> Self {
        Self { policy, consecutive_failures: 0, recovery_attempts: 0, total_recoveries: 0 }
    }

    /// Counts a failure of the worker. A job's own failure is none.
    pub const fn record_failure(&mut self) {
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
    }

    /// Ends a row of failures: a job got done on this worker.
    pub const fn record_success(&mut self) {
        self.consecutive_failures = 0;
    }

    /// Counts an attempt at recovery. A good one ends the row of failures.
    pub const fn record_recovery(&mut self, recovered: Recovered) {
        self.recovery_attempts = self.recovery_attempts.saturating_add(1);
        if matches!(recovered, Recovered::Yes) {
            self.total_recoveries = self.total_recoveries.saturating_add(1);
            self.consecutive_failures = 0;
        }
    }

    /// Whether it may be given a job.
    pub const fn is_healthy(&self) -> bool {
        self.consecutive_failures < self.policy.max_consecutive_failures
    }

    /// Whether its ration of recoveries has something left.
    #[doc(alias = "should_attempt_recovery")]
    pub const fn may_recover(&self) -> bool {
        self.recovery_attempts < self.policy.max_recovery_attempts
    }

    /// The rules it is judged by.
    pub const fn policy(&self) -> HealthPolicy {
        self.policy
    }

    /// Failures since the last success or recovery.
    pub const fn consecutive_failures(&self) -> u32 {
        self.consecutive_failures
    }

    /// Attempts at recovery so far.
    pub const fn recovery_attempts(&self) -> u32 {
        self.recovery_attempts
    }

    /// Attempts at recovery that succeeded.
    pub const fn total_recoveries(&self) -> u32 {
        self.total_recoveries
    }
}

/// What an attempt at recovery led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovered {
    /// The worker can work again.
    Yes,
    /// Not yet; it is tried again while the ration lasts.
    No,
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Failure,
        Success,
        Recovery(Recovered),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Failure),
            1 => Just(Step::Success),
            1 => Just(Step::Recovery(Recovered::Yes)),
            1 => Just(Step::Recovery(Recovered::No)),
        ]
    }

    proptest! {
        /// The counters against the whole history, read anew each time.
        #[test]
        fn the_history_decides(steps in vec(step(), 0..40), most in 1..5_u32, ration in 0..5_u32) {
            let policy =
                HealthPolicy { max_consecutive_failures: most, max_recovery_attempts: ration };
            let mut health = WorkerHealth::new(policy);
            for (index, step) in steps.iter().enumerate() {
                match step {
                    Step::Failure => health.record_failure(),
                    Step::Success => health.record_success(),
                    Step::Recovery(recovered) => health.record_recovery(*recovered),
                }
                let history = &steps[..=index];
                let in_a_row = history
                    .iter()
                    .rev()
                    .take_while(|step| !matches!(step, Step::Success | Step::Recovery(Recovered::Yes)))
                    .filter(|step| matches!(step, Step::Failure))
                    .count();
                let count = |fits: fn(&&Step) -> bool| history.iter().filter(fits).count();
                let attempts = count(|step| matches!(step, Step::Recovery(_)));
                let recovered = count(|step| matches!(step, Step::Recovery(Recovered::Yes)));
                prop_assert_eq!(health.is_healthy(), in_a_row < most as usize);
                prop_assert_eq!(health.may_recover(), attempts < ration as usize);
                prop_assert_eq!(health.total_recoveries() as usize, recovered);
            }
        }
    }

    #[test]
    fn the_defaults_are_three_and_five() {
        let mut health = WorkerHealth::new(HealthPolicy::default());
        let mut failures = 0;
        while health.is_healthy() {
            health.record_failure();
            failures += 1;
        }
        let mut attempts = 0;
        while health.may_recover() {
            health.record_recovery(Recovered::No);
            attempts += 1;
        }
        assert_eq!((failures, attempts), (3, 5));
    }
}
