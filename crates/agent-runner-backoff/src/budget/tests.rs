//! The law of the budget, on a clock of its own.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::RetryBudget;

#[derive(Debug, Clone)]
enum Step {
    Call,
    Retry,
    Pass(Duration),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Call),
        6 => Just(Step::Retry),
        1 => (0..20_000_u64).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #[test]
    fn retries_are_a_share_of_traffic(
        steps in steps(),
        share in 0.0..1.0,
        reserve in 0.0..3.0,
        burst in 0.0..20.0,
    ) {
        let budget =
            RetryBudget::new().with_share(share).with_reserve(reserve).with_burst(burst);
        let start = Instant::now();
        let (mut now, mut calls, mut retries) = (start, 0.0, 0.0);
        for step in steps {
            match step {
                Step::Pass(time) => now += time,
                Step::Call => {
                    calls += 1.0;
                    budget.deposit_at(now);
                }
                Step::Retry => retries += f64::from(u8::from(budget.withdraw_at(now))),
            }
            let allowed = burst + share * calls + reserve * (now - start).as_secs_f64();
            prop_assert!(retries <= allowed + 1e-6, "{retries} retries, {allowed} are allowed");
        }
    }
}

#[test]
fn an_outage_is_not_multiplied() {
    let budget = RetryBudget::new().with_reserve(0.0);
    let now = Instant::now();
    let retries = (0..10_000).filter(|_| {
        budget.deposit_at(now);
        budget.withdraw_at(now)
    });
    assert_eq!(retries.count(), 1009, "10 % of the calls and what was saved up");
}

#[test]
fn time_fills_an_empty_budget() {
    let budget = RetryBudget::new().with_burst(2.0).with_reserve(0.5);
    let now = Instant::now();
    assert!(budget.withdraw_at(now) && budget.withdraw_at(now), "it starts full");
    assert!(!budget.withdraw_at(now), "and is empty then");
    assert!(!budget.withdraw_at(now + Duration::from_secs(1)), "half a retry is none");
    assert!(budget.withdraw_at(now + Duration::from_secs(2)), "a whole one has come in");
    let later = now + Duration::from_secs(3600);
    let saved = (0..10).filter(|_| budget.withdraw_at(later)).count();
    assert_eq!(saved, 2, "no more than the burst is saved up");
}

#[test]
fn a_clock_that_runs_backwards_gives_nothing() {
    let budget = RetryBudget::new().with_burst(1.0).with_reserve(1.0);
    let early = Instant::now();
    let late = early + Duration::from_secs(50);
    assert!(budget.withdraw_at(late), "it starts full");
    assert!(!budget.withdraw_at(early), "time that has not passed");
    assert!(!budget.withdraw_at(late), "the same time twice");
}
