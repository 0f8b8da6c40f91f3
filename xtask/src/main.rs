//! The project's chores: `cargo xtask --help` lists them.
//!
//! CI calls these and has none of its own. What is checked, built or measured is read from
//! `cargo metadata`, so that a new crate needs no line here.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

mod agents;
mod arrows;
mod bench;
mod count;
mod flags;
mod fuzz;
mod lint;
mod release;
mod steps;
mod test;
mod tidy;
mod tools;
mod torture;
mod workspace;

use std::process::ExitCode;

use flags::{Xtask, XtaskCmd};
use workspace::Workspace;
use xshell::Shell;

fn main() -> ExitCode {
    let flags = Xtask::from_env_or_exit();
    run(flags.subcommand).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: XtaskCmd) -> anyhow::Result<ExitCode> {
    let sh = Shell::new()?;
    let workspace = Workspace::load()?;
    sh.change_dir(&workspace.root);
    tools::extend_path(&sh, &workspace)?;

    match command {
        XtaskCmd::Lint(_) => Ok(lint::run(&sh, &workspace).finish()),
        XtaskCmd::Test(_) => test::run(&sh, &workspace).map(test::Summary::finish),
        XtaskCmd::Ci(_) => ci(&sh, &workspace),
        XtaskCmd::Bench(options) => bench::run(&sh, &workspace, &options),
        XtaskCmd::Fuzz(options) => fuzz::run(&sh, &workspace, &options),
        XtaskCmd::Agents(options) => agents::run(&sh, &workspace, &options),
        XtaskCmd::Torture(options) => torture::run(&sh, &workspace, &options),
        XtaskCmd::Release(options) => release::run(&sh, &workspace, &options),
    }
}

/// Lints and tests; the tests run in any case and have the last word.
fn ci(sh: &Shell, workspace: &Workspace) -> anyhow::Result<ExitCode> {
    let lint = lint::run(sh, workspace);
    let test = test::run(sh, workspace)?;
    let lint = lint.finish();
    let test = test.finish();
    Ok(if lint == ExitCode::SUCCESS { test } else { lint })
}
