//! Laws of the delays, for any policy that can be built.

use std::{collections::HashSet, time::Duration};

use proptest::prelude::*;

use crate::{AdaptiveBackoff, ExponentialBackoff, Jitter};

fn jitters() -> impl Strategy<Value = Jitter> {
    prop_oneof![
        Just(Jitter::None),
        (0.0..=1.0).prop_map(Jitter::Proportional),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        Just(Jitter::Decorrelated),
    ]
}

/// From nothing through everyday numbers to the ends of what a `Duration` holds.
fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (0..100_000_000_000_u64).prop_map(Duration::from_nanos),
        (0..=u64::MAX, 0..1_000_000_000_u32).prop_map(|(s, ns)| Duration::new(s, ns)),
    ]
}

prop_compose! {
    fn policies()(
        base in durations(),
        max in durations(),
        factor in prop_oneof![Just(1.0), Just(2.0), 1.0..10.0, Just(f64::MAX), Just(f64::INFINITY)],
        jitter in jitters(),
        seed: u64,
    ) -> ExponentialBackoff {
        ExponentialBackoff::new()
            .with_base(base)
            .with_max(max)
            .with_factor(factor)
            .with_jitter(jitter)
            .with_seed(seed)
    }
}

proptest! {
    #[test]
    fn no_delay_is_over_the_maximum(policy in policies()) {
        for (failures, delay) in policy.delays().take(100).enumerate() {
            prop_assert!(delay <= policy.max(), "after {failures} failures: {delay:?}");
        }
    }

    #[test]
    fn any_number_of_failures_has_a_delay(policy in policies(), failures: u32) {
        for failures in [failures, u32::MAX] {
            prop_assert!(policy.delay(failures) <= policy.max(), "over the maximum");
            prop_assert!(policy.delay(failures) >= policy.delay(failures / 2), "delays shrink");
        }
    }

    #[test]
    fn without_jitter_the_delays_are_exponential(base in 0..5000_u64, failures in 0..20_u32) {
        let policy = ExponentialBackoff::new()
            .with_base(Duration::from_millis(base))
            .with_max(Duration::from_secs(100))
            .with_jitter(Jitter::None);
        let expected = Duration::from_millis(base << failures).min(policy.max());
        prop_assert_eq!(policy.delay(failures), expected);
        prop_assert_eq!(policy.delays().nth(failures as usize), Some(expected));
    }

    #[test]
    fn each_jitter_keeps_to_its_range(
        base in 1..50_000_u64,
        jitter in jitters(),
        seed: u64,
        failures in 0..10_u32,
    ) {
        let policy = ExponentialBackoff::new()
            .with_base(Duration::from_millis(base))
            .with_jitter(jitter)
            .with_seed(seed);
        let drawn = policy.delays().nth(failures as usize).unwrap().as_secs_f64();
        let exact = policy.delay(failures).as_secs_f64();
        let range = match jitter {
            Jitter::None => exact..=exact,
            Jitter::Full => 0.0..=exact,
            Jitter::Equal => exact / 2.0..=exact,
            Jitter::Decorrelated => policy.base().as_secs_f64()..=60.0,
            Jitter::Proportional(share) => {
                let middle = exact.min(60.0 / (1.0 + share));
                middle * (1.0 - share)..=middle * (1.0 + share)
            }
        };
        let (low, high) = (range.start() - 1e-6, range.end() + 1e-6);
        prop_assert!((low..=high).contains(&drawn), "{drawn} is not in {range:?}");
    }

    #[test]
    fn at_the_maximum_delays_are_still_spread(seed: u64, share in 0.01..=1.0) {
        for jitter in
            [Jitter::Proportional(share), Jitter::Full, Jitter::Equal, Jitter::Decorrelated]
        {
            let policy = ExponentialBackoff::new().with_jitter(jitter).with_seed(seed);
            let delays: HashSet<_> = policy.delays().skip(20).take(200).collect();
            prop_assert!(delays.len() >= 195, "{jitter:?} has {} delays of 200", delays.len());
        }
    }

    #[test]
    fn the_same_seed_draws_the_same(policy in policies()) {
        prop_assert!(policy.delays().take(20).eq(policy.delays().take(20)), "not repeatable");
    }

    #[test]
    fn attempts_and_time_are_kept(policy in policies(), attempts in 1..50_u32, limit in durations()) {
        let policy = policy.with_max_attempts(attempts).with_max_elapsed(limit);
        let delays: Vec<_> = policy.delays().collect();
        prop_assert!(delays.len() < attempts as usize, "more retries than attempts allow");
        let sum = delays.iter().fold(Duration::ZERO, |sum, delay| sum.saturating_add(*delay));
        prop_assert!(sum <= limit, "{sum:?} is over the time of {limit:?}");
    }

    #[test]
    fn what_a_server_asks_for_is_a_floor(
        policy in policies(),
        failures in 0..100_u32,
        floor in durations(),
    ) {
        let mut backoff = AdaptiveBackoff::new(policy);
        (0..failures).for_each(|_| backoff.record_failure());
        backoff.record_retry_after(floor);
        let delay = backoff.delay();
        prop_assert!(delay >= floor, "{delay:?} is under the floor of {floor:?}");
        let most = policy.max().max(floor.saturating_add(floor / 10));
        prop_assert!(delay <= most, "{delay:?} is more than a tenth over the floor");
        prop_assert!(backoff.delay() <= policy.max(), "the floor held for more than one delay");
    }
}

#[test]
fn without_a_seed_each_run_draws_anew() {
    let runs: HashSet<_> =
        (0..100).map(|_| ExponentialBackoff::new().delays().next().unwrap()).collect();
    assert!(runs.len() > 95, "100 runs share {} first delays", runs.len());
}

#[test]
fn a_seed_means_the_same_everywhere() {
    let delays = ExponentialBackoff::new().with_seed(7).delays().take(4);
    let nanos: Vec<_> = delays.map(|delay| delay.as_nanos()).collect();
    let expected = [911_072_087, 1_868_846_342, 4_174_060_903, 7_883_535_711];
    assert_eq!(nanos, expected, "earlier versions and other platforms draw differently");
}
