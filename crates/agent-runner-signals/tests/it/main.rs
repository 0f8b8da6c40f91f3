//! The public API, with what real CLIs printed.

mod ends;
mod fixtures;
mod laws;
mod phrases;
mod streams;
mod talk;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent_runner_signals::{End, Format, Now, Outcome, Parser, Summary, Verdict, judge};

/// 2026-11-23 16:00:00 UTC, about when the recorded runs were made.
const NOW: u64 = 1_795_449_600;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn now() -> Now {
    Now::utc(at(NOW))
}

fn read(format: Format, stdout: &[u8], stderr: &[u8]) -> Summary {
    let mut parser = Parser::new(format);
    parser.feed(stdout, |_| {});
    parser.feed_stderr(stderr, |_| {});
    parser.finish()
}

fn verdict(format: Format, stdout: &str, end: End) -> Verdict {
    judge(&read(format, stdout.as_bytes(), b""), end, &now())
}

#[track_caller]
fn check(format: Format, stdout: &str, end: End, expected: Outcome) -> Verdict {
    let verdict = verdict(format, stdout, end);
    assert_eq!(verdict.outcome, expected, "{format}, {end:?}, {verdict:?}\n{stdout}");
    verdict
}
