//! The settings of a pool, checked once.

use std::time::Duration;

use crate::{HealthPolicy, Pool, waits::Waits};

/// What a pool is built from. The defaults:
///
/// | setting | default |
/// |---|---|
/// | [`workers`](Self::workers) | 4 |
/// | [`health`](Self::health) | 3 failures in a row, 5 attempts at recovery |
/// | [`waits`](Self::waits) | 1 s, doubled up to 60 s |
/// | [`max_requeues`](Self::max_requeues) | 5 |
/// | [`timeout`](Self::timeout) | none |
/// | [`grace`](Self::grace) | 10 s |
/// | [`event_buffer`](Self::event_buffer) | 256 |
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PoolBuilder {
    pub(crate) settings: Settings,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) workers: usize,
    pub(crate) health: HealthPolicy,
    pub(crate) waits: Waits,
    pub(crate) max_requeues: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) event_buffer: usize,
}

impl PoolBuilder {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings {
                workers: 4,
                health: HealthPolicy::default(),
                waits: Waits::default(),
                max_requeues: 5,
                timeout: None,
                grace: Duration::from_secs(10),
                event_buffer: 256,
            },
        }
    }

    /// Sets how many jobs run at once.
    #[doc(alias = "max_workers")]
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = workers;
        self
    }

    /// Sets when a worker needs recovery, and how often it is tried.
    pub fn health(mut self, policy: HealthPolicy) -> Self {
        self.settings.health = policy;
        self
    }

    /// Sets how long a worker waits before each attempt at recovery.
    ///
    /// Every recovery begins with a fresh iterator; a backoff is one. When it ends, its last wait is
    /// repeated.
    pub fn waits<I>(mut self, make: impl Fn() -> I + Send + Sync + 'static) -> Self
    where
        I: Iterator<Item = Duration> + Send + 'static,
    {
        self.settings.waits = Waits::new(make);
        self
    }

    /// Sets how often a job goes back because its worker failed, before it counts as failed itself.
    ///
    /// This is against a job that breaks every worker it meets. It is compared with
    /// [`Assignment::requeues`](crate::Assignment::requeues).
    pub fn max_requeues(mut self, times: u32) -> Self {
        self.settings.max_requeues = times;
        self
    }

    /// Sets the time that a job has, unless [`Handler::timeout`](crate::Handler::timeout) says
    /// otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Sets how long a job may go on after it was told to stop, before it is dropped.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// Sets how many events wait for a slow reader before the workers wait too.
    pub fn event_buffer(mut self, events: usize) -> Self {
        self.settings.event_buffer = events;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// When no job could ever run, or no event be sent.
    pub fn build(self) -> Result<Pool, BuildError> {
        let settings = self.settings;
        let (setting, max) = if settings.workers == 0 || settings.workers > MAX_WORKERS {
            ("workers", MAX_WORKERS)
        } else if settings.event_buffer == 0 || settings.event_buffer > MAX_EVENTS {
            ("event_buffer", MAX_EVENTS)
        } else if settings.health.max_consecutive_failures == 0 {
            ("max_consecutive_failures", u32::MAX as usize)
        } else if settings.timeout == Some(Duration::ZERO) {
            return Err(BuildError::NoTime);
        } else {
            return Ok(Pool::new(settings));
        };
        Err(BuildError::OutOfRange { setting, max })
    }
}

pub(crate) const MAX_WORKERS: usize = 1 << 20;
const MAX_EVENTS: usize = 1 << 24;

/// Why a pool cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A number is too small or too large.
    #[error("`{setting}` has to be from 1 to {max}")]
    OutOfRange {
        /// The setting.
        setting: &'static str,
        /// The largest number.
        max: usize,
    },
    /// No job could ever be done in no time.
    #[error("`timeout` has to be longer than nothing")]
    NoTime,
}
