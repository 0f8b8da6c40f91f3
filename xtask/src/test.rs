//! All tests, the examples in the docs, and each benchmark once.

use std::process::ExitCode;

use xshell::{Shell, cmd};

use crate::{
    bench,
    count::{Counts, run_counting},
    steps::heading,
    tools::{self, NEXTEST},
    workspace::Workspace,
};

/// Runs everything; a failure does not stop the rest.
pub(crate) fn run(sh: &Shell, workspace: &Workspace) -> anyhow::Result<Summary> {
    let mut summary = Summary::default();
    let nextest = NEXTEST.is_installed(sh);
    if !nextest {
        eprintln!("note: {}; going on with `cargo test`", NEXTEST.how_to_install());
    }

    heading("benchmarks, with tiny numbers");
    summary.add("benchmarks", run_benches(sh, workspace));

    heading("examples in the docs");
    let doctests = cmd!(sh, "cargo test --workspace --all-features --doc --no-fail-fast");
    summary.add("doctests", run_counting(doctests.into())?);

    heading("tests");
    let tests = if nextest {
        let profile = if tools::is_ci() { "ci" } else { "default" };
        cmd!(sh, "cargo nextest run --workspace --all-features --no-fail-fast --profile {profile}")
    } else {
        let targets = ["--lib", "--bins", "--tests", "--examples"];
        cmd!(sh, "cargo test --workspace --all-features --no-fail-fast {targets...}")
    };
    summary.add("tests", run_counting(tests.into())?);
    Ok(summary)
}

/// Runs each benchmark and counts it as a test.
fn run_benches(sh: &Shell, workspace: &Workspace) -> Counts {
    let mut counts = Counts::default();
    let _quick = sh.push_env(bench::QUICK, "1");
    let benches = match bench::build(sh, &bench::all(workspace), bench::Profile::Test) {
        Ok(benches) => benches,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Counts { failed: 1, ..counts };
        }
    };
    for bench in benches {
        match bench.run(sh) {
            Ok(cases) if !cases.is_empty() => {
                eprintln!("{}: ok, cases: {}", bench.name, cases.len());
                counts.passed += 1;
            }
            Ok(_) => {
                eprintln!("{}: error: it printed no case", bench.name);
                counts.failed += 1;
            }
            Err(error) => {
                eprintln!("{}: error: {error:#}", bench.name);
                counts.failed += 1;
            }
        }
    }
    counts
}

/// What became of the tests, a line for each kind.
#[derive(Debug, Default)]
pub(crate) struct Summary(Vec<(&'static str, Counts)>);

impl Summary {
    fn add(&mut self, kind: &'static str, counts: Counts) {
        self.0.push((kind, counts));
    }

    /// Prints the numbers, the sum in the last line, and turns them into an exit code.
    pub(crate) fn finish(self) -> ExitCode {
        let mut sum = Counts::default();
        println!();
        for (kind, counts) in self.0 {
            println!("{kind}: {counts}");
            sum += counts;
        }
        println!("{sum}");
        if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
