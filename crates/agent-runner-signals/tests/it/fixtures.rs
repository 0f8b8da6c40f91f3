//! What real CLIs printed, in `tests/fixtures`, and what each run came to.

use std::{collections::BTreeSet, fs, path::PathBuf};

use agent_runner_signals::{
    End::{self, Exited, Signaled, TimedOut},
    Format,
    Outcome::{
        self, Auth, Billing, Budget, ContextOverflow, ModelNotFound, Network, Overloaded, Quota,
        Succeeded, Throttled,
    },
    Summary, Verdict, judge,
};

use crate::{at, now, read};

/// The folder, how the process ended, and the outcome.
const RUNS: &[(&str, End, Outcome)] = &[
    ("claude-a400credit", Exited(1), Billing),
    ("claude-a400limit", Exited(1), Quota),
    ("claude-a401", Exited(1), Auth),
    ("claude-a403", Exited(1), Auth),
    ("claude-a404", Exited(1), ModelNotFound),
    ("claude-a413", Exited(1), ContextOverflow),
    ("claude-a429", Exited(1), Throttled),
    ("claude-a429long", Exited(1), Throttled),
    ("claude-a500", Exited(1), Overloaded),
    ("claude-a529", Exited(1), Overloaded),
    ("claude-adrop", Exited(1), Network),
    ("claude-aok", Exited(0), Succeeded),
    ("claude-budget", Exited(1), Budget),
    ("claude-fallback", Exited(1), Overloaded),
    // Interrupted when they began to ask again; it exits with 0 all the same.
    ("claude-int-a401", Exited(0), Auth),
    ("claude-int-a429", Exited(0), Throttled),
    ("claude-oauth-a401", Exited(1), Auth),
    ("claude-oauth-a429", Exited(1), Throttled),
    ("claude-oauth-sub5h", Exited(1), Quota),
    ("claude-oauth-sub7d", Exited(1), Quota),
    ("claude-turns", Exited(0), Succeeded),
    ("codex-builtin-o401", Exited(1), Auth),
    ("codex-builtin-o429", Exited(1), Throttled),
    ("codex-builtin-o429quota", Exited(1), Quota),
    ("codex-builtin-o429usage", Exited(1), Quota),
    ("codex-builtin-ook", Exited(0), Succeeded),
    ("codex-custom-o401", Exited(1), Auth),
    ("codex-custom-o404", Exited(1), ModelNotFound),
    ("codex-custom-o429", Exited(1), Throttled),
    ("codex-custom-o429quota", Exited(1), Quota),
    ("codex-custom-o429usage", Exited(1), Quota),
    ("codex-custom-o500", Exited(1), Overloaded),
    ("codex-custom-o503", Exited(1), Overloaded),
    ("codex-custom-odrop", Exited(1), Network),
    ("codex-custom-ook", Exited(0), Succeeded),
    // It waits for a network without end, until its supervisor does not.
    ("codex-offline", TimedOut, Network),
    ("gemini-json-g400key", Exited(144), Auth),
    ("gemini-json-g404", Exited(1), ModelNotFound),
    ("gemini-json-g429day", Exited(173), Quota),
    ("gemini-json-gok", Exited(0), Succeeded),
    // These three were still asking again when their supervisor lost its patience.
    ("gemini-stream-json-g429", TimedOut, Throttled),
    ("gemini-stream-json-g500", Signaled(9), Overloaded),
    ("gemini-stream-json-g503", Exited(143), Overloaded),
    ("gemini-stream-json-gok", Exited(0), Succeeded),
    ("opencode-a400long", Exited(1), ContextOverflow),
    ("opencode-a401", Exited(1), Auth),
    ("opencode-a403", Exited(1), Auth),
    ("opencode-a404", Exited(1), ModelNotFound),
    ("opencode-a429", Exited(1), Throttled),
    ("opencode-aok", Exited(0), Succeeded),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Standard output and error of a run; a file that is missing was empty.
pub(crate) fn output(name: &str) -> (Vec<u8>, Vec<u8>) {
    let file = |stream| fs::read(folder().join(name).join(stream)).unwrap_or_default();
    (file("stdout"), file("stderr"))
}

pub(crate) fn format(name: &str) -> Format {
    let cli = name.split('-').next().expect("a name begins with its CLI");
    cli.parse().expect("each CLI is known")
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    RUNS.iter().map(|(name, ..)| *name)
}

fn run(name: &str, end: End) -> (Summary, Verdict) {
    let (stdout, stderr) = output(name);
    let summary = read(format(name), &stdout, &stderr);
    let verdict = judge(&summary, end, &now());
    (summary, verdict)
}

#[test]
fn each_run_comes_to_its_outcome() {
    for &(name, end, expected) in RUNS {
        let (summary, verdict) = run(name, end);
        assert_eq!(verdict.outcome, expected, "{name}: {verdict:#?}\n{summary:#?}");
        assert_eq!(verdict.message.is_none(), expected == Succeeded, "{name}: {verdict:?}");
        assert_eq!(verdict.rule.is_none(), expected == Succeeded, "{name}: {verdict:?}");
    }
}

#[test]
fn an_interrupted_run_tells_what_it_asked_again_for() {
    let (_, refused) = run("claude-int-a401", Exited(0));
    assert_eq!(refused.message.as_deref(), Some("status 401, authentication_failed"));
    let (_, throttled) = run("claude-int-a429", Exited(0));
    assert_eq!(throttled.message.as_deref(), Some("status 429, rate_limit"));
    assert_eq!(throttled.retry_after.map(|wait| wait.as_secs()), Some(2));
}

#[test]
fn no_recorded_run_is_left_out() {
    let folders = fs::read_dir(folder()).expect("the folder is there");
    let folders = folders.map(|entry| entry.expect("an entry").path());
    let folders = folders.filter(|path| path.is_dir());
    let found: BTreeSet<_> =
        folders.map(|path| path.file_name().expect("a name").display().to_string()).collect();
    assert_eq!(found, names().map(str::to_owned).collect());
}

#[test]
fn each_run_names_its_session() {
    for &(name, end, _) in RUNS {
        assert!(run(name, end).0.session_id.is_some(), "{name}");
    }
    let (claude, _) = run("claude-aok", Exited(0));
    assert_eq!(claude.session_id.as_deref(), Some("770627ea-022d-48a1-83b5-e425fd9d148d"));
    assert_eq!(claude.cli_version.as_deref(), Some("2.1.197"));
    assert_eq!(claude.model.as_deref(), Some("claude-opus-4-8[1m]"));
}

#[test]
fn limits_say_when_they_end() {
    let reset = |name| run(name, Exited(1)).1.reset_at;
    assert_eq!(reset("claude-oauth-sub5h"), Some(at(1_795_453_989)));
    assert_eq!(reset("claude-oauth-sub7d"), Some(at(1_795_453_989)));
    assert_eq!(reset("claude-a400limit"), Some(at(1_796_083_200)), "2026-12-01 00:00 UTC");
    assert_eq!(reset("codex-custom-o429usage"), Some(at(1_795_458_000)), "6:20 PM, today");
    assert_eq!(reset("codex-custom-o429quota"), None, "nobody says when");
    assert_eq!(reset("claude-a429"), None);
    let retry_after = |name| run(name, Exited(1)).1.retry_after.map(|wait| wait.as_secs());
    assert_eq!(retry_after("opencode-a429"), Some(1));
    assert_eq!(retry_after("gemini-stream-json-g429"), Some(2));
    assert_eq!(retry_after("claude-a429long"), None, "it is not told");
}

#[test]
fn usage_and_cost_mean_the_same_everywhere() {
    let check = |name, [input, output, read, write]: [u64; 4], cost: Option<f64>| {
        let (summary, _) = run(name, Exited(0));
        let usage = summary.usage;
        let tokens = [usage.input_tokens, usage.output_tokens];
        assert_eq!(tokens, [input, output], "{name}");
        assert_eq!([usage.cache_read_tokens, usage.cache_write_tokens], [read, write], "{name}");
        let micros = |usd: f64| (usd * 1e6).round();
        assert_eq!(summary.cost_usd.map(micros), cost.map(micros), "{name}");
        assert_eq!(summary.messages, 1, "{name}");
    };
    check("claude-aok", [1000, 50, 300, 200], Some(0.007_65));
    check("claude-budget", [1000, 50, 300, 200], Some(0.007_65));
    check("codex-custom-ook", [700, 50, 300, 0], None);
    check("gemini-json-gok", [1000, 50, 0, 0], None);
    check("gemini-stream-json-gok", [1000, 50, 0, 0], None);
    check("opencode-aok", [1000, 50, 300, 200], Some(0.006_25));
}

#[test]
fn requests_that_were_made_again_are_counted() {
    let retries = |name| run(name, Exited(1)).0.retries;
    assert_eq!(retries("claude-a401"), 1);
    assert_eq!(retries("claude-fallback"), 6);
    assert_eq!(retries("codex-custom-o503"), 5);
    assert_eq!(retries("gemini-stream-json-g503"), 9);
    assert_eq!(retries("claude-aok"), 0);
}
