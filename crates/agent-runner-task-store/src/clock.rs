//! Where a store takes the time from.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Tells a store what time it is.
///
/// Leases, delays and what is written down all use this one clock, so that a test can let an hour
/// pass without waiting.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock(Mutex<SystemTime>);

impl ManualClock {
    /// A clock that shows `now`.
    pub const fn new(now: SystemTime) -> Self {
        Self(Mutex::new(now))
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl Default for ManualClock {
    /// A clock that shows an afternoon in 2026.
    fn default() -> Self {
        Self::new(UNIX_EPOCH + Duration::from_secs(1_795_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since 1970, the time that stores keep.
pub(crate) type Millis = i64;

/// The time now, rounded down.
pub(crate) fn now(clock: &dyn Clock) -> Millis {
    let since = clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// The first millisecond at which `time` is reached.
pub(crate) fn ceil(time: SystemTime) -> Millis {
    length(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A length of time, rounded up.
pub(crate) fn length(duration: Duration) -> Millis {
    let whole = Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX);
    let rest = !duration.subsec_nanos().is_multiple_of(1_000_000);
    whole.saturating_add(Millis::from(rest))
}

/// Milliseconds back to a time; what lies before 1970 becomes 1970.
pub(crate) fn time(at: Millis) -> SystemTime {
    UNIX_EPOCH + duration(at)
}

/// Milliseconds back to a length; less than nothing becomes nothing.
pub(crate) fn duration(length: Millis) -> Duration {
    Duration::from_millis(u64::try_from(length).unwrap_or(0))
}
