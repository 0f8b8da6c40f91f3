//! Why there is no key, in the words of each provider.

use agent_runner_gateway::Options;

use crate::{
    client::{body, post, raw, status},
    keys,
    provider::{Provider, Script, answer, error},
    setup,
};

const ANTHROPIC: &str = "/anthropic/v1/messages";
const OPENAI: &str = "/openai/v1/responses";
const GEMINI: &str = "/gemini/v1beta/models/model-9:generateContent";

/// The two keys of the provider are answered so; a client that asks, and one that asks again, when
/// the provider is not asked any more, are both answered with this.
async fn check(path: &str, script: fn() -> Script, expected: u16, words: &[&str], is_final: bool) {
    let provider = Provider::start(move |_| script()).await;
    let name = path[1..].split('/').next().unwrap();
    let it = setup(keys(name, &provider.url(), 2), Options::default()).await;
    for ask in ["first", "second"] {
        let request = post(it.access.token(), path, r#"{"model":"model-9"}"#)
            .replace("anthropic-version: 2023-06-01\r\n", "");
        let answer = raw(it.gateway.address(), request.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{ask}: {answer}");
        for word in words {
            assert!(body(&answer).contains(word), "{ask}: {word} is not in {answer}");
        }
        let is_told = answer.contains("x-should-retry: false");
        assert_eq!(is_told, is_final, "{ask}: {answer}");
    }
    assert_eq!(provider.requests().len(), 2, "each key was asked once");
}

#[tokio::test]
async fn no_credit_is_no_rate() {
    let script = || {
        let text = "Your credit balance is too low to access the Anthropic API.";
        error(400, "", "invalid_request_error", text)
    };
    let words = ["\"invalid_request_error\"", "agent-runner: ", "Your credit balance is too low"];
    check(ANTHROPIC, script, 400, &words, true).await;
    let unpaid = || answer(429, "", r#"{"error":{"code":"insufficient_quota"}}"#);
    check(OPENAI, unpaid, 429, &["\"code\":\"insufficient_quota\"", "no credit left"], true).await;
    let unpaid = || answer(402, "", "{}");
    check(GEMINI, unpaid, 402, &["\"FAILED_PRECONDITION\"", "no credit left"], true).await;
}

#[tokio::test]
async fn a_quota_is_no_rate() {
    let script = || {
        let text = "You have reached your specified API usage limits. You will regain access on 2099-01-01 at 00:00 UTC.";
        error(400, "", "invalid_request_error", text)
    };
    let words = ["\"rate_limit_error\"", "specified API usage limits. You will regain access on "];
    check(ANTHROPIC, script, 429, &words, true).await;
    let spent = || answer(429, "", r#"{"error":{"code":"project_spend_limit_exceeded"}}"#);
    check(OPENAI, spent, 429, &["\"code\":\"insufficient_quota\"", "quota used up"], true).await;
    let spent = || {
        answer(
            429,
            "",
            r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"RequestsPerDay"}]}]}}"#,
        )
    };
    check(GEMINI, spent, 429, &["\"RESOURCE_EXHAUSTED\"", "quota used up"], true).await;
}

#[tokio::test]
async fn lost_keys_are_no_limit() {
    let script = || error(401, "", "authentication_error", "invalid x-api-key");
    let words = ["\"authentication_error\"", "no key is left"];
    check(ANTHROPIC, script, 401, &words, true).await;
}

#[tokio::test]
async fn a_model_that_no_key_may_use_is_told_of_in_the_providers_words_each_time() {
    let script = || error(404, "request-id: r1\r\n", "not_found_error", "model: model-9");
    check(ANTHROPIC, script, 404, &["\"not_found_error\"", "\"model: model-9\""], false).await;
    let script =
        || answer(403, "", r#"{"error":{"code":"model_not_found","message":"Not yours"}}"#);
    check(OPENAI, script, 403, &["model_not_found", "Not yours"], false).await;
}

#[tokio::test]
async fn openai_and_gemini_are_refused_in_their_own_words() {
    let provider = Provider::start(|_| answer(401, "", "{}")).await;
    for (name, path, expected) in [
        ("openai", "/openai/v1/responses", "\"code\":\"invalid_api_key\""),
        ("gemini", "/gemini/v1beta/models/g:generateContent", "\"status\":\"UNAUTHENTICATED\""),
    ] {
        let it = setup(keys(name, &provider.url(), 1), Options::default()).await;
        let request =
            post(it.access.token(), path, "{}").replace("anthropic-version: 2023-06-01\r\n", "");
        let answer = raw(it.gateway.address(), request.as_bytes()).await;
        assert!(status(&answer) == 401 && answer.contains(expected), "{answer}");
    }
}
