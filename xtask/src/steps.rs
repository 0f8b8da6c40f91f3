//! Steps that run one after another, and a summary of those that failed.

use std::{process::ExitCode, time::Instant};

/// What was run, and what failed. A failed step does not stop the next one: one run shows all.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Steps {
    /// Runs one step under a heading.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> anyhow::Result<()>) {
        heading(name);
        let start = Instant::now();
        match step() {
            Ok(()) => self.passed += 1,
            Err(error) => {
                eprintln!("error: {error:#}");
                self.failed.push(name.to_owned());
            }
        }
        eprintln!("({:.1} s)", start.elapsed().as_secs_f64());
    }

    /// Notes a step that could not run here.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        heading(name);
        eprintln!("warning: skipped: {why}");
        self.skipped.push(name.to_owned());
    }

    /// Prints the summary and turns it into an exit code.
    pub(crate) fn finish(self) -> ExitCode {
        eprint!("\nchecks: {} passed, {} failed", self.passed, self.failed.len());
        for (what, names) in [("failed", &self.failed), ("skipped", &self.skipped)] {
            if !names.is_empty() {
                eprint!("\n{what}: {}", names.join("; "));
            }
        }
        eprintln!();
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Prints a heading that is easy to find in a long log.
pub(crate) fn heading(name: &str) {
    eprintln!("\n── {name} {}", "─".repeat(70_usize.saturating_sub(name.len())));
}
