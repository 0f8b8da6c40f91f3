//! Programs that the chores use and that Rust does not bring along.

use std::{env, ffi::OsString};

use anyhow::Context as _;
use xshell::Shell;

use crate::workspace::Workspace;

/// A program that may be missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// What it is called.
    pub(crate) name: &'static str,
    install: &'static str,
}

/// Checks licences, duplicates and sources of the dependencies.
pub(crate) const DENY: Tool =
    Tool { name: "cargo-deny", install: "cargo install --locked cargo-deny" };

/// Checks spelling.
pub(crate) const TYPOS: Tool =
    Tool { name: "typos", install: "cargo install --locked typos-cli` or `pipx install typos" };

/// Runs tests, each in a process of its own.
pub(crate) const NEXTEST: Tool =
    Tool { name: "cargo-nextest", install: "cargo install --locked cargo-nextest" };

/// Builds and runs fuzz targets.
pub(crate) const FUZZ: Tool =
    Tool { name: "cargo-fuzz", install: "cargo install --locked cargo-fuzz" };

impl Tool {
    /// Whether it is here.
    pub(crate) fn is_installed(self, sh: &Shell) -> bool {
        sh.cmd(self.name).arg("--version").quiet().ignore_stdout().ignore_stderr().run().is_ok()
    }

    /// Says that it is missing and how to get it.
    pub(crate) fn how_to_install(self) -> String {
        format!("`{}` is not installed; get it with `{}`", self.name, self.install)
    }
}

/// Whether this is CI, where a missing tool is an error.
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// Lets programs in `target/tools/bin` be found; `.ci/run` and `fuzz` install there.
pub(crate) fn extend_path(sh: &Shell, workspace: &Workspace) -> anyhow::Result<()> {
    let path = sh.var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([workspace.tools().join("bin").into()]);
    let path: OsString = env::join_paths(folders).context("could not extend PATH")?;
    sh.set_var("PATH", path);
    Ok(())
}
