//! What CLIs are known to say and no recorded run here says: each text where its CLI puts it.

use agent_runner_signals::{End::Exited, Format, Outcome};
use serde_json::json;

use crate::{NOW, at, check, verdict};

/// A failure of Claude Code: the message that it wrote itself, and the result.
fn claude(error: &str, status: Option<u16>, text: &str) -> String {
    let message = json!({"type": "assistant", "error": error, "message": {
        "model": "<synthetic>", "content": [{"type": "text", "text": text}]}});
    let result = json!({"type": "result", "subtype": "success", "is_error": true,
        "api_error_status": status, "result": text, "session_id": "s"});
    format!("{message}\n{result}\n")
}

fn codex(message: &str) -> String {
    let failed = json!({"type": "turn.failed", "error": {"message": message}});
    format!("{{\"type\":\"turn.started\"}}\n{failed}\n")
}

fn gemini(message: &str) -> String {
    json!({"type": "result", "status": "error", "error": {"type": "Error", "message": message}})
        .to_string()
}

fn opencode(name: &str, data: &serde_json::Value) -> String {
    json!({"type": "error", "sessionID": "s", "error": {"name": name, "data": data}}).to_string()
}

#[track_caller]
fn claude_is(error: &str, status: Option<u16>, text: &str, expected: Outcome) {
    check(Format::ClaudeStreamJson, &claude(error, status, text), Exited(1), expected);
}

#[test]
fn claude_codes_and_texts() {
    use Outcome::{
        Auth, Billing, ContextOverflow, ModelNotFound, Network, Overloaded, Quota, Refused,
        TaskFailed, Throttled,
    };
    for (error, status, text, expected) in [
        ("rate_limit", Some(429), "You've hit your Opus limit · resets 6am (UTC)", Quota),
        ("rate_limit", Some(429), "You\u{2019}ve hit your session limit · resets 6am", Quota),
        ("unknown", None, "You've reached your Fable 5 limit", Quota),
        ("billing_error", Some(402), "Credit balance is too low", Billing),
        ("unknown", None, "You're out of usage credits", Billing),
        ("authentication_failed", None, "Not logged in · Please run /login", Auth),
        ("unknown", None, "Not logged in · Please run /login", Auth),
        ("account_on_hold", Some(403), "on hold", Auth),
        (
            "model_not_found",
            Some(404),
            "There's an issue with the selected model (x).",
            ModelNotFound,
        ),
        ("invalid_request", Some(400), "Prompt is too long · 250000 tokens", ContextOverflow),
        ("invalid_request", Some(400), "API Error: 400 messages: text is empty", TaskFailed),
        ("unknown", None, "API Error: Unable to connect to API (ConnectionRefused)", Network),
        ("server_error", None, "Request timed out", Network),
        ("server_error", None, "API Error: Repeated 529 Overloaded errors.", Overloaded),
        ("overloaded", Some(529), "", Overloaded),
        ("rate_limit", Some(429), "", Throttled),
        ("max_output_tokens", None, "API Error: the answer was too long", TaskFailed),
        ("unknown", None, "API Error: … appears to violate our Usage Policy (…)", Refused),
    ] {
        claude_is(error, status, text, expected);
    }
}

#[test]
fn claude_ends_by_itself() {
    for (subtype, expected) in [
        ("error_max_turns", Outcome::MaxTurns),
        ("error_max_budget_usd", Outcome::Budget),
        ("error_during_execution", Outcome::TaskFailed),
        ("error_max_structured_output_retries", Outcome::TaskFailed),
        ("error_of_a_later_version", Outcome::TaskFailed),
    ] {
        let errors = ["No conversation found with session ID: 1"];
        let result = json!({"type": "result", "subtype": subtype, "errors": errors});
        let verdict = check(Format::ClaudeStreamJson, &result.to_string(), Exited(1), expected);
        assert_eq!(verdict.message.as_deref(), Some(errors[0]));
    }
    let refused = json!({"type": "result", "subtype": "success", "is_error": false,
        "stop_reason": "refusal", "result": "I can't help with that"});
    check(Format::ClaudeStreamJson, &refused.to_string(), Exited(0), Outcome::Refused);
}

