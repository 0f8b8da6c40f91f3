//! The ring under simulated limits, beside the optimum and other ways to rotate keys.
//!
//! Time is virtual, so all but the CPU time of a lease is the same on every machine. The limit of a
//! goodput is the optimum; all other figures have the seed's rotation beside them.

#![expect(clippy::print_stdout, reason = "a benchmark's data goes to stdout")]

mod rivals;

use std::{env, time::Duration};

use agent_runner_credentials::simulate::{
    Client, Job, Report, Scenario, Scheduled, calls, conversations, optimum, run,
};
use rivals::{Alone, Pinned, RoundRobin, Seed};

fn main() {
    let quick =
        env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some() || env::args().any(|arg| arg == "--test");
    let (count, seeds) = if quick { (200, 1) } else { (2000, 5) };
    for (name, goal, scenario) in [
        ("clean", ">= 0.98", Scenario::clean as fn(usize, u64) -> Scenario),
        ("faults", ">= 0.95", Scenario::faulty),
        ("no headers", "-", without_headers),
    ] {
        let mut worst = [Sum::default(), Sum::default()];
        for keys in [1, 4, 8] {
            for workers in [8, 32, 128] {
                let grid = Grid { name, goal, scenario, keys, workers, count, seeds };
                let [ours, seed, _] = grid.compare();
                worst[0].worsen(&ours);
                worst[1].worsen(&seed);
            }
        }
        let [ours, seed] = worst;
        let goal = if name == "no headers" { "<= 12 %" } else { "<= 0.5 %" };
        line(&format!("{name}: answered 429, at worst"), ours.limited, seed.limited, "%", goal);
        if name == "faults" {
            line("faults: sent with a dead key, at worst", ours.dead, seed.dead, "calls", "0");
        }
        line(&format!("{name}: CPU of a lease, at worst"), ours.cpu, seed.cpu, "us", "<= 2 us");
    }
    sessions(if quick { 20 } else { 200 }, seeds);
}

fn without_headers(keys: usize, seed: u64) -> Scenario {
    Scenario { has_headers: false, ..Scenario::clean(keys, seed) }
}

/// One cell of the grid.
struct Grid {
    name: &'static str,
    goal: &'static str,
    scenario: fn(usize, u64) -> Scenario,
    keys: usize,
    workers: usize,
    count: usize,
    seeds: u64,
}

impl Grid {
    /// Prints the goodput, and returns what else was measured of the ring and of the two others.
    fn compare(&self) -> [Sum; 3] {
        let (mut ours, mut seed_way, mut round) = (Sum::default(), Sum::default(), Sum::default());
        for seed in 1..=self.seeds {
            let scenario = (self.scenario)(self.keys, seed);
            let jobs = calls(self.count, seed);
            let best = optimum(&scenario, &jobs, self.workers);
            let go = |sum: &mut Sum, client: &mut dyn Client| {
                sum.add(&run(&scenario, &jobs, self.workers, client), best, self.count);
            };
            go(&mut ours, &mut Scheduled::new(self.keys));
            go(&mut seed_way, &mut Alone::new(Seed::new(self.keys, seed)));
            go(&mut round, &mut Alone::new(RoundRobin::new(self.keys, seed)));
        }
        let Self { name, keys, workers, goal, .. } = self;
        let beside = format!("seed {:.0}, round robin {:.0}", seed_way.goodput, round.goodput);
        let case = format!("{name}, {keys} keys x {workers} ({beside})");
        line(&case, ours.goodput, 100.0, "%", goal);
        [ours, seed_way, round]
    }
}

/// The means of several runs, but for the CPU time.
#[derive(Default)]
struct Sum {
    runs: f64,
    goodput: f64,
    limited: f64,
    dead: f64,
    cpu: f64,
}

impl Sum {
    fn worsen(&mut self, other: &Self) {
        self.limited = self.limited.max(other.limited);
        self.dead = self.dead.max(other.dead);
        self.cpu = self.cpu.max(other.cpu);
    }

    fn add(&mut self, report: &Report, best: Duration, count: usize) {
        let done = number(report.done) / number(count);
        let goodput = 100.0 * best.as_secs_f64() / report.took.as_secs_f64() * done;
        let cpu = report.thinking.as_secs_f64() * 1e6 / number(report.sent);
        self.runs += 1.0;
        for (mean, value) in [
            (&mut self.goodput, goodput),
            (&mut self.limited, report.share(429) * 100.0),
            (&mut self.dead, number(report.sent_on_dead)),
        ] {
            *mean += (value - *mean) / self.runs;
        }
        // The least that was measured: what else runs on the machine only adds to it.
        self.cpu = if self.runs < 1.5 { cpu } else { self.cpu.min(cpu) };
    }
}

/// Conversations, whose prompts are cached by key.
fn sessions(count: usize, seeds: u64) {
    let (keys, workers, turns) = (4, 32, 10);
    let mut walls = [0.0; 3];
    let mut costs = [0.0; 3];
    for seed in 1..=seeds {
        let scenario = Scenario::clean(keys, seed);
        let jobs = conversations(count, turns, seed);
        let mut each = [
            run(&scenario, &jobs, workers, &mut Scheduled::new(keys)),
            run(&scenario, &jobs, workers, &mut Alone::new(Pinned::new(keys, seed))),
            run(&scenario, &jobs, workers, &mut Alone::new(RoundRobin::new(keys, seed))),
        ];
        for (index, report) in each.iter_mut().enumerate() {
            walls[index] += report.took.as_secs_f64() / number(usize::try_from(seeds).unwrap_or(1));
            costs[index] += 100.0 * report.input_cost()
                / uncached(&jobs)
                / number(usize::try_from(seeds).unwrap_or(1));
        }
    }
    let case = format!("{count} sessions x {turns}, {keys} keys x {workers}");
    line(&format!("{case}: time, pinned keys beside"), walls[0], walls[1], "s", "<= 1.1");
    line(&format!("{case}: time, round robin beside"), walls[0], walls[2], "s", "-");
    line(&format!("{case}: input cost, pinned keys beside"), costs[0], costs[1], "%", "<= 1.1");
    line(&format!("{case}: input cost, round robin beside"), costs[0], costs[2], "%", "-");
}

/// What all input would cost without a cache.
fn uncached(jobs: &[Job]) -> f64 {
    let turns = jobs.iter().flat_map(|job| &job.turns);
    turns.map(|turn| number(usize::try_from(turn.fresh + turn.context).unwrap_or(0))).sum()
}

fn line(case: &str, ours: f64, limit: f64, unit: &str, goal: &str) {
    println!(
        r#"{{"bench":"rotation","case":"{case}","ours":{ours:.2},"limit":{limit:.2},"unit":"{unit}","ratio":{:.3},"goal":"{goal}"}}"#,
        if limit == 0.0 { 0.0 } else { ours / limit }
    );
}

#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
const fn number(count: usize) -> f64 {
    count as f64
}
