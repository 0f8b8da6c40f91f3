//! The table: what real answers mean.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use crate::{Answer, Rejection, classify, parse_rfc3339};

/// The time of all these answers.
fn now() -> SystemTime {
    parse_rfc3339("2026-11-23T18:00:00Z").unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "a row of the table can also be nothing")]
const fn rate(seconds: u64) -> Option<Rejection> {
    Some(Rejection::RateLimited { retry_after: Some(Duration::from_secs(seconds)) })
}

#[expect(clippy::unnecessary_wraps, reason = "a row of the table can also be nothing")]
const fn quota(seconds: u64) -> Option<Rejection> {
    Some(Rejection::quota(Some(Duration::from_secs(seconds))))
}

const RATE: Option<Rejection> = Some(Rejection::RateLimited { retry_after: None });
const QUOTA: Option<Rejection> = Some(Rejection::quota(None));
const OVERLOADED: Option<Rejection> = Some(Rejection::Overloaded { retry_after: None });
const BILLING: Option<Rejection> = Some(Rejection::Billing);
const UNAUTHORIZED: Option<Rejection> = Some(Rejection::Unauthorized);
const FORBIDDEN: Option<Rejection> = Some(Rejection::Forbidden);
const BLOCKED: Option<Rejection> = Some(Rejection::Blocked);

/// To the first of December.
const MONTH: u64 = 7 * 86_400 + 6 * 3600;

type Headers = &'static [(&'static str, &'static str)];

#[track_caller]
fn check(status: u16, headers: Headers, body: &str, expected: Option<Rejection>) {
    let found = classify(&Answer::new(status, headers, body), now()).rejection();
    let found = found.map(|rejection| match rejection {
        Rejection::QuotaExhausted { resets_in, .. } => Rejection::quota(resets_in),
        rejection => rejection,
    });
    assert_eq!(found, expected, "{status} {headers:?} {body}");
}

fn anthropic(kind: &str, message: &str) -> String {
    format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#)
}

fn openai(kind: &str, code: &str) -> String {
    format!(
        r#"{{"error":{{"message":"Some text.","type":"{kind}","param":null,"code":"{code}"}}}}"#
    )
}

fn gemini(code: u16, status: &str, message: &str, details: &str) -> String {
    format!(
        r#"{{"error":{{"code":{code},"message":"{message}","status":"{status}","details":[{details}]}}}}"#
    )
}

#[test]
fn anthropic_answers() {
    let limited = anthropic("rate_limit_error", "This request would exceed your rate limit.");
    check(429, &[("Retry-After", "17")], &limited, rate(17));
    check(429, &[], &limited, RATE);
    check(429, &[("retry-after", "7200")], &limited, quota(7200));
    check(
        429,
        &[],
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"Limit reached.",
            "details":{"error_code":"enforced_spend_limit_reached"}}}"#,
        quota(MONTH),
    );
    let regain = "You have reached your specified API usage limits. \
                  You will regain access on 2026-12-01 at 00:00 UTC.";
    check(400, &[], &anthropic("invalid_request_error", regain), quota(MONTH));
    let workspace = "You have reached your specified workspace API usage limits.";
    check(400, &[], &anthropic("invalid_request_error", workspace), QUOTA);
    let broke = "Your credit balance is too low to access the Anthropic API.";
    check(400, &[], &anthropic("invalid_request_error", broke), BILLING);
    check(402, &[], &anthropic("billing_error", "Payment required"), BILLING);
    check(401, &[], &anthropic("authentication_error", "invalid x-api-key"), UNAUTHORIZED);
    let cors = "CORS requests are not allowed for this Organization";
    check(401, &[], &anthropic("authentication_error", cors), BLOCKED);
    check(403, &[], &anthropic("permission_error", "Not allowed"), FORBIDDEN);
    check(529, &[], &anthropic("overloaded_error", "Overloaded"), OVERLOADED);
    check(429, &[], &anthropic("overloaded_error", "Overloaded"), OVERLOADED);
    check(500, &[], &anthropic("api_error", "Internal server error"), None);
    check(404, &[], &anthropic("not_found_error", "model: claude-9"), FORBIDDEN);
    check(404, &[], &anthropic("not_found_error", "Not found"), None);
    check(413, &[], &anthropic("request_too_large", "Request exceeds the maximum size"), None);
    check(400, &[], &anthropic("invalid_request_error", "max_tokens: required"), None);
}

#[test]
fn anthropic_subscriptions() {
    let headers: Headers = &[
        ("anthropic-ratelimit-unified-status", "rejected"),
        ("anthropic-ratelimit-unified-reset", "1795460400"),
        ("retry-after", "30"),
    ];
    check(429, headers, &anthropic("rate_limit_error", "Limit reached"), quota(3600));
}

