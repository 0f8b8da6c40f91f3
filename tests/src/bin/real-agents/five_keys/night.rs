//! One night: sixteen tasks, and five keys in a file.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, Permissions},
    hash::{BuildHasher, RandomState},
    io::{BufRead, BufReader, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use agent_runner_tests::llm::{Answer, FakeLlm};
use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    agent::Agent,
    secrets::{Found, Search},
    stage::{Place, Stage, folder, text},
};

/// How many tasks there are.
pub(super) const TASKS: usize = 16;
/// How many agents work at once.
pub(super) const JOBS: usize = 4;
/// How long the model thinks before each answer.
const LATENCY: Duration = Duration::from_millis(500);
/// What people and scripts look at afterwards.
const LOOKS: [&[&str]; 8] = [
    &["status"],
    &["status", "--json"],
    &["list", "--json"],
    &["show", "1"],
    &["show", "1", "--json"],
    &["logs", "1"],
    &["keys", "list"],
    &["keys", "list", "--json"],
];

/// What was seen of a night.
pub(super) struct Night {
    pub(super) seconds: f64,
    pub(super) exit: i32,
    pub(super) attempts: Attempts,
    /// How many tasks have really been done.
    pub(super) written: usize,
    /// What the provider was asked, and answered.
    pub(super) answers: Vec<Answer>,
    /// What agents said of errors and of trying again.
    pub(super) troubles: Vec<String>,
    pub(super) found: Found,
}

/// How attempts ended.
#[derive(Default)]
pub(super) struct Attempts {
    /// How often each outcome was.
    pub(super) outcomes: BTreeMap<String, usize>,
    /// The highest of the agents' exit codes.
    pub(super) agent_exit: Option<i64>,
}

impl Night {
    /// Plays it, with keys that behave so.
    pub(super) fn play(stage: &Stage<'_>, behaviours: [&str; 5]) -> Result<Self> {
        let (place, kept) = (Place::new()?, folder()?);
        let keys = behaviours.map(|behaviour| format!("sk-fake-{behaviour}-{}", at_random()));
        let search = Arc::new(Search::new(&keys));
        let looking = Arc::clone(&search);
        // The agent that asks is there, and waits.
        let llm = FakeLlm::start(0, move |_| looking.look_at_processes())?;
        llm.set_latency(LATENCY);
        let file = write_keys(&keys, stage.agent, &llm, kept.path())?;
        fs::write(place.project("agent-runner.toml"), format!("keys = '{}'\n", file.display()))?;
        let tasks: Vec<_> = (1..=TASKS).map(|number| place.task(&made(number))).collect();
        fs::write(place.project("tasks.txt"), tasks.join("\n"))?;
        let started = Instant::now();
        let (attempts, exit) = run(stage, &place)?;
        let seconds = started.elapsed().as_secs_f64();
        for args in LOOKS {
            look(stage, &place, args, "after")?;
        }
        search.look_at_files(&place.path(""))?;
        Ok(Self {
            seconds,
            exit,
            attempts,
            written: (1..=TASKS).filter(|number| place.project(made(*number)).exists()).count(),
            answers: llm.answers(),
            troubles: troubles(&place.project(".agent-runner/logs"))?,
            found: search.found(),
        })
    }
}

fn made(number: usize) -> String {
    format!("made-{number}.txt")
}

fn at_random() -> String {
    let word = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", word(), word())
}

