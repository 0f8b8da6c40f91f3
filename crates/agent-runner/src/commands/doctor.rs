//! `doctor`: whether everything is in place, and how to mend what is not.

use std::{env, path::Path, process::Command};

use agent_runner_exec::Cgroups;
use agent_runner_lock::Acquire;
use serde::Serialize;

use super::{locks::clean_unused, unwritten};
use crate::{
    cli, config,
    error::{Error, Result},
    exit_code::Exit,
    isolation::Isolation,
    keys,
    project::Project,
    run::memory_limiter,
    ui::{ERROR, GOOD, Ui, WARNING},
    units::count,
};

/// What one check found.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Good,
    Warning,
    Blocked,
}

/// Checks everything and says what is wrong.
pub async fn doctor(ui: &Ui, project: &Project) -> Result<Exit> {
    let checks = [
        Some(configuration(project)),
        Some(store(project).await),
        Some(locks(project)),
        Some(keys_found(project)),
        Some(agent(project)),
        Some(memory(project)),
        Some(git(&project.root)),
        worktrees(project),
    ];
    let checks: Vec<_> = checks.into_iter().flatten().collect();
    for check in &checks {
        tell(ui, check)?;
    }
    let blocked = checks.iter().any(|check| check.state == State::Blocked);
    Ok(if blocked { Exit::Blocked } else { Exit::Success })
}

impl Check {
    fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Good, found: found.into(), fix: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, fix: &str) -> Self {
        Self { name, state: State::Warning, found: found.into(), fix: Some(fix.into()) }
    }

    fn blocked(name: &'static str, error: &Error) -> Self {
        Self {
            name,
            state: State::Blocked,
            found: error.to_string(),
            fix: error.hints().first().cloned(),
        }
    }
}

fn configuration(project: &Project) -> Check {
    match &project.config_path {
        Some(path) => Check::good("configuration", path.display().to_string()),
        None => Check::warning("configuration", "none, defaults are used", "agent-runner init"),
    }
}

async fn store(project: &Project) -> Check {
    let counts = match project.open_store() {
        Ok(store) => store.counts().await.map_err(Error::from),
        Err(error) => Err(error),
    };
    match counts {
        Ok(counts) => Check::good(
            "store",
            format!(
                "{}, {}, {} to do",
                project.store_url(),
                count(counts.total(), "task"),
                counts.open()
            ),
        ),
        Err(error) => Check::blocked("store", &error),
    }
}

/// Takes a lock, and is told by the kernel that it is held.
fn locks(project: &Project) -> Check {
    let key = format!("doctor-{}", std::process::id());
    let tried = project.open_locks("doctor").and_then(|locks| {
        let wrong = |error| Error::new(Exit::Blocked, anyhow::Error::new(error));
        let first = locks.try_acquire(&key).map_err(wrong)?;
        let second = locks.try_acquire(&key).map_err(wrong)?;
        let excludes = matches!((&first, &second), (Acquire::Acquired(_), Acquire::Held(_)));
        drop((first, second));
        clean_unused(&locks)?;
        Ok(excludes)
    });
    match tried {
        Ok(true) => Check::good("locks", project.lock_folder().display().to_string()),
        Ok(false) => Check::blocked(
            "locks",
            &Error::message(Exit::Blocked, "this file system gives one lock to two holders")
                .hint("put the store on a local disk: `--store sqlite:PATH`"),
        ),
        Err(error) => Check::blocked("locks", &error),
    }
}

fn keys_found(project: &Project) -> Check {
    match keys::load(project) {
        Ok(loaded) if loaded.credentials.is_empty() => {
            Check::good("keys", "none: agents use their own login")
        }
        Ok(loaded) => {
            let labels: Vec<_> = loaded
                .credentials
                .iter()
                .map(|key| format!("{} {}", key.label, key.key.masked()))
                .collect();
            Check::good("keys", labels.join(", "))
        }
        Err(error) => Check::blocked("keys", &error),
    }
}

fn agent(project: &Project) -> Check {
    const KNOWN: [&str; 4] = ["claude", "codex", "gemini", "opencode"];
    if let Some(program) = project.config.command.first() {
        return match agent_runner_exec::find_program(program) {
            Ok(_) => Check::good("agent", project.config.command.join(" ")),
            Err(error) => Check::blocked(
                "agent",
                &Error::new(Exit::Blocked, error)
                    .hint("install it, or change `command` in agent-runner.toml"),
            ),
        };
    }
    let on_path = |program: &&str| {
        env::var_os("PATH").is_some_and(|path| {
            env::split_paths(&path).any(|folder| folder.join(program).is_file())
        })
    };
    let found: Vec<_> = KNOWN.into_iter().filter(on_path).collect();
    match found[..] {
        [] => Check::warning(
            "agent",
            "no known agent on PATH",
            "any command will do: agent-runner run -- CMD '{{prompt}}'",
        ),
        _ => Check::good("agent", format!("on PATH: {}", found.join(", "))),
    }
}

/// Who keeps `--memory`: that it is not the kernel matters to those who set one.
fn memory(project: &Project) -> Check {
    match memory_limiter(&Cgroups::find()) {
        Ok(path) => {
            Check::good("memory", format!("limited by control groups in '{}'", path.display()))
        }
        Err(why) => {
            let found = format!("{why}; a limit is kept by looking four times a second");
            if project.config.memory.is_some() {
                let fix = "systemd-run --user --scope -p Delegate=yes agent-runner run …";
                Check::warning("memory", found, fix)
            } else {
                Check::good("memory", found)
            }
        }
    }
}

fn git(root: &Path) -> Check {
    let version = Command::new("git").arg("--version").output();
    match version {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if root.ancestors().any(config::is_repository) {
                Check::good("git", version)
            } else {
                Check::warning(
                    "git",
                    format!("{version}; '{}' is not in a repository", root.display()),
                    "git init, so that what agents change can be seen and undone",
                )
            }
        }
        _ => Check::warning(
            "git",
            "not found",
            "install git, so that what agents change can be seen and undone",
        ),
    }
}

/// Whether agents can have worktrees, where the configuration wants that.
fn worktrees(project: &Project) -> Option<Check> {
    let args = cli::Isolation::default();
    let isolation = match Isolation::new(&args, &project.config) {
        Ok(isolation) => isolation,
        Err(error) => return Some(Check::blocked("worktrees", &error)),
    };
    match isolation.open(project).transpose()? {
        Ok(worktrees) => {
            let words = isolation.in_words().unwrap_or_default();
            let folder = worktrees.folder().display();
            Some(Check::good("worktrees", format!("{words}; in {folder}")))
        }
        Err(error) => Some(Check::blocked("worktrees", &error)),
    }
}

fn tell(ui: &Ui, check: &Check) -> Result<()> {
    if ui.json {
        let json =
            serde_json::to_string(check).map_err(|error| Error::new(Exit::Unexpected, error))?;
        return ui.data(json).map_err(unwritten);
    }
    let (style, glyph) = match check.state {
        State::Good => (GOOD, "✓"),
        State::Warning => (WARNING, "!"),
        State::Blocked => (ERROR, "✗"),
    };
    ui.data(format_args!("{style}{glyph}{style:#} {:<14} {}", check.name, check.found))
        .map_err(unwritten)?;
    match &check.fix {
        Some(fix) => ui.data(format_args!("  fix: {fix}")).map_err(unwritten),
        None => Ok(()),
    }
}
