//! When a lease is to be renewed, and when it is over.

use std::time::{Duration, Instant};

/// The holder's side of a lease, by its own monotonic clock. It knows no file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Renewal {
    ttl: Duration,
    /// A moment before the record was last seen to be written in time.
    last: Instant,
}

impl Renewal {
    /// A lease that is about to be written for the first time.
    pub(crate) fn new(ttl: Duration, now: Instant) -> Self {
        Self { ttl, last: now }
    }

    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Whether a contender may soon take it: a tenth of the lease before it is over.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.end()
    }

    /// Notes that it was renewed by a write that began at one time and was seen to have reached the
    /// right file at another.
    ///
    /// False if it was over by then: a contender may have judged what was there before.
    #[must_use]
    pub(crate) fn renew(&mut self, began: Instant, seen: Instant) -> bool {
        let in_time = !self.is_over(seen);
        if in_time {
            self.last = began;
        }
        in_time
    }

    /// When to renew it: after a third of its length, at short intervals if that failed, and at
    /// its end, when it is lost.
    pub(crate) fn due(&self, now: Instant) -> Instant {
        let planned = self.last + self.ttl / 3;
        let next = if planned > now { planned } else { now + self.ttl / 20 };
        next.min(self.end())
    }

    fn end(&self) -> Instant {
        self.last + self.ttl / 10 * 9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn it_is_over_before_a_contender_may_act() {
        let start = Instant::now();
        let lease = Renewal::new(TTL, start);
        assert!(!lease.is_over(after(start, 26)));
        assert!(lease.is_over(after(start, 27)));
    }

    #[test]
    fn it_counts_from_before_the_write() {
        let start = Instant::now();
        let mut lease = Renewal::new(TTL, start);
        assert!(lease.renew(after(start, 10), after(start, 20)));
        assert!(!lease.is_over(after(start, 36)));
        assert!(lease.is_over(after(start, 37)));
    }

    #[test]
    fn a_renewal_that_took_too_long_is_none() {
        let start = Instant::now();
        let mut lease = Renewal::new(TTL, start);
        assert!(!lease.renew(after(start, 10), after(start, 27)));
        assert!(lease.is_over(after(start, 27)));
    }

    #[test]
    fn it_is_due_after_a_third_then_often_and_at_the_end() {
        let start = Instant::now();
        let lease = Renewal::new(TTL, start);
        assert_eq!(lease.due(start), after(start, 10));
        assert_eq!(lease.due(after(start, 12)), after(start, 12) + TTL / 20);
        assert_eq!(lease.due(after(start, 26)), after(start, 27));
    }
}
