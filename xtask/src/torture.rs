//! The tortures in the tests, for as long as one likes, with a table of what was seen.
//!
//! A crate that is tortured has a folder `tests/it/torture`. Its tests heed a variable for how long,
//! judge, and print one JSON object a line.

use std::{
    io::{BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
};

use anyhow::Context as _;
use serde_json::{Map, Value};
use xshell::{Shell, cmd};

use crate::{flags, steps::heading, workspace::Workspace};

const SECS: &str = "AGENT_RUNNER_TORTURE_SECS";
/// The test that puts what others do beside what we do.
const COMPARISON: &str = "a_comparison";

/// What a table shows of a line, and how wide.
type Columns = &'static [(&'static str, usize)];

const VERDICTS: Columns = &[
    ("kind", 14),
    ("scene", 42),
    ("sections", 10),
    ("overlaps", 8),
    ("too_early", 9),
    ("equal", 5),
    ("inversions", 10),
    ("lost", 5),
    ("fenced", 6),
    ("untold", 6),
    ("kills", 7),
    ("stops", 6),
];
const COMPARED: Columns =
    &[("kind", 14), ("scene", 16), ("sections", 10), ("kills", 7), ("overlaps", 8), ("share", 8)];

/// Tortures, and fails when something was found guilty, or a positive control was not.
pub(crate) fn run(
    sh: &Shell,
    workspace: &Workspace,
    options: &flags::Torture,
) -> anyhow::Result<ExitCode> {
    let columns = if options.compare { COMPARED } else { VERDICTS };
    let tortured = workspace.packages.iter().filter(|package| {
        let folder = package.manifest_path.parent().expect("a manifest is in a folder");
        folder.join("tests/it/torture").is_dir()
    });
    let mut code = ExitCode::SUCCESS;
    for package in tortured {
        let secs = options.secs.unwrap_or(60).to_string();
        heading(&format!("{}, {secs} s each", package.name));
        println!("{}", row(columns, |name| Value::from(name)));
        let name = package.name.as_str();
        let which: &[&str] = match (&options.kind, options.compare) {
            (_, true) => &[COMPARISON],
            (Some(kind), false) => &[kind, "--skip", COMPARISON],
            (None, false) => &["torture::", "--skip", COMPARISON],
        };
        let test = ["--all-features", "--test", "it", "--"];
        let how = ["--nocapture", "--test-threads=1"];
        let command = cmd!(sh, "cargo test --quiet --package {name} {test...} {how...} {which...}");
        let guilty = !watch(command.env(SECS, secs).into(), columns)?;
        if guilty {
            eprintln!("error: {name} did not stand it, see above");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// Runs tests, and shows each verdict as it comes. Whether all passed.
fn watch(mut command: Command, columns: Columns) -> anyhow::Result<bool> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start cargo")?;
    let stdout = child.stdout.take().expect("stdout is piped");
    for line in BufReader::new(stdout).lines() {
        if let Ok(mut verdict) = serde_json::from_str::<Map<String, Value>>(&line?) {
            let share = share(&verdict);
            verdict.insert("share".to_owned(), share.into());
            println!("{}", row(columns, |name| verdict.get(name).cloned().unwrap_or_default()));
        }
    }
    Ok(child.wait()?.success())
}

/// How many of the sections overlapped another one, in words.
fn share(verdict: &Map<String, Value>) -> String {
    let number = |name: &str| verdict.get(name).and_then(Value::as_f64).unwrap_or(0.0);
    match (number("overlaps"), number("sections")) {
        (0.0, _) => "0".to_owned(),
        (overlaps, sections) => format!("{:.2} %", 100.0 * overlaps / sections),
    }
}

/// Words at the left of their column, numbers at the right.
fn row(columns: Columns, value: impl Fn(&str) -> Value) -> String {
    let cells = columns.iter().map(|&(name, width)| match value(name) {
        Value::String(text) if ["kind", "scene"].contains(&name) => format!("{text:<width$}"),
        Value::String(text) => format!("{text:>width$}"),
        number => format!("{:>width$}", number.to_string()),
    });
    cells.collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_a_row() {
        let line = r#"{"kind":"mkdir","scene":"8 on 1","sections":400,"kills":0,"overlaps":3}"#;
        let mut verdict: Map<String, Value> = serde_json::from_str(line).expect("it is JSON");
        verdict.insert("share".to_owned(), share(&verdict).into());
        let shown = row(COMPARED, |name| verdict[name].clone());
        let expected = "mkdir           8 on 1                   400        0         3    0.75 %";
        assert_eq!(shown, expected);
    }
}
