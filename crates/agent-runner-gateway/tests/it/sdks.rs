//! What the official SDKs send, with each base URL that their users set: paths and headers as they
//! were captured.

use agent_runner_credentials::{ApiKey, Credential};
use agent_runner_gateway::Options;

use crate::{
    Setup,
    client::{body, raw, status},
    key,
    provider::{Provider, answer},
    setup,
};

const ANTHROPIC: &str = "anthropic-version: 2023-06-01\r\nuser-agent: Anthropic/Python 2.14.0\r\nx-stainless-lang: python\r\nx-api-key: ";
const OPENAI: &str =
    "user-agent: OpenAI/Python 3.57.0\r\nx-stainless-lang: python\r\nauthorization: Bearer ";
const GEMINI: &str = "x-goog-api-client: google-genai-sdk/3.6.1 gl-python/3.11.7\r\nuser-agent: google-genai-sdk/3.6.1 gl-python/3.11.7\r\nx-goog-api-key: ";

/// A gateway with one key for each provider, all of which are this one.
async fn all_at(provider: &Provider) -> Setup {
    let credential = |name: &str, number, base: &str| {
        let key = ApiKey::new(&key(number)).unwrap();
        Credential::new(name, name, key).with_base_url(format!("{}{base}", provider.url()))
    };
    let all = vec![
        credential("anthropic", 1, "/a"),
        credential("openai", 2, "/o/v1"),
        credential("gemini", 3, "/g"),
    ];
    setup(all, Options::default()).await
}

async fn ask(it: &Setup, line: &str, headers: &str) -> String {
    let request = format!(
        "{line} HTTP/1.1\r\nhost: x\r\n{headers}{}\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}",
        it.access.token()
    );
    raw(it.gateway.address(), request.as_bytes()).await
}

/// Whatever the base URL, the request arrives like this, with the key in this header.
async fn check(bases: &[&str], line: &str, headers: &str, arrives: &str, with: &str) {
    let provider = Provider::start(|_| answer(200, "", "{}")).await;
    let it = all_at(&provider).await;
    let (method, path) = line.split_once(' ').unwrap();
    for base in bases {
        let answer = ask(&it, &format!("{method} {base}{path}"), headers).await;
        assert_eq!(status(&answer), 200, "{base}{path}: {answer}");
        let seen = provider.requests().pop().unwrap();
        assert_eq!(seen.head.lines().next(), Some(&*format!("{arrives} HTTP/1.1")), "{base}{path}");
        assert!(seen.head.contains(&format!("\r\n{with}sk-real-")), "{base}{path}: {}", seen.head);
    }
}

#[tokio::test]
async fn anthropics_sdk_may_have_the_version_in_its_base_url() {
    let bases = ["", "/anthropic", "/anthropic/v1"];
    let line = "POST /v1/messages";
    check(&bases, line, ANTHROPIC, "POST /a/v1/messages", "x-api-key: ").await;
    let line = "POST /v1/messages/count_tokens?beta=true";
    let arrives = "POST /a/v1/messages/count_tokens?beta=true";
    check(&bases, line, ANTHROPIC, arrives, "x-api-key: ").await;
    check(&bases, "GET /v1/models", ANTHROPIC, "GET /a/v1/models", "x-api-key: ").await;
}

#[tokio::test]
async fn openais_sdk_may_lack_the_version_in_its_base_url() {
    let bases = ["/openai/v1", "/openai", "/v1", "/openai/v1/v1"];
    for path in ["/responses", "/chat/completions", "/embeddings"] {
        let (line, arrives) = (format!("POST {path}"), format!("POST /o/v1{path}"));
        check(&bases, &line, OPENAI, &arrives, "authorization: Bearer ").await;
    }
    check(&bases, "GET /models", OPENAI, "GET /o/v1/models", "authorization: Bearer ").await;
}

#[tokio::test]
async fn googles_sdk_may_ask_for_any_version() {
    let bases = ["", "/gemini", "/gemini/v1beta"];
    for version in ["v1", "v1beta", "v1alpha"] {
        for (method, path) in [
            ("POST", "models/gemini-9:generateContent"),
            ("POST", "models/gemini-9:streamGenerateContent?alt=sse"),
            ("POST", "models/gemini-9:countTokens"),
            ("GET", "models"),
        ] {
            let (line, arrives) =
                (format!("{method} /{version}/{path}"), format!("{method} /g/{version}/{path}"));
            check(&bases, &line, GEMINI, &arrives, "x-goog-api-key: ").await;
        }
    }
    let arrives = "POST /g/upload/v1beta/files";
    check(&bases, "POST /upload/v1beta/files", GEMINI, arrives, "x-goog-api-key: ").await;
}

/// A provider refuses a good key in a wrong place, and the key would be taken for a lost one.
#[tokio::test]
async fn wherever_a_client_has_its_token_the_key_goes_where_its_provider_takes_it() {
    for headers in ["x-api-key: ", "x-goog-api-key: ", "authorization: Bearer "] {
        let (line, arrives) = ("POST /openai/v1/responses", "POST /o/v1/responses");
        if headers != "x-goog-api-key: " {
            check(&[""], line, headers, arrives, "authorization: Bearer ").await;
        }
        let path = "/v1beta/models/gemini-9:generateContent";
        let (line, arrives) = (format!("POST /gemini{path}"), format!("POST /g{path}"));
        check(&[""], &line, headers, &arrives, "x-goog-api-key: ").await;
    }
}

#[tokio::test]
async fn a_base_url_that_leads_nowhere_is_told_with_those_that_do() {
    let provider = Provider::start(|_| answer(200, "", "{}")).await;
    let it = all_at(&provider).await;
    let answer = ask(&it, "POST /responses", OPENAI).await;
    assert_eq!(status(&answer), 404, "{answer}");
    let told =
        "who 'responses' is: base URLs with keys here end in /anthropic and /gemini and /openai/v1";
    assert!(body(&answer).contains(told), "{answer}");
    assert!(provider.requests().is_empty());
}
