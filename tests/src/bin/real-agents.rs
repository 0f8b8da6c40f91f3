//! Real agents against the pretend provider: `real-agents RUNNER BIN-FOLDER [AGENT]`, where the
//! folder holds `claude` and `codex`. `cargo xtask agents` calls it, in a network namespace with
//! loopback only.
//!
//! Prints a JSON object for each scenario: what was expected, what was seen, and how long it took
//! from the provider's first refusal until the runner had acted on it.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    iter,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Instant, SystemTime},
};

use agent_runner_tests::llm::{Answer, FakeLlm};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Within so many seconds a limit is acted on.
const IN_TIME: f64 = 3.0;

/// What a run meets, and what it must come to.
struct Scenario {
    name: &'static str,
    /// How its keys behave.
    keys: &'static [&'static str],
    flags: &'static [&'static str],
    /// More words for the agent.
    words: &'static [&'static str],
    /// How each attempt ends.
    outcomes: &'static [&'static str],
    exit: i32,
    /// Whether the refusal is about a key, so that time counts.
    is_limit: bool,
}

const SUCCESS: Scenario = Scenario {
    name: "success",
    keys: &["ok"],
    flags: &[],
    words: &[],
    outcomes: &["succeeded"],
    exit: 0,
    is_limit: false,
};

const LIMIT: Scenario = Scenario { flags: &["--no-wait-keys"], exit: 6, is_limit: true, ..SUCCESS };

const SCENARIOS: [Scenario; 9] = [
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
];

struct Agent {
    name: &'static str,
    /// The variables of its keys begin so.
    prefix: &'static str,
    /// What the provider's address ends in.
    path: &'static str,
    model: Option<&'static str>,
    /// The command, where it has to be spelled out to add words to it.
    command: &'static [&'static str],
    has_budget: bool,
}

const AGENTS: [Agent; 2] = [
    Agent {
        name: "claude",
        prefix: "ANTHROPIC",
        path: "",
        model: None,
        command: &["claude", "-p", "--output-format", "stream-json", "--verbose"],
        has_budget: true,
    },
    Agent {
        name: "codex",
        prefix: "OPENAI",
        path: "/v1",
        // The default model writes programs that call tools; this one calls them.
        model: Some("gpt-5"),
        command: &[],
        has_budget: false,
    },
];

#[expect(clippy::print_stdout, reason = "a tool for the terminal")]
fn main() -> Result<()> {
    let mut args = env::args_os().skip(1);
    let runner: PathBuf = args.next().context("the path of agent-runner")?.into();
    let bin: PathBuf = args.next().context("the folder of the agents")?.into();
    let only = args.next().and_then(|name| name.into_string().ok());
    for agent in AGENTS.iter().filter(|agent| only.as_deref().is_none_or(|it| it == agent.name)) {
        let version = version(agent, &bin)?;
        for scenario in &SCENARIOS {
            if agent.has_budget || scenario.name != "budget" {
                println!("{}", play(agent, &version, scenario, &runner, &bin)?);
            }
        }
    }
    Ok(())
}

fn version(agent: &Agent, bin: &Path) -> Result<String> {
    let output = Command::new(bin.join(agent.name)).arg("--version").output();
    let output = output.with_context(|| format!("could not start {}", agent.name))?;
    ensure!(output.status.success(), "{} does not tell its version", agent.name);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

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
fn play(
    agent: &Agent,
    version: &str,
    scenario: &Scenario,
    runner: &Path,
    bin: &Path,
) -> Result<Value> {
    // Codex warns of a home below /tmp.
    let base = if Path::new("/var/tmp").is_dir() { "/var/tmp".into() } else { env::temp_dir() };
    let folder = tempfile::Builder::new().prefix("real-agents-").tempdir_in(base)?;
    let llm = FakeLlm::start(0, |_| {})?;
    let started = Instant::now();
    let (seen, exit) = run(command(agent, scenario, runner, bin, &folder, &llm)?)?;
    let seconds = started.elapsed().as_secs_f64();
    let answers = llm.answers();
    let wrote = fs::read(folder.path().join("project/made.txt")).is_ok();
    let delay = delay(&answers, seen.acted);
    let in_time = !scenario.is_limit || delay.is_some_and(|delay| delay < IN_TIME);
    let succeeds = scenario.outcomes.ends_with(&["succeeded"]);
    let ok =
        seen.outcomes == scenario.outcomes && exit == scenario.exit && wrote == succeeds && in_time;
    Ok(json!({
        "agent": agent.name, "version": version, "scenario": scenario.name, "ok": ok,
        "outcomes": seen.outcomes, "expected_outcomes": scenario.outcomes,
        "exit": exit, "expected_exit": scenario.exit, "agent_exit": seen.agent_exit,
        "wrote_file": wrote, "requests": answers.len(),
        "is_limit": scenario.is_limit, "acted_after_s": delay, "seconds": seconds,
        "message": seen.message,
    }))
}

fn command(
    agent: &Agent,
    scenario: &Scenario,
    runner: &Path,
    bin: &Path,
    folder: &TempDir,
    llm: &FakeLlm,
) -> Result<Command> {
    let (project, home) = (folder.path().join("project"), folder.path().join("home"));
    for folder in [&project, &home] {
        fs::create_dir(folder)?;
    }
    let task = format!("write file:{}", project.join("made.txt").display());
    fs::write(project.join("tasks.txt"), task)?;
    let mut command = Command::new(runner);
    command.args(["run", "tasks.txt", "--json", "-j1", "--attempts", "1", "--grace", "5s"]);
    // With keys of its own, an agent meets the limits itself.
    command.args(["--retry-delay", "10ms", "--gateway", "off", "--profile", agent.name]);
    command.args(scenario.flags);
    if !scenario.words.is_empty() {
        command.arg("--").args(agent.command).args(scenario.words);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let path: OsString =
        env::join_paths(iter::once(bin.to_owned()).chain(env::split_paths(&path)))?;
    command.current_dir(&project).env_clear().env("PATH", path).env("HOME", home);
    for (number, behaviour) in (1..).zip(scenario.keys) {
        let variable = |name| format!("{}_{name}_{number}", agent.prefix);
        command.env(variable("API_KEY"), format!("sk-fake-{behaviour}-0123456789abcdef"));
        command.env(variable("BASE_URL"), format!("{}{}", llm.url(), agent.path));
        if let Some(model) = agent.model {
            command.env(variable("MODEL"), model);
        }
    }
    Ok(command)
}

/// Runs the runner and notes when its events come.
fn run(mut command: Command) -> Result<(Seen, i32)> {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = piped.spawn().context("could not start the runner")?;
    let mut seen = Seen::default();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let event: Value = serde_json::from_str(&line?)?;
        if event["event"] != "task_finished" {
            continue;
        }
        let outcome = event["outcome"].as_str().unwrap_or_default();
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
