//! One task, and what becomes of it.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Instant, SystemTime},
};

use agent_runner_tests::llm::{Answer, FakeLlm};
use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    agent::Agent,
    stage::{Place, Stage, text},
};

/// Within so many seconds a limit is acted on.
const IN_TIME: f64 = 3.0;

/// What a run meets, and what it must come to.
pub(crate) struct Scenario {
    name: &'static str,
    /// How its keys behave.
    keys: &'static [&'static str],
    /// With keys of its own an agent meets the limits itself; the gateway keeps them from it.
    gateway: &'static str,
    flags: &'static [&'static str],
    /// More words for the agent.
    words: &'static [&'static str],
    /// How each attempt ends.
    outcomes: &'static [&'static str],
    exit: i32,
    /// Whether the refusal is about a key, so that time counts.
    is_limit: bool,
}

impl Scenario {
    pub(crate) fn suits(&self, agent: &Agent) -> bool {
        agent.has_budget || self.name != "budget"
    }
}

const SUCCESS: Scenario = Scenario {
    name: "success",
    keys: &["ok"],
    gateway: "off",
    flags: &[],
    words: &[],
    outcomes: &["succeeded"],
    exit: 0,
    is_limit: false,
};

const LIMIT: Scenario = Scenario { flags: &["--no-wait-keys"], exit: 6, is_limit: true, ..SUCCESS };

const LENT: Scenario = Scenario { gateway: "auto", ..SUCCESS };

pub(crate) const SCENARIOS: [Scenario; 16] = [
    SUCCESS,
    Scenario { name: "throttle", keys: &["throttled"], outcomes: &["throttled"], ..LIMIT },
    Scenario { name: "quota", keys: &["quota"], outcomes: &["quota"], ..LIMIT },
    Scenario { name: "revoked key", keys: &["revoked"], outcomes: &["auth"], ..LIMIT },
    Scenario {
        name: "revoked, then good",
        keys: &["revoked", "ok"],
        flags: &[],
        outcomes: &["auth", "succeeded"],
        exit: 0,
        ..LIMIT
    },
    Scenario {
        name: "overloaded",
        keys: &["overloaded"],
        flags: &["--limit", "1"],
        outcomes: &["overloaded"],
        exit: 5,
        ..SUCCESS
    },
    Scenario {
        name: "hang",
        keys: &["hang"],
        flags: &["--idle-timeout", "5s"],
        outcomes: &["idle_timed_out"],
        exit: 100,
        ..SUCCESS
    },
    Scenario {
        name: "stall",
        keys: &["stall"],
        flags: &["--timeout", "8s"],
        outcomes: &["timed_out"],
        exit: 100,
        ..SUCCESS
    },
    Scenario {
        name: "budget",
        keys: &["expensive"],
        words: &["--max-budget-usd", "0.5"],
        outcomes: &["budget"],
        exit: 100,
        ..SUCCESS
    },
    Scenario { name: "lent", ..LENT },
    Scenario { name: "lent, one revoked", keys: &["revoked", "ok"], ..LENT },
    Scenario {
        name: "lent, throttle",
        keys: &["throttled"],
        outcomes: &["throttled"],
        gateway: "auto",
        ..LIMIT
    },
    Scenario {
        name: "lent, quota",
        keys: &["usage"],
        outcomes: &["quota"],
        gateway: "auto",
        ..LIMIT
    },
    Scenario {
        name: "lent, no credit",
        keys: &["credit"],
        outcomes: &["billing"],
        gateway: "auto",
        ..LIMIT
    },
    Scenario {
        name: "lent, revoked",
        keys: &["revoked"],
        outcomes: &["auth"],
        gateway: "auto",
        ..LIMIT
    },
    Scenario {
        name: "lent, hang",
        keys: &["hang"],
        flags: &["--idle-timeout", "5s"],
        outcomes: &["idle_timed_out"],
        exit: 100,
        ..LENT
    },
];

/// What was seen of a run.
#[derive(Default)]
struct Seen {
    outcomes: Vec<String>,
    agent_exit: Option<i64>,
    message: Option<String>,
    /// When the first attempt that did not succeed was over.
    acted: Option<SystemTime>,
}

/// Plays a scenario in a project of its own.
pub(crate) fn play(stage: &Stage<'_>, scenario: &Scenario) -> Result<Value> {
    let (agent, place, llm) = (stage.agent, Place::new()?, FakeLlm::start(0, |_| {})?);
    fs::write(place.project("tasks.txt"), place.task("made.txt"))?;
    let started = Instant::now();
    let (seen, exit) = run(command(stage, scenario, &place, &llm))?;
    let seconds = started.elapsed().as_secs_f64();
    let answers = llm.answers();
    let wrote = place.project("made.txt").exists();
    let delay = delay(&answers, seen.acted);
    let in_time = !scenario.is_limit || delay.is_some_and(|delay| delay < IN_TIME);
    let succeeds = scenario.outcomes.ends_with(&["succeeded"]);
    let ok =
        seen.outcomes == scenario.outcomes && exit == scenario.exit && wrote == succeeds && in_time;
    Ok(json!({
        "agent": agent.name, "version": stage.version, "scenario": scenario.name, "ok": ok,
        "outcomes": seen.outcomes, "expected_outcomes": scenario.outcomes,
        "exit": exit, "expected_exit": scenario.exit, "agent_exit": seen.agent_exit,
        "wrote_file": wrote, "requests": answers.len(),
        "is_limit": scenario.is_limit, "acted_after_s": delay, "seconds": seconds,
        "message": seen.message,
    }))
}

fn command(stage: &Stage<'_>, scenario: &Scenario, place: &Place, llm: &FakeLlm) -> Command {
    let agent = stage.agent;
    let mut command = place.command(stage, &["run", "tasks.txt", "--json", "-j1"]);
    command.args(["--attempts", "1", "--grace", "5s", "--retry-delay", "10ms"]);
    command.args(["--gateway", scenario.gateway, "--profile", agent.name]).args(scenario.flags);
    if !scenario.words.is_empty() {
        command.arg("--").args(agent.command).args(scenario.words);
    }
    for (number, behaviour) in (1..).zip(scenario.keys) {
        let prefix = agent.provider.to_uppercase();
        let variable = |name| format!("{prefix}_{name}_{number}");
        command.env(variable("API_KEY"), format!("sk-fake-{behaviour}-0123456789abcdef"));
        command.env(variable("BASE_URL"), format!("{}{}", llm.url(), agent.path));
        if let Some(model) = agent.model {
            command.env(variable("MODEL"), model);
        }
    }
    command
}

/// Runs the runner and notes when its events come.
fn run(mut command: Command) -> Result<(Seen, i32)> {
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = piped.spawn().context("could not start the runner")?;
    let mut seen = Seen::default();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let event: Value = serde_json::from_str(&line?)?;
        if event["event"] != "task_finished" {
            continue;
        }
        let outcome = text(&event, "outcome");
        if outcome != "succeeded" {
            seen.acted.get_or_insert_with(SystemTime::now);
        }
        seen.outcomes.push(outcome.to_owned());
        seen.agent_exit = event["exit_code"].as_i64();
        seen.message = event["message"].as_str().map(str::to_owned);
    }
    Ok((seen, child.wait()?.code().unwrap_or(-1)))
}

/// From the provider's first refusal to the end of the attempt that met it, in seconds.
fn delay(answers: &[Answer], acted: Option<SystemTime>) -> Option<f64> {
    let refused = answers.iter().find(|answer| answer.status >= 400)?;
    Some(acted?.duration_since(refused.at).ok()?.as_secs_f64())
}
