//! Where scenarios are played: an agent that is installed, and a project with a home of its own.

use std::{
    env,
    ffi::OsString,
    fs, iter,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::agent::Agent;

/// An agent that is installed, and the runner.
pub(crate) struct Stage<'a> {
    pub(crate) agent: &'a Agent,
    pub(crate) version: String,
    runner: &'a Path,
    /// With the agents first.
    path: OsString,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(agent: &'a Agent, runner: &'a Path, bin: &Path) -> Result<Self> {
        let output = Command::new(bin.join(agent.name)).arg("--version").output();
        let output = output.with_context(|| format!("could not start {}", agent.name))?;
        ensure!(output.status.success(), "{} does not tell its version", agent.name);
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(iter::once(bin.to_owned()).chain(env::split_paths(&path)))?;
        Ok(Self { agent, version, runner, path })
    }
}

/// A project, with a home and room for what programs leave behind.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Result<Self> {
        let place = Self(folder()?);
        for name in ["project", "home", "tmp", "printed"] {
            fs::create_dir_all(place.path(name))?;
        }
        Ok(place)
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn project(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path("project").join(name)
    }

    /// The runner in the project, with an environment of its own.
    pub(crate) fn command(&self, stage: &Stage<'_>, args: &[&str]) -> Command {
        let mut command = Command::new(stage.runner);
        command.args(args).current_dir(self.path("project")).stdin(Stdio::null());
        command.env_clear().env("PATH", &stage.path);
        command.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp"));
        command
    }

    /// What the model is asked to do: to write this file of the project.
    pub(crate) fn task(&self, file: &str) -> String {
        format!("write file:{}", self.project(file).display())
    }
}

/// A folder that is gone when it is dropped.
pub(crate) fn folder() -> Result<TempDir> {
    // Codex warns of a home below /tmp.
    let base = if Path::new("/var/tmp").is_dir() { "/var/tmp".into() } else { env::temp_dir() };
    Ok(tempfile::Builder::new().prefix("real-agents-").tempdir_in(base)?)
}

/// The text of an event's field.
pub(crate) fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    event[name].as_str().unwrap_or_default()
}
