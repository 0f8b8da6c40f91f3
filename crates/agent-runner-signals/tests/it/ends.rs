//! How the end of the process and the end that was told go together.

use agent_runner_signals::{
    End::{Cancelled, Exited, Signaled, Stopped, TimedOut},
    Format, Outcome, Parser, judge,
};

use crate::{check, now};

const INIT: &str = "{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"s\"}\n";
const RETRY: &str = "{\"type\":\"system\",\"subtype\":\"api_retry\",\"attempt\":1,\"max_retries\":10,\
    \"retry_delay_ms\":1000,\"error_status\":429,\"error\":\"rate_limit\"}\n";
const ANSWER: &str = "{\"type\":\"assistant\",\"message\":{\"id\":\"m\",\"content\":\
    [{\"type\":\"tool_use\",\"name\":\"Bash\"}]}}\n";
const DONE: &str =
    "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"done\"}\n";
const FAILED: &str = "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\
    \"api_error_status\":401,\"result\":\"Invalid API key\"}\n";

#[track_caller]
fn claude(lines: &[&str], end: agent_runner_signals::End, expected: Outcome) {
    check(Format::ClaudeStreamJson, &lines.concat(), end, expected);
}

/// Claude exits with 0 when it is interrupted before it has an answer.
#[test]
fn an_exit_code_of_zero_is_no_success() {
    claude(&[INIT], Exited(0), Outcome::NoTerminalEvent);
    claude(&[INIT, ANSWER], Exited(0), Outcome::NoTerminalEvent);
    claude(&[], Exited(0), Outcome::NoTerminalEvent);
    check(Format::CodexJson, "{\"type\":\"turn.started\"}\n", Exited(0), Outcome::NoTerminalEvent);
    check(Format::OpenCodeJson, "{\"type\":\"step_start\"}\n", Exited(0), Outcome::NoTerminalEvent);
    check(Format::Plain, "done", Exited(0), Outcome::Succeeded);
}

#[test]
fn a_failure_that_was_told_is_one_whatever_the_exit_code() {
    claude(&[INIT, FAILED], Exited(0), Outcome::Auth);
    claude(&[INIT, DONE], Exited(1), Outcome::TaskFailed);
}

#[test]
fn work_that_is_done_is_done_when_the_process_hangs_after_it() {
    for end in [TimedOut, Stopped, Cancelled, Signaled(9), Exited(143)] {
        claude(&[INIT, ANSWER, DONE], end, Outcome::Succeeded);
    }
}

#[test]
fn what_it_was_in_trouble_with_when_it_was_ended_counts() {
    for end in [TimedOut, Stopped, Signaled(15), Exited(143), Exited(0)] {
        claude(&[INIT, RETRY], end, Outcome::Throttled);
    }
    claude(&[INIT, RETRY, ANSWER], TimedOut, Outcome::NoTerminalEvent);
    claude(&[INIT, RETRY, ANSWER, DONE], Exited(0), Outcome::Succeeded);
    claude(&[INIT, RETRY], Cancelled, Outcome::Cancelled);
}

#[test]
fn processes_die() {
    for end in [Signaled(6), Signaled(9), Signaled(15), Exited(134), Exited(137), Exited(143)] {
        claude(&[INIT, ANSWER], end, Outcome::Crashed);
        check(Format::Plain, "", end, Outcome::Crashed);
    }
    for end in [Signaled(2), Exited(130)] {
        claude(&[INIT], end, Outcome::Cancelled);
    }
    check(Format::Plain, "", Exited(2), Outcome::TaskFailed);
    check(Format::Plain, "", TimedOut, Outcome::TaskFailed);
}

#[test]
fn the_last_end_that_was_told_counts() {
    claude(&[INIT, FAILED, INIT, DONE], Exited(0), Outcome::Succeeded);
    claude(&[INIT, DONE, INIT], Exited(0), Outcome::NoTerminalEvent);
    let codex = "{\"type\":\"turn.started\"}\n{\"type\":\"turn.completed\"}\n\
        {\"type\":\"turn.started\"}\n{\"type\":\"error\",\"message\":\"unexpected status 503 x\"}\n";
    check(Format::CodexJson, codex, Exited(1), Outcome::Overloaded);
}

#[test]
fn without_words_of_its_own_the_last_line_of_stderr_is_the_message() {
    let mut parser = Parser::new(Format::ClaudeStreamJson);
    parser.feed_stderr(b"loading\nerror: unknown option '--frob'\n", |_| {});
    let verdict = judge(&parser.finish(), Exited(1), &now());
    assert_eq!(verdict.outcome, Outcome::NoTerminalEvent);
    let message = verdict.message.expect("there is one");
    assert_eq!(message, "exited with code 1: error: unknown option '--frob'");
}

#[test]
fn trouble_that_no_rule_knows_is_told_all_the_same() {
    let codex = "{\"type\":\"error\",\"message\":\"the sandbox broke\"}\n";
    let verdict = check(Format::CodexJson, codex, Exited(1), Outcome::NoTerminalEvent);
    assert_eq!(verdict.message.as_deref(), Some("the sandbox broke"));
}