/// Words that later versions no longer have are not believed from them.
#[test]
fn old_words_of_old_versions() {
    let text = format!("Claude AI usage limit reached|{}", NOW + 60);
    let result = claude("unknown", None, &text);
    let init = |version: &str| json!({"type": "system", "subtype": "init", "claude_code_version": version});
    let old = check(
        Format::ClaudeStreamJson,
        &format!("{}\n{result}", init("1.0.44")),
        Exited(1),
        Outcome::Quota,
    );
    assert_eq!(old.reset_at, Some(at(NOW + 60)));
    check(Format::ClaudeStreamJson, &result, Exited(1), Outcome::Quota);
    let new = format!("{}\n{result}", init("2.1.197"));
    check(Format::ClaudeStreamJson, &new, Exited(1), Outcome::TaskFailed);
}

#[test]
fn a_warning_of_a_limit_is_none() {
    let warning = json!({"type": "rate_limit_event", "rate_limit_info": {
        "status": "allowed_warning", "resetsAt": NOW + 60, "rateLimitType": "five_hour"}});
    let throttled =
        claude("rate_limit", Some(429), "API Error: Request rejected (429) · slow down");
    let output = format!("{warning}\n{throttled}");
    let verdict = check(Format::ClaudeStreamJson, &output, Exited(1), Outcome::Throttled);
    assert_eq!(verdict.reset_at, None);
    let spent =
        format!("{}\n{throttled}", warning.to_string().replace("allowed_warning", "rejected"));
    let verdict = check(Format::ClaudeStreamJson, &spent, Exited(1), Outcome::Quota);
    assert_eq!(verdict.reset_at, Some(at(NOW + 60)));
    assert_eq!(verdict.wait(at(NOW)).map(|wait| wait.as_secs()), Some(60));
    let billing = claude("billing_error", Some(402), "Credit balance is too low");
    let both = format!("{}\n{billing}", warning.to_string().replace("allowed_warning", "rejected"));
    check(Format::ClaudeStreamJson, &both, Exited(1), Outcome::Billing);
}

#[test]
fn codex_texts() {
    use Outcome::{
        Auth, Billing, ContextOverflow, ModelNotFound, Network, Overloaded, Quota, Refused,
        TaskFailed, Throttled,
    };
    for (text, expected) in [
        ("You've hit your usage limit. Try again later.", Quota),
        ("You’ve hit your usage limit for GPT-5. Try again at Nov 25th, 2026 5:42 PM.", Quota),
        ("Your workspace is out of credits. Add credits to continue.", Billing),
        ("To use Codex with your ChatGPT plan, upgrade to Plus: https://…", Billing),
        ("unexpected status 403 Forbidden: no, url: http://127.0.0.1/v1/responses", Auth),
        ("unexpected status 402 Payment Required: no, url: https://x", Billing),
        ("unexpected status 502 Bad Gateway: <html>, url: https://x", Overloaded),
        ("unexpected status 422 Unprocessable Entity: no, url: https://x", TaskFailed),
        ("exceeded retry limit, last status: 429 Too Many Requests, request id: 1", Throttled),
        (
            "stream disconnected before completion: Rate limit reached for gpt-5 in …. Please try again in 1.5s.",
            Throttled,
        ),
        (
            "stream disconnected before completion: error sending request for url (https://x)",
            Network,
        ),
        (
            "Codex ran out of room in the model's context window. Start a new thread.",
            ContextOverflow,
        ),
        ("Selected model is at capacity. Please try a different model.", Overloaded),
        ("The 'x' model is not supported when using Codex with a ChatGPT account.", ModelNotFound),
        ("This content was flagged for possible cybersecurity risk.", Refused),
        ("Your access token could not be refreshed because it was revoked.", Auth),
        ("something that nobody has seen", TaskFailed),
        ("", TaskFailed),
    ] {
        check(Format::CodexJson, &codex(text), Exited(1), expected);
    }
    let rate = codex("Rate limit reached for gpt-5 in x. Please try again in 1.5s.");
    let wait = verdict(Format::CodexJson, &rate, Exited(1)).retry_after;
    assert_eq!(wait.map(|wait| wait.as_millis()), Some(1500));
}

