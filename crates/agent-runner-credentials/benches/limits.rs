//! A lease and its report beside what they cannot do without, in the same run.

#![expect(clippy::print_stdout, reason = "a benchmark's data goes to stdout")]

use std::{
    env,
    hint::black_box,
    sync::Mutex,
    time::{Instant, SystemTime},
};

use agent_runner_credentials::{Answer, ApiKey, Credential, End, KeyRing, Want, classify};

const BODY: &str = r#"{"type":"error","error":{"type":"rate_limit_error",
    "message":"This request would exceed your organization's rate limit."},"request_id":"req_1"}"#;
const HEADERS: [(&str, &str); 3] = [
    ("content-type", "application/json"),
    ("retry-after", "17"),
    ("anthropic-ratelimit-requests-remaining", "0"),
];
const LIMITS: [(&str, &str); 6] = [
    ("anthropic-ratelimit-requests-limit", "60000000"),
    ("anthropic-ratelimit-requests-remaining", "59999999"),
    ("anthropic-ratelimit-input-tokens-limit", "60000000"),
    ("anthropic-ratelimit-input-tokens-remaining", "60000000"),
    ("anthropic-ratelimit-output-tokens-limit", "60000000"),
    ("anthropic-ratelimit-output-tokens-remaining", "60000000"),
];

fn main() {
    let quick =
        env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some() || env::args().any(|arg| arg == "--test");
    let (rounds, count) = if quick { (3, 10) } else { (41, 20_000) };
    for keys in [1, 8, 64] {
        for (limits, what) in [(&[][..], ""), (&LIMITS, ", limits known")] {
            let case = format!("lease and success, {keys} keys{what}");
            let ours = &mut |n| leases(keys, limits, n);
            compare(&case, "<= 2 us", rounds, count, ours, &mut |n| index(keys, n));
        }
    }
    compare("meaning of a 429", "-", rounds, count, &mut meanings, &mut parses);
}

/// Each key is told its limits once, if there are any.
fn leases(keys: usize, limits: &[(&str, &str)], count: u32) {
    let key = |number| {
        let key = ApiKey::new(&format!("sk-{number}")).expect("it has no white space");
        Credential::new(format!("key-{number}"), "anthropic", key)
    };
    let ring = Mutex::new(KeyRing::new((0..keys).map(key)));
    let want = Want::call().tokens(1000, 100);
    for number in 0..count {
        let now = SystemTime::now();
        let ring = &mut *ring.lock().expect("nobody panics with the lock");
        let lease = ring.lease(now, &want).expect("no key is refused here");
        black_box(lease.credential());
        let headers = if (number as usize) < keys { limits } else { &[] };
        ring.settle(lease, now, End::Answer(&Answer::new(200, headers, ""), None));
    }
}

/// A place in a list that is moved on, and a look at a clock.
fn index(keys: usize, count: u32) {
    let list = Mutex::new(((0..keys).map(|n| format!("sk-{n}")).collect::<Vec<_>>(), 0));
    for _ in 0..count {
        black_box(Instant::now());
        let (keys, next) = &mut *list.lock().expect("nobody panics with the lock");
        *next = (*next + 1) % keys.len();
        black_box(&keys[*next]);
    }
}

fn meanings(count: u32) {
    let now = SystemTime::now();
    for _ in 0..count {
        black_box(classify(black_box(&Answer::new(429, &HEADERS, BODY)), now));
    }
}

/// Only the JSON.
fn parses(count: u32) {
    for _ in 0..count {
        black_box(serde_json::from_str::<serde_json::Value>(black_box(BODY))).ok();
    }
}

type Work<'a> = &'a mut dyn FnMut(u32);

fn compare(case: &str, goal: &str, rounds: usize, count: u32, ours: Work<'_>, limit: Work<'_>) {
    let (mut our_times, mut limit_times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        our_times.push(microseconds(count, ours));
        limit_times.push(microseconds(count, limit));
    }
    let (ours, limit) = (median(our_times), median(limit_times));
    println!(
        r#"{{"bench":"credentials","case":"{case}","ours":{ours:.3},"limit":{limit:.3},"unit":"us","ratio":{:.2},"goal":"{goal}"}}"#,
        ours / limit
    );
}

fn microseconds(count: u32, work: Work<'_>) -> f64 {
    let start = Instant::now();
    work(count);
    start.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
