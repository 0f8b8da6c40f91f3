//! The two bugs of the sketch that the project started from, and a check that finds them.

use std::time::Duration;

use agent_runner_backoff::{AdaptiveBackoff, ExponentialBackoff};

/// The sketch's arithmetic: `None` where Python raises `OverflowError`. `random` is from -1 to 1.
fn sketch(failures: u32, random: f64) -> Option<f64> {
    let power = 2_f64.powi(i32::try_from(failures).ok()?);
    let delay = (power.is_finite().then_some(power)?).min(60.0);
    Some(f64::max(0.0, delay + delay * 0.1 * random))
}

/// What is wrong with a way to find delays, if anything.
fn fault(mut delay: impl FnMut(u32) -> Option<f64>) -> Option<&'static str> {
    for failures in [0, 1, 5, 6, 7, 64, 1023, 1024, 100_000] {
        for _ in 0..100 {
            match delay(failures) {
                None => return Some("overflow"),
                Some(seconds) if seconds > 60.0 => return Some("over the maximum"),
                Some(_) => (),
            }
        }
    }
    None
}

fn ours(failures: u32) -> f64 {
    let mut backoff = AdaptiveBackoff::default();
    (0..failures).for_each(|_| backoff.record_failure());
    backoff.delay().as_secs_f64()
}

#[test]
fn the_check_finds_the_bugs_of_the_sketch() {
    assert_eq!(fault(|failures| sketch(failures, 1.0)), Some("over the maximum"));
    assert_eq!(fault(|failures| sketch(failures, 0.0)), Some("overflow"));
}

#[test]
fn ours_has_neither() {
    assert_eq!(fault(|failures| Some(ours(failures))), None);
}

#[test]
fn the_numbers_are_those_of_the_sketch() {
    let policy = ExponentialBackoff::default();
    for failures in 0..10 {
        let expected = sketch(failures, 0.0).map(Duration::from_secs_f64);
        assert_eq!(Some(policy.delay(failures)), expected, "after {failures} failures");
    }
    assert_eq!(policy.jitter(), agent_runner_backoff::Jitter::Proportional(0.1));
}

#[test]
fn a_success_starts_from_the_base() {
    let mut backoff = AdaptiveBackoff::default();
    (0..9).for_each(|_| backoff.record_failure());
    backoff.record_success();
    let delay = backoff.delay().as_secs_f64();
    assert!((0.9..=1.1).contains(&delay), "{delay} s is not the base of 1 s");
    assert_eq!(backoff.consecutive_failures(), 0);
}
