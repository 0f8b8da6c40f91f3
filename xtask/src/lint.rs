//! Everything that can be checked without running it.

use cargo_metadata::Package;
use xshell::{Shell, cmd};

use crate::{
    arrows,
    steps::Steps,
    tidy,
    tools::{self, DENY, TYPOS, Tool},
    workspace::Workspace,
};

/// Runs all checks, the quick ones first.
pub(crate) fn run(sh: &Shell, workspace: &Workspace) -> Steps {
    let mut steps = Steps::default();
    steps.run("format", || Ok(cmd!(sh, "cargo fmt --all --check").run()?));
    steps.run("arrows between the crates", || none(&arrows::check(workspace)));
    steps.run("tidy", || none(&tidy::check(sh, workspace)?));
    with_tool(&mut steps, sh, "spelling", TYPOS, || Ok(cmd!(sh, "typos").run()?));
    with_tool(&mut steps, sh, "licences, bans and sources", DENY, || {
        Ok(cmd!(sh, "cargo deny --all-features check licenses bans sources").run()?)
    });
    steps.run("clippy", || {
        let args = ["--workspace", "--all-targets", "--all-features"];
        Ok(cmd!(sh, "cargo clippy --keep-going {args...} -- -D warnings").run()?)
    });
    for package in workspace.published() {
        steps.run(&format!("clippy ({} alone)", package.name), || clippy_alone(sh, package));
    }
    if sh.path_exists("fuzz/Cargo.toml") {
        steps.run("fuzz targets", || fuzz_targets(sh));
    }
    steps.run("docs", || {
        let _flags = sh.push_env("RUSTDOCFLAGS", "-D warnings");
        Ok(cmd!(sh, "cargo doc --keep-going --workspace --no-deps --all-features").run()?)
    });
    steps
}

/// Checks a crate as its users get it: without what the rest of the workspace switches on in
/// its dependencies, and without its features.
fn clippy_alone(sh: &Shell, package: &Package) -> anyhow::Result<()> {
    let name = package.name.as_str();
    let clippy = |args: &[&str]| {
        cmd!(sh, "cargo clippy --quiet --package {name} {args...} -- -D warnings").run()
    };
    clippy(&[])?;
    if package.features.get("default").is_some_and(|features| !features.is_empty()) {
        clippy(&["--no-default-features"])?;
    }
    if !package.features.is_empty() {
        clippy(&["--all-targets"])?;
    }
    Ok(())
}

/// Checks the fuzz targets, which are a workspace of their own.
fn fuzz_targets(sh: &Shell) -> anyhow::Result<()> {
    let manifest = ["--manifest-path", "fuzz/Cargo.toml"];
    cmd!(sh, "cargo fmt {manifest...} --check").run()?;
    Ok(cmd!(sh, "cargo clippy --quiet {manifest...} -- -D warnings").run()?)
}

/// Runs a check with a tool that may be missing: an error in CI, a warning elsewhere.
fn with_tool(
    steps: &mut Steps,
    sh: &Shell,
    name: &str,
    tool: Tool,
    check: impl FnOnce() -> anyhow::Result<()>,
) {
    if tool.is_installed(sh) {
        steps.run(name, check);
    } else if tools::is_ci() {
        steps.run(name, || anyhow::bail!(tool.how_to_install()));
    } else {
        steps.skip(name, &tool.how_to_install());
    }
}

/// Turns a list of problems into an error, once each of them is printed.
pub(crate) fn none(problems: &[String]) -> anyhow::Result<()> {
    for problem in problems {
        eprintln!("{problem}");
    }
    anyhow::ensure!(problems.is_empty(), "{} problems", problems.len());
    Ok(())
}
