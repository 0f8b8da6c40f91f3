//! `demo`: a whole run with everything that goes wrong at night, in some 15 seconds and without a
//! key. The agents are real processes, the provider answers on loopback, the dead runner is dead.

mod agent;
mod llm;
mod script;
mod summary;

pub use agent::main as agent;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use agent_runner_task_store::{CommandLine, NewTask, TaskId};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::json;

use self::{
    llm::{Limits, Llm},
    script::Script,
    summary::Seen,
};
use crate::{
    cli::{self, Demo},
    config::Config,
    error::{Error, OrExit, Result},
    exit_code::Exit,
    project::Project,
    report::Reporter,
    run::{Engine, Settings, Supply},
    ui::{BOLD, Ui},
};

const WORKERS: u32 = 4;
const REVOKED: &str = "demo-key-3-revoked-0000";
/// The task that a dead runner holds when the demo begins.
const ORPHAN: &str = "t-01";

/// What the agents are asked to do, and what goes wrong.
const TASKS: [(&str, Script); 14] = [
    ("describe the project in README", Script::Work),
    ("add a --json flag", Script::Work),
    ("fix the flaky login test", Script::FailOnce),
    ("migrate the configuration", Script::Work),
    ("rename Foo to Bar", Script::CrashOnce),
    ("remove the dead feature flag", Script::Work),
    ("bump the minimum version", Script::HangOnce),
    ("write a test for the parser", Script::Work),
    ("translate the error messages", Script::FailAlways),
    ("document the public API", Script::Work),
    ("speed up the hot loop", Script::Work),
    ("delete unused imports", Script::Work),
    ("update the changelog", Script::Work),
    ("split the long module", Script::Work),
];

/// Runs the demo.
pub async fn demo(mut ui: Ui, args: &Demo) -> Result<Exit> {
    let folder = tempfile::Builder::new()
        .prefix("agent-runner-demo-")
        .tempdir()
        .or_invalid(|| "could not make a folder for the demo".into())?;
    let pace = Pace { speed: args.speed };
    let llm =
        Llm::start(limits(pace)).await.or_invalid(|| "could not listen on loopback".into())?;
    ui.say(format_args!(
        "{BOLD}agent-runner demo{BOLD:#}: {} tasks, {WORKERS} workers, 3 pretend keys; nothing leaves this machine\n",
        TASKS.len()
    ));
    let keys = write_keys(folder.path(), &llm)?;
    let project = Project::at(folder.path(), Config { keys: Some(keys), ..Config::default() });
    let store = project.open_store()?;
    store.add(tasks(args.seed)?).await?;
    die_as_a_runner(&project)?;
    ui.start_footer();
    let reporter = Reporter::new(ui.clone()).collecting();
    let supply = Supply::load(&project, &ui)?;
    let engine = Engine::new(&project, settings(&project, pace)?, supply, store, reporter)?;
    let reporter = engine.reporter();
    let outcome = engine.run().await;
    ui.end_footer();
    let seen = Seen::new(&reporter.events(), &llm, &outcome?, folder.path());
    seen.tell(&ui)?;
    if args.keep {
        ui.say(format_args!("kept {}", folder.keep().display()));
    }
    seen.verdict()
}

/// How fast the demo goes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    speed: f64,
}

impl Pace {
    /// So many seconds at speed 1.
    pub fn seconds(self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds / self.speed)
    }
}

fn limits(pace: Pace) -> Limits {
    Limits {
        burst: 5,
        retry_after: pace.seconds(3.0),
        revoked: REVOKED.into(),
        overloaded_every: 9,
        latency: pace.seconds(1.6),
    }
}

/// What a person would give as flags.
fn settings(project: &Project, pace: Pace) -> Result<Settings> {
    let args = cli::Run {
        jobs: Some(WORKERS),
        idle_timeout: Some(pace.seconds(3.0)),
        retry_delay: Some(pace.seconds(0.8)),
        grace: Some(pace.seconds(2.0)),
        command: command()?,
        ..cli::Run::default()
    };
    Settings::new(&args, project)
}

fn write_keys(folder: &Path, llm: &Llm) -> Result<PathBuf> {
    let url = llm.url();
    let key = |label: &str, key: &str| {
        format!(
            "[[key]]\nprovider = \"anthropic\"\nlabel = \"{label}\"\nkey = \"{key}\"\nbase_url = \"{url}\"\n"
        )
    };
    let text = [
        key("key1", "demo-key-1-not-a-secret"),
        key("key2", "demo-key-2-not-a-secret"),
        key("key3", REVOKED),
    ]
    .concat();
    let path = folder.join("keys.toml");
    fs::write(&path, text).or_invalid(|| "could not write the demo's keys".into())?;
    restrict(&path)?;
    Ok(path)
}

/// Keys are for their owner alone.
fn restrict(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            .or_invalid(|| "could not protect the demo's keys".into())?;
    }
    Ok(())
}

/// The tasks in an order that the seed decides; the orphan comes first.
fn tasks(seed: u64) -> Result<Vec<NewTask>> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut list = TASKS;
    list[1..].shuffle(&mut rng);
    list.iter()
        .enumerate()
        .map(|(index, (prompt, script))| {
            let id = TaskId::new(format!("t-{:02}", index + 1)).map_err(Error::invalid)?;
            Ok(NewTask {
                id: Some(id),
                title: (*prompt).into(),
                prompt: (*prompt).into(),
                payload: json!({ "script": script.as_str() }),
                priority: i32::from(index == 0),
                depends_on: depends_on(index, &mut rng)?,
                verify: verify(*script, index),
                ..NewTask::default()
            })
        })
        .collect()
}

/// Every fifth task waits for the first one.
fn depends_on(index: usize, rng: &mut StdRng) -> Result<Vec<TaskId>> {
    if index == 0 || !rng.random_ratio(1, 5) {
        return Ok(Vec::new());
    }
    Ok(vec![TaskId::new(ORPHAN).map_err(Error::invalid)?])
}

/// The work is a file: a task is done when it is there.
fn verify(script: Script, index: usize) -> Option<CommandLine> {
    (script != Script::FailAlways).then(|| {
        CommandLine::Argv(vec!["test".into(), "-s".into(), format!("t-{:02}.txt", index + 1)])
    })
}

fn command() -> Result<Vec<String>> {
    let program = this_program()?;
    Ok(vec![program.display().to_string(), "__agent".into(), "{{payload.script}}".into()])
}

fn this_program() -> Result<PathBuf> {
    env::current_exe().or_exit(Exit::Unexpected, || "could not find this program's own file".into())
}

/// Starts a runner that claims a task, takes its lock, and is killed: what the demo finds.
fn die_as_a_runner(project: &Project) -> Result<()> {
    let status = Command::new(this_program()?)
        .args(["__agent", Script::DieAsRunner.as_str()])
        .current_dir(&project.root)
        .env("AGENT_RUNNER_STORE", project.store_url())
        .stdin(Stdio::null())
        .status()
        .or_exit(Exit::Unexpected, || "could not start the runner that dies".into())?;
    match status.code() {
        // Killed by a signal, as planned.
        None => Ok(()),
        Some(code) => {
            Err(Error::message(Exit::Unexpected, format!("the runner that dies left with {code}")))
        }
    }
}
