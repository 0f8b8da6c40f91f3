//! Calls on this thread.

use std::{cell::Cell, time::Duration};

use agent_runner_backoff::{ExponentialBackoff, RetryBudget, retry_blocking};

const QUICK: ExponentialBackoff =
    ExponentialBackoff::new().with_base(Duration::from_micros(10)).with_max_attempts(4);

/// Fails with 1, 2, 3 ... until `works_at`.
fn flaky(works_at: u32) -> impl FnMut() -> Result<u32, u32> {
    let mut calls = 0;
    move || {
        calls += 1;
        if calls >= works_at { Ok(calls) } else { Err(calls) }
    }
}

#[test]
fn it_tries_until_it_works() {
    assert_eq!(retry_blocking(flaky(1)).with(QUICK).call(), Ok(1));
    assert_eq!(retry_blocking(flaky(4)).with(QUICK).call(), Ok(4));
}

#[test]
fn it_gives_up_with_the_last_error() {
    assert_eq!(retry_blocking(flaky(9)).with(QUICK).call(), Err(4));
    let limit = Duration::ZERO;
    assert_eq!(retry_blocking(flaky(9)).with(QUICK.with_max_elapsed(limit)).call(), Err(1));
}

#[test]
fn it_stops_at_an_error_that_no_retry_mends() {
    assert_eq!(retry_blocking(flaky(9)).with(QUICK).when(|error| *error < 2).call(), Err(2));
}

#[test]
fn a_budget_pays_for_all_callers() {
    let budget = RetryBudget::new().with_share(0.0).with_reserve(0.0).with_burst(4.0);
    assert_eq!(retry_blocking(flaky(4)).with(QUICK).budget(&budget).call(), Ok(4));
    assert_eq!(retry_blocking(flaky(4)).with(QUICK).budget(&budget).call(), Err(2));
    assert_eq!(retry_blocking(flaky(4)).with(QUICK).budget(&budget).call(), Err(1));
}

#[test]
fn who_wants_to_know_is_told_of_each_retry() {
    let told = Cell::new(0);
    let result = retry_blocking(flaky(3))
        .with(QUICK)
        .notify(|error, delay| {
            told.set(told.get() + error);
            assert!(delay < Duration::from_millis(1), "the policy's delay");
        })
        .call();
    assert_eq!((result, told.get()), (Ok(3), 1 + 2));
}
