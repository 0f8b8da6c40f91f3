//! Running a test runner and counting what it ran.

use std::{
    fmt,
    io::{self, BufRead, BufReader, IsTerminal, Read, Write},
    ops::AddAssign,
    process::{Command, Stdio},
    sync::Mutex,
    thread,
};

use anyhow::Context as _;

/// Runs a test runner, passes on what it prints, and adds up its closing lines.
pub(crate) fn run_counting(mut command: Command) -> anyhow::Result<Counts> {
    if io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    eprintln!("$ {}", display(&command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("could not start cargo")?;
    let stdout = child.stdout.take().expect("stdout is piped");
    let stderr = child.stderr.take().expect("stderr is piped");

    let counts = Mutex::new(Counts::default());
    thread::scope(|scope| {
        scope.spawn(|| pass_on(stdout, io::stdout(), &counts));
        pass_on(stderr, io::stderr(), &counts);
    });
    let mut counts = counts.into_inner().expect("no thread panicked");
    if !child.wait()?.success() && counts.failed == 0 {
        counts.failed = 1; // It could not be built, or was killed before it could count.
    }
    Ok(counts)
}

/// How many tests passed, failed and were left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    /// Reads the closing line of nextest or of a test binary; other lines count nothing.
    ///
    /// ```text
    ///      Summary [   0.017s] 4 tests run: 2 passed (1 slow), 1 failed, 1 timed out, 0 skipped
    /// test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out
    /// ```
    fn parse(line: &str) -> Self {
        // Anchored: nextest also shows, indented, what failed test binaries said of themselves.
        let numbers = if line.trim_start().starts_with("Summary [") {
            line.split_once(" run: ")
        } else if line.starts_with("test result: ") {
            line.split_once(". ")
        } else {
            None
        };
        let mut counts = Self::default();
        let Some((_, numbers)) = numbers else { return counts };
        for part in numbers.split([',', ';']) {
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => counts.passed += number,
                Some("failed" | "timed" | "exec") => counts.failed += number,
                Some("skipped" | "ignored") => counts.skipped += number,
                _ => {}
            }
        }
        counts
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

fn pass_on(from: impl Read, mut to: impl Write, counts: &Mutex<Counts>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // A closed terminal is no reason to stop counting.
        to.write_all(&line).ok();
        let found = Counts::parse(&without_colour(&String::from_utf8_lossy(&line)));
        *counts.lock().expect("no thread panicked") += found;
        line.clear();
    }
}

fn without_colour(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

fn display(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, passed: u64, failed: u64, skipped: u64) {
        assert_eq!(
            Counts::parse(&without_colour(line)),
            Counts { passed, failed, skipped },
            "{line}"
        );
    }

    #[test]
    fn the_closing_lines_of_both_runners_are_understood() {
        check("     Summary [   0.017s] 3 tests run: 3 passed, 0 skipped", 3, 0, 0);
        check("     Summary [  61.2s] 1 test run: 1 passed (1 slow), 12 skipped", 1, 0, 12);
        check(
            "     Summary [ 9s] 5/9 tests run: 1 passed, 2 failed, 1 exec failed, 1 timed out, 4 skipped",
            1,
            4,
            4,
        );
        check(
            "test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out",
            7,
            0,
            1,
        );
        check("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured", 3, 2, 0);
        check("test lock::tests::it_works ... ok", 0, 0, 0);
        check("    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured", 0, 0, 0);
    }

    #[test]
    fn colours_do_not_hide_the_numbers() {
        check(
            "\x1b[32;1m     Summary\x1b[0m [ 0.1s] \x1b[1m2\x1b[0m tests run: \x1b[1m2\x1b[0m \x1b[32;1mpassed\x1b[0m, \x1b[1m0\x1b[0m \x1b[33;1mskipped\x1b[0m",
            2,
            0,
            0,
        );
    }
}