/// Writes a key file. The last key is in it as a command that prints it.
fn write_keys(keys: &[String; 5], agent: &Agent, llm: &FakeLlm, folder: &Path) -> Result<PathBuf> {
    let [listed @ .., last] = keys;
    let printed = folder.join("printed-by-a-command");
    write_secret(&printed, last)?;
    let listed = listed.iter().map(|key| format!("key = {key:?}"));
    let ways = listed.chain([format!("command = ['cat', '{}']", printed.display())]);
    let model = agent.model.map(|model| format!("model = {model:?}\n")).unwrap_or_default();
    let url = format!("{}{}", llm.url(), agent.path);
    let entry = |(number, way): (usize, String)| {
        let provider = agent.provider;
        format!(
            "[[key]]\nprovider = {provider:?}\nlabel = \"K{number}\"\n{way}\nbase_url = {url:?}\n{model}"
        )
    };
    let file = folder.join("keys.toml");
    write_secret(&file, &(1..).zip(ways).map(entry).collect::<String>())?;
    Ok(file)
}

/// Writes a file that nobody else may read.
fn write_secret(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file.write_all(text.as_bytes())?)
}

/// Runs all tasks, and keeps what is printed.
fn run(stage: &Stage<'_>, place: &Place) -> Result<(Attempts, i32)> {
    let jobs = JOBS.to_string();
    let args = ["run", "tasks.txt", "--json", "-j", &jobs, "--attempts", "1", "--profile"];
    let mut command = place.command(stage, &args);
    let errors = File::create(place.path("printed/run.err"))?;
    command.arg(stage.agent.name).stdout(Stdio::piped()).stderr(errors);
    let mut child = command.spawn().context("could not start the runner")?;
    let mut printed = File::create(place.path("printed/run.jsonl"))?;
    let mut attempts = Attempts::default();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let line = line?;
        writeln!(printed, "{line}")?;
        let event: Value = serde_json::from_str(&line)?;
        if text(&event, "event") != "task_finished" {
            continue;
        }
        if attempts.outcomes.is_empty() {
            look(stage, place, &["status"], "meanwhile")?;
            look(stage, place, &["status", "--json"], "meanwhile")?;
        }
        *attempts.outcomes.entry(text(&event, "outcome").to_owned()).or_default() += 1;
        attempts.agent_exit = attempts.agent_exit.max(event["exit_code"].as_i64());
    }
    Ok((attempts, child.wait()?.code().unwrap_or(-1)))
}

/// Keeps what a command prints.
fn look(stage: &Stage<'_>, place: &Place, args: &[&str], when: &str) -> Result<()> {
    let file = File::create(place.path("printed").join(format!("{} {when}", args.join(" "))))?;
    let status = place.command(stage, args).stdout(file.try_clone()?).stderr(file).status()?;
    anyhow::ensure!(status.success(), "`{}` ended with {status}", args.join(" "));
    Ok(())
}

/// The lines of all logs in which an agent speaks of an error, or of trying again.
fn troubles(logs: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for task in fs::read_dir(logs)? {
        for log in fs::read_dir(task?.path())? {
            let bytes = fs::read(log?.path())?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            found.extend(text.lines().filter(|line| is_trouble(line)).map(str::to_owned));
        }
    }
    Ok(found)
}

/// In the words of Claude Code and Codex.
fn is_trouble(line: &str) -> bool {
    let Ok(event) = serde_json::from_str::<Value>(line) else { return false };
    let is = |name: &str, values: &[&str]| values.contains(&text(&event, name));
    is("type", &["error", "turn.failed"])
        || is("subtype", &["api_retry"])
        || event["is_error"] == true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_agents_say_of_trouble_is_known() {
        for line in [
            r#"{"type":"system","subtype":"api_retry","attempt":1,"error_status":529}"#,
            r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":429}"#,
            r#"{"type":"error","message":"Reconnecting... 1/1"}"#,
            r#"{"type":"turn.failed","error":{"message":"exceeded retry limit"}}"#,
        ] {
            assert!(is_trouble(line), "{line}");
        }
        for line in [
            "Reading additional input from stdin...",
            r#"{"type":"result","subtype":"success","is_error":false}"#,
            // Codex says so of each model that it does not know.
            r#"{"type":"item.completed","item":{"type":"error","message":"Model metadata"}}"#,
        ] {
            assert!(!is_trouble(line), "{line}");
        }
    }
}
