//! Simulated nights through the gateway over loopback, in real time at ten-fold speed, beside the
//! same nights in virtual time.
//!
//! The limit of a goodput is the optimum of somebody who knows everything in advance. What virtual
//! time came to with the same seed stands in the last column.

#![expect(clippy::print_stdout, reason = "a benchmark's data goes to stdout")]
#![expect(clippy::cast_precision_loss, reason = "counts of some thousand")]

use std::{env, time::Duration};

use agent_runner_credentials::simulate::{
    Job, Report, Scenario, Scheduled, calls, conversations, optimum, run,
};
use agent_runner_tests::night::{Keys, Outcome, spend};
use anyhow::ensure;
use serde_json::{Value, json};

/// How many times as fast as real time goes.
const SPEED: u32 = 10;
const SEED: u64 = 1;

/// The nights: their name, the goals of goodput and of refusals, how they are.
type Kind = (&'static str, &'static str, &'static str, fn(usize, u64) -> Scenario);

const KINDS: [Kind; 3] = [
    ("clean", ">= 0.98", "<= 0.5 %", Scenario::clean),
    ("faults", ">= 0.95", "<= 0.5 %", Scenario::faulty),
    ("no headers", "-", "<= 12 %", without_headers),
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let quick =
        env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some() || env::args().any(|arg| arg == "--test");
    let (count, keys, workers) =
        if quick { (60, &[4][..], &[8][..]) } else { (2_000, &[1, 4, 8][..], &[8, 32, 128][..]) };
    for kind in KINDS {
        grid(kind, count, keys, workers).await?;
    }
    sessions(if quick { 8 } else { 200 }, if quick { 3 } else { 10 }).await
}

fn without_headers(keys: usize, seed: u64) -> Scenario {
    Scenario { has_headers: false, ..Scenario::clean(keys, seed) }
}

/// All sizes of one kind of night.
async fn grid(kind: Kind, count: usize, keys: &[usize], workers: &[usize]) -> anyhow::Result<()> {
    let (name, goal, limited, scenario) = kind;
    let mut worst = Worst::default();
    for &keys in keys {
        for &workers in workers {
            let scenario = scenario(keys, SEED);
            let jobs = calls(count, SEED);
            let best = optimum(&scenario, &jobs, workers);
            let dry = run(&scenario, &jobs, workers, &mut Scheduled::new(keys));
            let outcome = night(&scenario, &jobs, workers, Keys::Shared).await?;
            worst.add(&outcome, &dry);
            let goodput = |report: &Report| 100.0 * best.as_secs_f64() / report.took.as_secs_f64();
            let more = json!({
                "virtual": two_digits(goodput(&dry)),
                "limited_pct": two_digits(100.0 * outcome.report.share(429)),
                "real_s": two_digits(outcome.real.as_secs_f64()),
            });
            let case = format!("{name}, {keys} keys x {workers}");
            tell(&case, goodput(&outcome.report), 100.0, "%", goal, more);
        }
    }
    let Worst { limited: [ours, dry], dead, in_flight, refused } = worst;
    tell(&format!("{name}: answered 429, at worst"), ours, dry, "%", limited, json!({}));
    tell(
        &format!("{name}: answers to clients that were refusals"),
        refused,
        0.0,
        "answers",
        "0",
        json!({}),
    );
    if name == "faults" {
        let more = json!({ "under_way_then": in_flight });
        tell("faults: sent with a dead key, at worst", dead, 0.0, "calls", "0", more);
    }
    Ok(())
}

/// The worst of several nights; the second of two is in virtual time.
#[derive(Default)]
struct Worst {
    limited: [f64; 2],
    dead: f64,
    in_flight: f64,
    refused: f64,
}

impl Worst {
    fn add(&mut self, outcome: &Outcome, dry: &Report) {
        let in_flight = outcome.counts.dead.values().sum::<usize>();
        let shares = [&outcome.report, dry].map(|report| 100.0 * report.share(429));
        let [ours, beside] = &mut self.limited;
        for (worst, value) in [
            (ours, shares[0]),
            (beside, shares[1]),
            (&mut self.dead, outcome.report.sent_on_dead as f64),
            (&mut self.in_flight, in_flight as f64),
            (&mut self.refused, outcome.refused as f64),
        ] {
            *worst = worst.max(value);
        }
    }
}

/// Conversations, whose prompts are cached by key, beside the same ones that never change theirs.
async fn sessions(count: usize, turns: usize) -> anyhow::Result<()> {
    let (keys, workers) = (4, 32);
    let scenario = Scenario::clean(keys, SEED);
    let jobs = conversations(count, turns, SEED);
    let dry = run(&scenario, &jobs, workers, &mut Scheduled::new(keys));
    let ours = night(&scenario, &jobs, workers, Keys::Shared).await?;
    let pinned = night(&scenario, &jobs, workers, Keys::Pinned).await?;
    let case = format!("{count} sessions x {turns}, {keys} keys x {workers}");
    let seconds = |took: Duration| took.as_secs_f64();
    let more = json!({
        "virtual": two_digits(seconds(dry.took)),
        "limited_pct": two_digits(100.0 * ours.report.share(429)),
    });
    let (time, beside) = (seconds(ours.report.took), seconds(pinned.report.took));
    tell(&format!("{case}: time, pinned keys beside"), time, beside, "s", "<= 1.1", more);
    let cost = |report: &Report| report.input_cost() / 1e6;
    let more = json!({ "virtual": two_digits(cost(&dry)) });
    let (paid, beside) = (cost(&ours.report), cost(&pinned.report));
    tell(
        &format!("{case}: input cost, pinned keys beside"),
        paid,
        beside,
        "Mtokens",
        "<= 1.1",
        more,
    );
    Ok(())
}

async fn night(
    scenario: &Scenario,
    jobs: &[Job],
    workers: usize,
    keys: Keys,
) -> anyhow::Result<Outcome> {
    let outcome = spend(scenario, jobs, workers, SPEED, keys).await?;
    ensure!(outcome.report.done == jobs.len(), "all jobs are done");
    Ok(outcome)
}

fn tell(case: &str, ours: f64, limit: f64, unit: &str, goal: &str, more: Value) {
    let ratio = if limit == 0.0 { 0.0 } else { ours / limit };
    let mut line = json!({
        "bench": "realtime",
        "case": case,
        "ours": two_digits(ours),
        "limit": two_digits(limit),
        "unit": unit,
        "ratio": (ratio * 1e3).round() / 1e3,
        "goal": goal,
    });
    if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
        line.extend(more);
    }
    println!("{line}");
}

fn two_digits(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
