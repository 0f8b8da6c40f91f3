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
