//! Our operations beside what they cannot do without, in the same run.

#![expect(clippy::print_stdout, reason = "a benchmark's data goes to stdout")]

use std::{
    env,
    hint::black_box,
    sync::Mutex,
    time::{Duration, Instant},
};

use agent_runner_backoff::{AdaptiveBackoff, ExponentialBackoff, RetryBudget, retry_blocking};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

/// Failures before a success, in both loops.
const RUN: u32 = 12;

fn main() {
    let quick =
        env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some() || env::args().any(|arg| arg == "--test");
    let (rounds, runs) = if quick { (3, 10) } else { (41, 100_000) };
    compare("delay after a failure", "<= 2", rounds, runs * RUN, &mut delays, &mut doublings);
    compare("budget of a call", "<= 2", rounds, runs, &mut budget, &mut locks);
    compare("call that works at once", "-", rounds, runs, &mut retries, &mut calls);
}

fn delays(count: u32) {
    let mut backoff = AdaptiveBackoff::new(ExponentialBackoff::new().with_seed(1));
    for _ in 0..count / RUN {
        for _ in 0..RUN {
            black_box(backoff.delay());
            backoff.record_failure();
        }
        backoff.record_success();
    }
}

/// A bare duration, doubled, and one number drawn.
fn doublings(count: u32) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for _ in 0..count / RUN {
        let mut delay = Duration::from_secs(1);
        for _ in 0..RUN {
            black_box(delay.mul_f64(0.9 + 0.2 * rng.random::<f64>()));
            delay = (black_box(delay) * 2).min(Duration::from_secs(60));
        }
    }
}

fn budget(count: u32) {
    let budget = RetryBudget::new();
    let now = Instant::now();
    for _ in 0..count {
        black_box(&budget).deposit_at(now);
    }
}

/// A lock around a number.
fn locks(count: u32) {
    let balance = Mutex::new(0.0_f64);
    for _ in 0..count {
        let balance = &mut *black_box(&balance).lock().expect("nobody panics with the lock");
        *balance = (*balance - 0.1).max(0.0);
    }
}

fn retries(count: u32) {
    for number in 0..count {
        black_box(retry_blocking(|| Ok::<_, u32>(black_box(number))).call()).ok();
    }
}

/// The call alone, with the look at the clock that a limit of time needs.
fn calls(count: u32) {
    for number in 0..count {
        black_box(Instant::now());
        black_box(Ok::<_, u32>(black_box(number))).ok();
    }
}

type Work<'a> = &'a mut dyn FnMut(u32);

fn compare(case: &str, goal: &str, rounds: usize, count: u32, ours: Work<'_>, limit: Work<'_>) {
    let (mut our_times, mut limit_times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        our_times.push(nanoseconds(count, ours));
        limit_times.push(nanoseconds(count, limit));
    }
    let (ours, limit) = (median(our_times), median(limit_times));
    println!(
        r#"{{"bench":"backoff","case":"{case}","ours":{ours:.1},"limit":{limit:.1},"unit":"ns","ratio":{:.2},"goal":"{goal}"}}"#,
        ours / limit
    );
}

fn nanoseconds(count: u32, work: Work<'_>) -> f64 {
    let start = Instant::now();
    work(count);
    start.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