#[test]
fn gemini_texts_and_exit_codes() {
    use Outcome::{
        Auth, Cancelled, MaxTurns, ModelNotFound, NoTerminalEvent, Overloaded, Quota, TaskFailed,
        Throttled,
    };
    for (text, code, expected) in [
        ("[API Error: You have exhausted your daily quota on this model.]", 173, Quota),
        (
            "You have exhausted your capacity on this model. Your quota will reset after 5h.",
            173,
            Quota,
        ),
        ("[API Error: slow down]", 173, Throttled),
        ("[API Error: API key not valid. Please pass a valid API key.]", 144, Auth),
        ("[API Error: no]", 147, Auth),
        ("[API Error: no]", 244, Overloaded),
        ("[API Error: The model is overloaded. Please try again later.]", 1, Overloaded),
        ("models/x is not found for API version v1beta", 1, ModelNotFound),
        ("Reached max session turns for this session.", 53, MaxTurns),
        ("the tool broke", 1, TaskFailed),
    ] {
        check(Format::GeminiJson, &gemini(text), Exited(code), expected);
    }
    for (code, expected) in [
        (41, Auth),
        (42, TaskFailed),
        (52, TaskFailed),
        (53, MaxTurns),
        (130, Cancelled),
        (147, Auth),
        (173, Throttled),
        (1, NoTerminalEvent),
        (0, NoTerminalEvent),
    ] {
        check(Format::GeminiJson, "", Exited(code), expected);
    }
    let body = json!({"error": {"code": 429, "message": "You exceeded your current quota.",
        "status": "RESOURCE_EXHAUSTED", "details": [
            {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},
            {"retryDelay": "26.5s"}]}});
    let daily = check(Format::GeminiJson, &gemini(&body.to_string()), Exited(173), Quota);
    assert_eq!(daily.retry_after.map(|wait| wait.as_millis()), Some(26_500));
    let minute = gemini(&body.to_string().replace("PerDay", "PerMinute"));
    check(Format::GeminiJson, &minute, Exited(173), Throttled);
    let long = gemini(&body.to_string().replace("PerDay", "").replace("26.5s", "7200s"));
    check(Format::GeminiJson, &long, Exited(173), Quota);
}

#[test]
fn opencode_errors() {
    use Outcome::{
        Auth, Billing, Cancelled, ModelNotFound, Network, Overloaded, Quota, Refused, TaskFailed,
        Throttled,
    };
    let api = |status: u16, message: &str, kind: &str| {
        let body = json!({"type": "error", "error": {"type": kind, "message": message}});
        json!({"message": message, "statusCode": status, "responseBody": body.to_string()})
    };
    for (name, data, expected) in [
        ("APIError", api(529, "Overloaded", "overloaded_error"), Overloaded),
        ("APIError", api(402, "no", "billing_error"), Billing),
        (
            "APIError",
            api(400, "Your credit balance is too low …", "invalid_request_error"),
            Billing,
        ),
        ("APIError", api(400, "You have reached your specified API usage limits.", ""), Quota),
        ("APIError", api(429, "no", "insufficient_quota"), Quota),
        ("APIError", api(500, "no", ""), Overloaded),
        ("APIError", api(422, "no", ""), TaskFailed),
        ("APIError", json!({"message": "socket hang up", "isRetryable": true}), Network),
        (
            "APIError",
            json!({"message": "no", "statusCode": 429, "responseHeaders": {"retry-after": "9"}}),
            Throttled,
        ),
        (
            "APIError",
            json!({"message": "no", "statusCode": 429, "responseHeaders": {"retry-after": "3600"}}),
            Quota,
        ),
        ("ProviderAuthError", json!({"providerID": "anthropic", "message": "no key"}), Auth),
        ("MessageAbortedError", json!({"message": "aborted"}), Cancelled),
        ("ContentFilterError", json!({"message": "filtered"}), Refused),
        ("UnknownError", json!({"message": "Model not found: opencode/x."}), ModelNotFound),
        ("UnknownError", json!({"message": "boom"}), TaskFailed),
        ("UnknownError", json!(null), TaskFailed),
    ] {
        check(Format::OpenCodeJson, &opencode(name, &data), Exited(1), expected);
    }
}

