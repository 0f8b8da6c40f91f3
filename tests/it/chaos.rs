//! Chaos from outside: runners are killed with SIGKILL while they work, again and again, and every
//! task still succeeds exactly once.
//!
//! `AGENT_RUNNER_CHAOS_SECS` makes it longer, `AGENT_RUNNER_CHAOS_SEED` makes it the same again.
#![cfg(target_os = "linux")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ops::Range,
    thread,
    time::{Duration, Instant},
};

use agent_runner_tests::{Output, Running, Sandbox, Signal, json_lines};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    chaos_agent::{
        check_no_overlap, finished_attempts, no_process_is_left, tell, work_as_the_prompt_says,
    },
    sandbox,
};

const TASKS: usize = 500;
const RUNNERS: usize = 2;
/// A runner is killed so often, in milliseconds.
const KILL_EVERY: Range<u64> = 200..1000;
/// After this the runners are left in peace, so that a slow machine comes to an end as well.
const CALM_AFTER: Duration = Duration::from_secs(40);
const LIMIT: Duration = Duration::from_secs(600);

#[test]
fn five_hundred_tasks_succeed_exactly_once_while_runners_are_killed() {
    let mut seed = number("AGENT_RUNNER_CHAOS_SEED").unwrap_or_else(rand::random);
    let at_least = Duration::from_secs(number("AGENT_RUNNER_CHAOS_SECS").unwrap_or(0));
    let started = Instant::now();
    loop {
        tell(format_args!("AGENT_RUNNER_CHAOS_SEED={seed}"));
        Chaos::new(seed).run();
        if started.elapsed() >= at_least {
            break;
        }
        seed = seed.wrapping_add(1);
    }
}

struct Chaos {
    sandbox: Sandbox,
    dice: StdRng,
    outputs: Vec<Output>,
    kills: u32,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let sandbox = sandbox();
        let tasks: String = (0..TASKS).map(|number| task(number, &mut dice)).collect();
        sandbox.write("tasks.jsonl", tasks);
        sandbox.run(["import", "tasks.jsonl"]).exits(0);
        Self { sandbox, dice, outputs: Vec::new(), kills: 0 }
    }

    fn run(mut self) {
        let started = Instant::now();
        let mut runners: Vec<_> = (0..RUNNERS).map(|_| self.start()).collect();
        while !runners.is_empty() && started.elapsed() < CALM_AFTER {
            thread::sleep(Duration::from_millis(self.dice.random_range(KILL_EVERY)));
            let victim = runners.remove(self.dice.random_range(0..runners.len()));
            if self.kill(victim) {
                runners.push(self.start());
            }
        }
        for runner in runners {
            let output = runner.wait();
            self.see(output);
        }
        self.try_the_unlucky_again();
        tell(format_args!("{} kills in {:?}", self.kills, started.elapsed()));
        self.check();
    }

    fn start(&self) -> Running {
        let args = ["run", "--json", "-j", "4", "--retry-delay", "1ms"];
        self.sandbox.call(args).args(work_as_the_prompt_says(&self.sandbox)).limit(LIMIT).start()
    }

    /// Returns whether it was still at work.
    fn kill(&mut self, mut runner: Running) -> bool {
        runner.signal(Signal::KILL);
        let output = runner.wait();
        let killed = output.signal.is_some();
        self.kills += u32::from(killed);
        self.see(output);
        killed
    }

    /// A runner that was not killed came to the end of its work, and nobody panicked.
    fn see(&mut self, output: Output) {
        assert!(!output.stderr.contains("panicked"), "{output}");
        assert!(output.signal.is_some() || matches!(output.code, Some(0 | 100)), "{output}");
        self.outputs.push(output);
    }

    /// A task that loses its runner six times is given up: chaos may well do that to one.
    fn try_the_unlucky_again(&mut self) {
        for task in self.sandbox.list().iter().filter(|task| task["status"] == "failed") {
            assert_eq!(task["recoveries"], 6, "only too many lost runners fail a task: {task}");
            let id = task["id"].as_str().expect("an id");
            tell(format_args!("task {id} lost six runners"));
            self.sandbox.run(["retry", id]).exits(0);
        }
        let last = self.start().wait().exits(0);
        self.see(last);
    }

    fn check(&self) {
        let Self { sandbox, .. } = self;
        let counts = BTreeMap::from([("succeeded".to_owned(), TASKS as u64)]);
        assert_eq!(sandbox.counts(), counts, "a task was lost");
        self.check_attempts();
        self.check_events();
        check_no_overlap(sandbox);
        no_process_is_left(sandbox);
        let locks = sandbox.run(["locks", "list", "--json"]).exits(0).json_lines();
        assert!(locks.iter().all(|lock| lock["state"] != "held"), "a lock is held: {locks:?}");
        assert!(self.kills >= 5, "no chaos without kills: {}", self.kills);
    }

    /// One attempt of each task succeeded, it was the last one, and what it did is there.
    fn check_attempts(&self) {
        let store = rusqlite::Connection::open(self.sandbox.path(".agent-runner/store.db"));
        let store = store.expect("the store can be opened");
        let sql = "SELECT id, number, json_extract(report, '$.outcome')
                   FROM attempt JOIN task USING (seq) ORDER BY id, number";
        let mut query = store.prepare(sql).expect("the tables are those of schema.sql");
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let mut outcomes: BTreeMap<String, Vec<(u32, String)>> = BTreeMap::new();
        for row in rows.expect("the query runs") {
            let (id, number, outcome) = row.expect("a row");
            outcomes.entry(id).or_default().push((number, outcome));
        }
        assert_eq!(outcomes.len(), TASKS);
        for (id, attempts) in outcomes {
            let succeeded: Vec<_> =
                attempts.iter().filter(|(_, outcome)| outcome == "succeeded").collect();
            let [(number, _)] = succeeded[..] else {
                panic!("task {id} did not succeed exactly once: {attempts:?}")
            };
            assert_eq!(attempts.last().map(|(last, _)| last), Some(number), "{id}: {attempts:?}");
            let finished = finished_attempts(&self.sandbox, &id);
            assert!(finished.contains(number), "{id}: {attempts:?}, but it did {finished:?}");
        }
    }

    /// No success is told twice, whoever tells it.
    fn check_events(&self) {
        let mut told = BTreeSet::new();
        for output in &self.outputs {
            // What was killed may have left half a line.
            let whole = output.stdout.rfind('\n').map_or("", |end| &output.stdout[..end]);
            for event in json_lines(whole) {
                if event["event"] == "task_finished" && event["status"] == "succeeded" {
                    let id = event["task"].to_string();
                    assert!(told.insert(id), "a success was told twice: {event}");
                }
            }
        }
    }
}

/// Two thirds of the tasks take a while, and some start what does not end by itself.
fn task(number: usize, dice: &mut StdRng) -> String {
    let seconds = match number % 3 {
        0 => "0".into(),
        _ => format!("0.{:03}", dice.random_range(50..300)),
    };
    let leaves = match number % 18 {
        1 => "child",
        10 => "daemon",
        _ => "nothing",
    };
    format!("{{\"id\":\"t{number:03}\",\"prompt\":\"{seconds} {leaves}\"}}\n")
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text:?}")))
}
