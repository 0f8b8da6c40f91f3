//! The events of a run, in their order, while it goes on.

use agent_runner_signals::{Event, Format, LimitState, Outcome, Parser};

use crate::{at, fixtures};

fn events(name: &str) -> Vec<Event> {
    let (stdout, stderr) = fixtures::output(name);
    let mut parser = Parser::new(fixtures::format(name));
    let mut events = Vec::new();
    parser.feed(&stdout, |event| events.push(event));
    parser.feed_stderr(&stderr, |event| events.push(event));
    events
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::SessionStarted { .. } => "session",
        Event::MessageSaid { .. } => "message",
        Event::ToolUsed { .. } => "tool",
        Event::UsageGrew(_) => "usage",
        Event::CostGrew { .. } => "cost",
        Event::Retried(_) => "retry",
        Event::LimitTold(_) => "limit",
        Event::ModelFellBack { .. } => "fallback",
        Event::Ended { .. } => "end",
        _ => "unknown",
    }
}

#[track_caller]
fn check(name: &str, expected: &[&str]) {
    let kinds: Vec<_> = events(name).iter().map(kind).collect();
    assert_eq!(kinds, expected, "{name}");
}

#[test]
fn a_run_is_told_from_session_to_end() {
    check("claude-aok", &["session", "message", "usage", "cost", "usage", "end"]);
    check("codex-custom-ook", &["session", "message", "usage", "end"]);
    check("gemini-stream-json-gok", &["session", "message", "usage", "end"]);
    check("gemini-json-gok", &["session", "usage", "message", "end"]);
    check("opencode-aok", &["session", "message", "usage", "cost", "end"]);
    check("claude-oauth-sub5h", &["session", "limit", "cost", "end"]);
}

/// The moment to act: minutes before the CLI gives up by itself.
#[test]
fn the_first_refusal_says_what_the_run_will_come_to() {
    for (name, expected, attempt) in [
        ("claude-a401", Outcome::Auth, 1),
        ("claude-a429", Outcome::Throttled, 1),
        ("claude-a529", Outcome::Overloaded, 1),
        ("codex-custom-o401", Outcome::Auth, 1),
        ("codex-custom-o429", Outcome::Throttled, 1),
        ("codex-custom-o500", Outcome::Overloaded, 1),
        ("codex-builtin-o429", Outcome::Network, 2),
        ("gemini-stream-json-g429", Outcome::Throttled, 1),
        ("gemini-stream-json-g503", Outcome::Overloaded, 1),
    ] {
        let events = events(name);
        let retry = events.iter().find_map(|event| match event {
            Event::Retried(retry) => Some(retry),
            _ => None,
        });
        let retry = retry.unwrap_or_else(|| panic!("{name}: {events:?}"));
        assert_eq!((retry.outcome, retry.attempt), (expected, attempt), "{name}");
    }
}

#[test]
fn a_window_that_is_spent_and_a_model_that_falls_back() {
    let events_of_limit = events("claude-oauth-sub7d");
    let Some(Event::LimitTold(limit)) = events_of_limit.get(1) else {
        panic!("{events_of_limit:?}")
    };
    assert_eq!(limit.state, LimitState::Rejected);
    assert_eq!(limit.window.as_deref(), Some("seven_day"));
    assert_eq!(limit.reset_at, Some(at(1_795_453_989)));

    let events = events("claude-fallback");
    let fallbacks: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::ModelFellBack { from, to, .. } => Some((from.as_str(), to.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        fallbacks,
        [("claude-opus-4-8", "claude-sonnet-5"), ("claude-sonnet-5", "claude-haiku-4-5-20251001")]
    );
}

/// Usage is told while it grows: a budget can bite before the end.
#[test]
fn usage_grows_by_message() {
    let line = |id: &str, output: u64| {
        format!(
            "{{\"type\":\"assistant\",\"message\":{{\"id\":\"{id}\",\"content\":[],\"usage\":\
             {{\"input_tokens\":10,\"output_tokens\":{output}}}}}}}\n"
        )
    };
    let mut parser = Parser::new(Format::ClaudeStreamJson);
    let mut totals = Vec::new();
    for text in [line("a", 1), line("a", 5), line("a", 5), line("b", 2)] {
        parser.feed(text.as_bytes(), |event| {
            if let Event::UsageGrew(usage) = event {
                totals.push((usage.input_tokens, usage.output_tokens));
            }
        });
    }
    assert_eq!(totals, [(10, 1), (10, 5), (20, 7)]);
}