/// An error of the API, as `agent-runner messages` prints it.
fn messages(status: Option<u16>, kind: &str, message: &str) -> String {
    json!({"type": "error", "status": status, "error": {"type": kind, "message": message}})
        .to_string()
}

#[test]
fn messages_errors() {
    use Outcome::{
        Auth, Billing, ContextOverflow, ModelNotFound, Network, Overloaded, Quota, TaskFailed,
        Throttled,
    };
    for (status, kind, message, expected) in [
        (Some(429), "rate_limit_error", "slow down", Throttled),
        (
            Some(400),
            "invalid_request_error",
            "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
            Quota,
        ),
        (Some(400), "invalid_request_error", "Your credit balance is too low to access …", Billing),
        (Some(402), "billing_error", "no", Billing),
        (Some(401), "authentication_error", "invalid x-api-key", Auth),
        (Some(403), "permission_error", "no", Auth),
        (Some(404), "not_found_error", "model: x", ModelNotFound),
        (Some(413), "request_too_large", "no", ContextOverflow),
        (Some(400), "invalid_request_error", "prompt is too long: 9 > 8", ContextOverflow),
        (Some(400), "invalid_request_error", "max_tokens: too large", TaskFailed),
        (Some(500), "api_error", "no", Overloaded),
        (Some(529), "overloaded_error", "Overloaded", Overloaded),
        (None, "overloaded_error", "Overloaded", Overloaded),
        (None, "api_error", "no", Overloaded),
        (None, "network_error", "the answer was cut off", Network),
        (None, "error_of_a_later_version", "no", TaskFailed),
    ] {
        check(Format::Messages, &messages(status, kind, message), Exited(1), expected);
    }
    let limit = json!({"type": "response", "status": 429, "limits": {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": (NOW + 60).to_string(),
        "anthropic-ratelimit-unified-representative-claim": "five_hour"}});
    let window = format!("{limit}\n{}", messages(Some(429), "rate_limit_error", "no"));
    let verdict = check(Format::Messages, &window, Exited(1), Quota);
    assert_eq!(verdict.reset_at, Some(at(NOW + 60)));
    let spend = json!({"type": "error", "status": 429, "error": {"type": "rate_limit_error",
        "message": "no", "details": {"error_code": "enforced_spend_limit_reached"}}});
    check(Format::Messages, &spend.to_string(), Exited(1), Quota);
    let wait = json!({"type": "error", "status": 429, "retry_after_s": 2.0,
        "error": {"type": "rate_limit_error", "message": "no"}});
    let verdict = check(Format::Messages, &wait.to_string(), Exited(1), Throttled);
    assert_eq!(verdict.retry_after.map(|wait| wait.as_secs()), Some(2));
}

#[test]
fn messages_ends() {
    use Outcome::{ContextOverflow, NoTerminalEvent, Refused, Succeeded, TaskFailed};
    for (reason, code, expected) in [
        (Some("end_turn"), 0, Succeeded),
        (Some("stop_sequence"), 0, Succeeded),
        (Some("refusal"), 1, Refused),
        (Some("max_tokens"), 1, TaskFailed),
        (Some("model_context_window_exceeded"), 1, ContextOverflow),
        (None, 1, TaskFailed),
    ] {
        let delta = json!({"type": "message_delta", "delta": {"stop_reason": reason}});
        check(Format::Messages, &delta.to_string(), Exited(code), NoTerminalEvent);
        let whole = format!("{delta}\n{}", json!({"type": "message_stop"}));
        check(Format::Messages, &whole, Exited(code), expected);
    }
}