#[test]
fn openai_answers() {
    let limited = openai("requests", "rate_limit_exceeded");
    check(429, &[("retry-after-ms", "1500"), ("retry-after", "2")], &limited, {
        Some(Rejection::RateLimited { retry_after: Some(Duration::from_millis(1500)) })
    });
    let headers: Headers = &[
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "2m5s"),
        ("x-ratelimit-remaining-tokens", "3000"),
        ("x-ratelimit-reset-tokens", "6ms"),
    ];
    check(429, headers, &limited, rate(125));
    let text = r#"{"error":{"message":"Rate limit reached. Please try again in 20s. Visit ...",
                   "type":"tokens","code":"rate_limit_exceeded"}}"#;
    check(429, &[], text, rate(20));
    let text = r#"{"error":{"message":"Rate limit reached on requests per day (RPD): Limit 200",
                   "type":"requests","code":"rate_limit_exceeded"}}"#;
    check(429, &[("retry-after", "8")], text, QUOTA);
    check(429, &[], &openai("insufficient_quota", "insufficient_quota"), BILLING);
    check(429, &[], &openai("insufficient_quota", "credit_balance_exhausted"), BILLING);
    check(429, &[], &openai("insufficient_quota", "project_spend_limit_exceeded"), quota(MONTH));
    check(429, &[], &openai("requests", "slow_down"), RATE);
    check(503, &[], &openai("server_error", "slow_down"), RATE);
    check(503, &[], &openai("server_error", "server_is_overloaded"), OVERLOADED);
    check(401, &[], &openai("invalid_request_error", "invalid_api_key"), UNAUTHORIZED);
    check(403, &[], &openai("x", "unsupported_country_region_territory"), BLOCKED);
    check(404, &[], &openai("invalid_request_error", "model_not_found"), FORBIDDEN);
}

#[test]
fn codex_plans() {
    let spent = r#"{"error":{"type":"usage_limit_reached","plan_type":"plus",
                    "resets_at":1795460400,"resets_in_seconds":3500}}"#;
    check(429, &[], spent, quota(3500));
    let spent = r#"{"error":{"type":"usage_limit_reached","resets_at":1795460400}}"#;
    check(429, &[], spent, quota(3600));
    // By the server's own clock, which is half an hour ahead of ours.
    check(429, &[("date", "Mon, 23 Nov 2026 18:30:00 GMT")], spent, quota(1800));
}

#[test]
fn gemini_answers() {
    let violation = |quota: &str| {
        format!(
            r#"{{"@type":"type.googleapis.com/google.rpc.QuotaFailure",
                 "violations":[{{"quotaId":"{quota}"}}]}},
               {{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"26s"}}"#
        )
    };
    let text = "You exceeded your current quota, please check your plan and billing details.";
    let minute = violation("GenerateRequestsPerMinutePerProjectPerModel-FreeTier");
    check(429, &[], &gemini(429, "RESOURCE_EXHAUSTED", text, &minute), rate(26));
    let stream = format!("[{}]", gemini(429, "RESOURCE_EXHAUSTED", text, &minute));
    check(429, &[], &stream, rate(26));
    // The 26 s are Google's own mistake; the day is not over then.
    let day = violation("GenerateRequestsPerDayPerProjectPerModel-FreeTier");
    check(429, &[], &gemini(429, "RESOURCE_EXHAUSTED", text, &day), QUOTA);
    let none = "Quota exceeded for metric: requests, limit: 0, model: gemini-9-pro";
    check(429, &[], &gemini(429, "RESOURCE_EXHAUSTED", none, &day), FORBIDDEN);
    check(429, &[], &gemini(429, "RESOURCE_EXHAUSTED", "limit: 05 is not", &minute), rate(26));
    let invalid = "API key not valid. Please pass a valid API key.";
    check(400, &[], &gemini(400, "INVALID_ARGUMENT", invalid, ""), UNAUTHORIZED);
    let reason = r#"{"reason":"API_KEY_INVALID"}"#;
    check(400, &[], &gemini(400, "INVALID_ARGUMENT", "Bad key", reason), UNAUTHORIZED);
    check(503, &[], &gemini(503, "UNAVAILABLE", "The model is overloaded.", ""), OVERLOADED);
    let capacity = r#"{"reason":"MODEL_CAPACITY_EXHAUSTED"}"#;
    check(429, &[], &gemini(429, "RESOURCE_EXHAUSTED", "No capacity", capacity), OVERLOADED);
    check(403, &[], &gemini(403, "PERMISSION_DENIED", "No access", ""), FORBIDDEN);
    let place = "User location is not supported for the API use.";
    check(400, &[], &gemini(400, "FAILED_PRECONDITION", place, ""), BLOCKED);
    check(400, &[], &gemini(400, "INVALID_ARGUMENT", "Request is too large", ""), None);
}

