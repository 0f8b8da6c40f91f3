//! How many jobs should run at once, learned from how they end: rules, without a clock and without
//! a runtime.

use std::time::{Duration, Instant};

/// How an [`AdaptiveLimit`] moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptivePolicy {
    /// The limit at the beginning, if the most that is allowed is not less (4).
    pub start: usize,
    /// How long after a cut no other follows, and nothing grows (15 s). A longer wait that was
    /// asked for counts instead.
    pub cooldown: Duration,
}

impl Default for AdaptivePolicy {
    fn default() -> Self {
        Self { start: 4, cooldown: Duration::from_secs(15) }
    }
}

/// A limit between 1 and a maximum that follows what a provider can take.
///
/// Who asks too much of a provider is told so by many jobs at once, and again as long as those
/// under way have not ended: an *episode*. It costs a fifth of the limit, once. A *round* of jobs
/// that all end well, as many as the limit, raises it: to twice as much until the first episode,
/// and by a twentieth (but at least by one) from then on. Trouble that is not about how much was
/// asked, such as a provider that is down, begins the round anew and lowers nothing.
///
/// A pure value: the time is passed in, and whoever holds it keeps the limit.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use agent_runner_pool::{AdaptiveLimit, AdaptivePolicy};
///
/// let mut limit = AdaptiveLimit::new(20, AdaptivePolicy::default());
/// let now = Instant::now();
/// for _ in 0..4 {
///     limit.record_success(now);
/// }
/// assert_eq!(limit.get(), 8);
///
/// limit.record_throttled(now, None);
/// limit.record_throttled(now + Duration::from_secs(1), None); // The same episode.
/// assert_eq!(limit.get(), 6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveLimit {
    policy: AdaptivePolicy,
    max: usize,
    limit: usize,
    /// Jobs of this round that ended well.
    clean: usize,
    was_throttled: bool,
    cool_at: Option<Instant>,
}

impl AdaptiveLimit {
    /// A limit that never exceeds `max`; 0 is taken for 1.
    pub fn new(max: usize, policy: AdaptivePolicy) -> Self {
        let max = max.max(1);
        let limit = policy.start.clamp(1, max);
        Self { policy, max, limit, clean: 0, was_throttled: false, cool_at: None }
    }

    /// How many jobs may run now.
    pub const fn get(&self) -> usize {
        self.limit
    }

    /// Counts a job that ended without a word about limits. Those that ran while fewer did than
    /// the limit allows say nothing about it, and are better not counted.
    pub fn record_success(&mut self, now: Instant) {
        if self.is_cooling(now) || self.limit == self.max {
            return;
        }
        self.clean += 1;
        if self.clean >= self.limit {
            let more = if self.was_throttled { (self.limit / 20).max(1) } else { self.limit };
            self.change(self.limit.saturating_add(more).min(self.max));
        }
    }

    /// Counts a job that met trouble of another kind: a provider without room, a cut line.
    pub const fn record_trouble(&mut self) {
        self.clean = 0;
    }

    /// Counts a job that was told to slow down, maybe for a time.
    pub fn record_throttled(&mut self, now: Instant, retry_after: Option<Duration>) {
        let begins = !self.is_cooling(now);
        if begins {
            self.change((self.limit * 4 / 5).max(1));
        }
        self.was_throttled = true;
        let wait = if begins { Some(self.policy.cooldown) } else { None };
        let until = wait.max(retry_after).and_then(|wait| now.checked_add(wait));
        self.cool_at = self.cool_at.max(until);
    }

    fn is_cooling(&self, now: Instant) -> bool {
        self.cool_at.is_some_and(|at| now < at)
    }

    const fn change(&mut self, limit: usize) {
        self.limit = limit;
        self.clean = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Success,
        Trouble,
        Throttled(Option<Duration>),
    }

    fn step() -> impl Strategy<Value = (Step, Duration)> {
        let retry_after = prop::option::of((0..60_u64).prop_map(Duration::from_secs));
        let step = prop_oneof![
            30 => Just(Step::Success),
            1 => Just(Step::Trouble),
            2 => retry_after.prop_map(Step::Throttled),
        ];
        (step, (0..8_000_u64).prop_map(Duration::from_millis))
    }

    fn record(limit: &mut AdaptiveLimit, step: Step, now: Instant) {
        match step {
            Step::Success => limit.record_success(now),
            Step::Trouble => limit.record_trouble(),
            Step::Throttled(wait) => limit.record_throttled(now, wait),
        }
    }

    proptest! {
        #[test]
        fn it_stays_in_its_bounds_and_each_end_moves_it_one_way(
            steps in vec(step(), 0..300), max in 0..200_usize, start in 0..300_usize,
        ) {
            let policy = AdaptivePolicy { start, ..AdaptivePolicy::default() };
            let mut limit = AdaptiveLimit::new(max, policy);
            let mut now = Instant::now();
            let mut cool_at = now;
            for (step, after) in steps {
                now += after;
                let before = limit.get();
                record(&mut limit, step, now);
                let (cut, grown) = (limit.get() < before, limit.get() > before);
                prop_assert!((1..=max.max(1)).contains(&limit.get()));
                match step {
                    Step::Success => prop_assert!(!(cut || grown && now < cool_at)),
                    Step::Trouble => prop_assert_eq!(limit.get(), before),
                    Step::Throttled(wait) => {
                        let begins = now >= cool_at;
                        prop_assert!(!grown);
                        prop_assert_eq!(cut, begins && before > 1, "once an episode");
                        prop_assert!(limit.get() >= before * 4 / 5);
                        let cooldown = if begins { policy.cooldown } else { Duration::ZERO };
                        cool_at = cool_at.max(now + wait.unwrap_or_default().max(cooldown));
                    }
                }
            }
        }

        /// Between two changes lies a whole round of jobs that ended well, with no trouble among them.
        #[test]
        fn only_a_clean_round_raises_it(steps in vec(step(), 0..300), max in 1..50_usize) {
            let mut limit = AdaptiveLimit::new(max, AdaptivePolicy::default());
            let (mut clean, mut throttled) = (0, false);
            let mut now = Instant::now();
            for (step, after) in steps {
                now += after;
                let before = limit.get();
                record(&mut limit, step, now);
                match step {
                    Step::Success => clean += 1,
                    Step::Trouble => clean = 0,
                    Step::Throttled(_) => (clean, throttled) = (0, true),
                }
                if limit.get() > before {
                    prop_assert!(clean >= before);
                    let most = if throttled { before + (before / 20).max(1) } else { 2 * before };
                    prop_assert_eq!(limit.get(), most.min(max));
                    clean = 0;
                }
            }
        }
    }

    #[test]
    fn a_provider_with_room_for_ten_is_found_and_kept_near() {
        let mut limit = AdaptiveLimit::new(100, AdaptivePolicy::default());
        let mut now = Instant::now();
        let mut seen = Vec::new();
        for _ in 0..500 {
            now += Duration::from_secs(20);
            let running = limit.get();
            for job in 0..running {
                if job < 10 { limit.record_success(now) } else { limit.record_throttled(now, None) }
            }
            seen.push(running);
        }
        let settled = &seen[20..];
        assert!(settled.iter().all(|limit| (8..=11).contains(limit)), "{settled:?}");
    }
}
