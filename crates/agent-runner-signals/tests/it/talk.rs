//! Agents that merely talk about limits raise nothing.

use agent_runner_signals::{
    End::{self, Exited, TimedOut},
    Event, Format, Outcome, Parser, judge,
};
use serde_json::{Value, json};

use crate::{check, now};

/// What agents write when their task is about limits.
const TALK: &[&str] = &[
    "I added handling for 429 Too Many Requests with a Retry-After header.",
    "Earlier the run said: You've hit your session limit · resets 5:13pm (UTC)",
    "You’ve hit your usage limit. Upgrade to Pro, or try again at 6:20 PM.",
    "Line 429: const RATE_LIMIT = 429; // rate_limit_error, overloaded_error",
    "Quota exceeded. Check your plan and billing details.",
    "The cluster is overloaded: credit balance is too low, invalid API key, prompt is too long",
    "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"api_error_status\":429}",
    "{\"type\":\"turn.failed\",\"error\":{\"message\":\"unexpected status 401 Unauthorized\"}}",
    "[API Error: You have exhausted your daily quota on this model.]",
    "Attempt 1 failed with status 503. Retrying with backoff... ",
    "API Error: 529 Overloaded",
];

/// A text in every place where a CLI puts what its model and its tools say.
fn said(format: Format, text: &str) -> String {
    let lines: Vec<Value> = match format {
        Format::ClaudeStreamJson => vec![
            json!({"type": "assistant", "session_id": "s", "message": {"id": "m", "content": [
                {"type": "text", "text": text},
                {"type": "thinking", "thinking": text},
                {"type": "tool_use", "name": "Bash", "input": {"command": text}}]}}),
            json!({"type": "user", "message": {"content": [
                {"type": "tool_result", "is_error": true, "content": text}]}}),
            json!({"type": "stream_event", "event": {"delta": {"text": text}}}),
            json!({"type": "system", "subtype": "hook_response", "stdout": text, "error": text}),
        ],
        Format::CodexJson => vec![
            json!({"type": "turn.started"}),
            json!({"type": "item.completed", "item": {"type": "agent_message", "text": text}}),
            json!({"type": "item.completed", "item": {"type": "reasoning", "text": text}}),
            json!({"type": "item.completed", "item": {"type": "error", "message": text}}),
            json!({"type": "item.completed", "item": {"type": "command_execution",
                "command": text, "aggregated_output": text, "exit_code": 1, "status": "failed"}}),
        ],
        Format::GeminiJson => vec![
            json!({"type": "message", "role": "user", "content": text}),
            json!({"type": "message", "role": "assistant", "content": text, "delta": true}),
            json!({"type": "tool_use", "tool_name": "shell", "parameters": {"command": text}}),
            json!({"type": "tool_result", "status": "error", "output": text,
                "error": {"message": text}}),
        ],
        Format::OpenCodeJson => vec![
            json!({"type": "text", "sessionID": "s", "part": {"type": "text", "text": text}}),
            json!({"type": "tool_use", "part": {"tool": "bash", "state": {
                "status": "error", "error": text, "output": text}}}),
            json!({"type": "step_finish", "part": {"reason": "tool-calls"}}),
        ],
        Format::Messages => vec![
            json!({"type": "content_block_start", "content_block": {"type": "text", "text": text}}),
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}),
            json!({"type": "content_block_stop", "index": 0}),
        ],
        _ => vec![],
    };
    let lines: Vec<_> = lines.iter().map(Value::to_string).collect();
    if lines.is_empty() { text.to_owned() } else { lines.join("\n") + "\n" }
}

/// The line by which a CLI says that all is well.
fn success(format: Format, text: &str) -> String {
    match format {
        Format::ClaudeStreamJson => {
            json!({"type": "result", "subtype": "success", "is_error": false, "result": text})
        }
        Format::CodexJson => json!({"type": "turn.completed", "usage": {}}),
        Format::GeminiJson => json!({"type": "result", "status": "success"}),
        Format::OpenCodeJson => json!({"type": "step_finish", "part": {"reason": "stop"}}),
        Format::Messages => {
            let delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}});
            return format!("{delta}\n{}", json!({"type": "message_stop"}));
        }
        _ => return "\n".to_owned(),
    }
    .to_string()
}

#[test]
fn a_success_that_talks_about_limits_is_one() {
    for format in Format::ALL {
        for text in TALK {
            let output = said(format, text) + &success(format, text);
            check(format, &output, Exited(0), Outcome::Succeeded);
        }
    }
}

#[test]
fn a_run_that_breaks_off_while_it_talks_about_limits_has_met_none() {
    for format in Format::ALL {
        let is_plain = format == Format::Plain;
        let expected = if is_plain { Outcome::TaskFailed } else { Outcome::NoTerminalEvent };
        for text in TALK {
            check(format, &said(format, text), Exited(1), expected);
            check(format, &said(format, text), TimedOut, expected);
            check(format, &said(format, text), End::Signaled(9), Outcome::Crashed);
        }
    }
}

#[test]
fn no_event_is_raised_by_talk() {
    for format in Format::ALL {
        for text in TALK {
            let mut parser = Parser::new(format);
            parser.feed(said(format, text).as_bytes(), |event| {
                let is_alarm = matches!(
                    event,
                    Event::Retried(_) | Event::LimitTold(_) | Event::ModelFellBack { .. }
                );
                assert!(!is_alarm, "{format}: {event:?} of {text}");
            });
        }
    }
}

/// A CLI's stderr is its own, but no place of Claude, Codex or `OpenCode` that a rule may look at.
#[test]
fn talk_on_stderr_raises_nothing_either() {
    for format in [Format::ClaudeStreamJson, Format::CodexJson, Format::OpenCodeJson, Format::Plain]
    {
        for text in TALK {
            let mut parser = Parser::new(format);
            parser.feed(success(format, "").as_bytes(), |_| {});
            parser.feed_stderr(format!("{text}\n").as_bytes(), |event| panic!("{event:?}"));
            let verdict = judge(&parser.finish(), Exited(0), &now());
            assert_eq!(verdict.outcome, Outcome::Succeeded, "{format}: {text}");
        }
    }
}