#[test]
fn openrouter_answers() {
    let unpaid = |source: &str| {
        format!(
            r#"{{"error":{{"code":402,"message":"No.","metadata":{{"limit_source":"{source}"}}}}}}"#
        )
    };
    check(402, &[], &unpaid("openrouter_credits"), BILLING);
    check(402, &[], &unpaid("openrouter_key_limit"), QUOTA);
    check(402, &[("retry-after", "9")], r#"{"error":{"code":402,"message":"No."}}"#, rate(9));
    let headers: Headers =
        &[("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1795456860000")];
    check(429, headers, r#"{"error":{"code":429,"message":"Rate limited"}}"#, rate(60));
    let day = r#"{"error":{"code":429,"message":"free-models-per-day limit"}}"#;
    check(429, &[], day, QUOTA);
}

#[test]
fn bedrock_answers() {
    let aws = |message: &str| format!(r#"{{"message":"{message}"}}"#);
    let throttled: Headers = &[("x-amzn-ErrorType", "ThrottlingException:http://aws/")];
    check(429, throttled, &aws("Too many requests, please wait before trying again."), RATE);
    check(400, throttled, &aws("Too many requests, please wait before trying again."), RATE);
    check(429, throttled, &aws("Too many tokens per day, please wait."), QUOTA);
    check(
        403,
        &[],
        r#"{"__type":"com.amazon#UnrecognizedClientException","message":"The security token"}"#,
        UNAUTHORIZED,
    );
    check(403, &[("x-amzn-errortype", "AccessDeniedException")], &aws("No"), FORBIDDEN);
    check(429, &[("x-amzn-errortype", "ModelNotReadyException")], &aws("Wait"), OVERLOADED);
    check(400, &[("x-amzn-errortype", "ServiceQuotaExceededException")], &aws("Quota"), QUOTA);
    check(424, &[("x-amzn-errortype", "ModelErrorException")], &aws("Model"), None);
}

#[test]
fn anybody_elses_answers() {
    check(429, &[], "", RATE);
    check(429, &[("retry-after", "Mon, 23 Nov 2026 18:00:40 GMT")], "", rate(40));
    let headers: Headers = &[
        ("date", "Mon, 23 Nov 2026 10:00:00 GMT"),
        ("retry-after", "Mon, 23 Nov 2026 10:00:40 GMT"),
    ];
    check(429, headers, "", rate(40));
    check(429, &[("retry-after", "0")], "", RATE);
    check(429, &[("retry-after", "soon")], "", RATE);
    check(429, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "50")], "", rate(50));
    check(429, &[("retry-after", "99999999999999999999")], "", quota(8 * 86_400));
    check(429, &[], "<html>daily quota exceeded</html>", QUOTA);
    check(403, &[], "Daily quota exceeded", QUOTA);
    check(403, &[], "<html>Access denied</html>", FORBIDDEN);
    check(401, &[], "", UNAUTHORIZED);
    check(503, &[("retry-after", "5")], "", {
        Some(Rejection::Overloaded { retry_after: Some(Duration::from_secs(5)) })
    });
    check(451, &[], "", BLOCKED);
    check(418, &[], "", Some(Rejection::Unknown { status: 418 }));
    for status in [100, 200, 204, 301, 400, 404, 408, 409, 413, 422, 499, 500, 502, 504, 599] {
        check(status, &[], "", None);
    }
}

#[test]
fn a_limit_can_come_under_a_status_of_200() {
    let event = anthropic("overloaded_error", "Overloaded");
    check(200, &[], &event, OVERLOADED);
    check(200, &[], &format!("event: error\ndata: {event}\n\n"), OVERLOADED);
    let failed = r#"data: {"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded",
        "message":"Rate limit reached. Please try again in 11s."}}}"#;
    check(200, &[], &failed.replace('\n', ""), rate(11));
    check(200, &[], r#"{"error":null,"output":"daily quota, invalid api key"}"#, None);
    check(200, &[], "daily quota exceeded, 429, credit balance is too low", None);
}

#[test]
fn what_a_prompt_says_is_not_what_the_server_says() {
    let echo = "messages.0: the text 'our daily quota per day' is too long";
    check(400, &[], &anthropic("invalid_request_error", echo), None);
    check(500, &[], "could not render 'credit balance is too low'", None);
}

/// Pieces that real answers are made of, so that random ones reach the branches.
fn pieces() -> impl Strategy<Value = String> {
    let words = "(\\{|\\}|\\[|\\]|\"error\":|\"type\":|\"message\":|\"details\":|\"retryDelay\":|\
                 \"code\":|\"insufficient_quota\"|\"RESOURCE_EXHAUSTED\"|\"26s\"|:|,|null|429|\
                 regain access on |2026-12-01| at |00:00|per day|try again in |9d|[a-zé0-9.]{0,5})";
    prop::collection::vec(words, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_answer_has_a_meaning_and_no_wait_is_without_end(
        status: u16,
        body in prop_oneof![pieces(), ".{0,60}"],
        name in prop_oneof!["retry-after", "date", "x-ratelimit-(remaining|reset)", "[a-z-]{1,30}"],
        value in prop_oneof!["[0-9.]{0,25}", "[0-9hms]{0,9}", ".{0,40}"],
    ) {
        let headers = [(name.as_str(), value.as_str()), ("x-ratelimit-remaining", "0")];
        let rejection = classify(&Answer::new(status, &headers, &body), now()).rejection();
        let wait = rejection.and_then(Rejection::retry_after).unwrap_or_default();
        let bounded = wait <= Duration::from_secs(32 * 86_400) || body.contains("regain");
        prop_assert!(bounded, "a wait of {wait:?}");
    }
}
