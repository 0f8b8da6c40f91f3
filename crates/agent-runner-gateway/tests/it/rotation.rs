//! Limits of one key, which an agent does not see.

use std::time::Duration;

use agent_runner_gateway::Options;

use crate::{
    client::{body, status},
    keys,
    provider::{EVENTS, Provider, Script, Seen, Step, error, message, send, stream_head},
    setup,
};

/// What the first key is answered; all others are well.
async fn first_key(of_first: impl Fn(&Seen) -> Script + Send + Sync + 'static) -> Provider {
    Provider::start(move |seen| if seen.has_key(1) { of_first(seen) } else { message() }).await
}

/// All asks succeed, and the first key is asked this often.
async fn check(provider: &Provider, asks_of_first: usize) {
    let it = setup(keys("anthropic", &provider.url(), 3), Options::default()).await;
    for _ in 0..6 {
        let answer = it.ask().await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    let first = provider.requests().iter().filter(|seen| seen.has_key(1)).count();
    assert_eq!(first, asks_of_first);
}

#[tokio::test]
async fn a_revoked_key_costs_one_request() {
    check(&first_key(|_| error(401, "", "authentication_error", "invalid x-api-key")).await, 1)
        .await;
}

#[tokio::test]
async fn a_key_without_credit_costs_one_request() {
    let text = "Your credit balance is too low to access the Anthropic API.";
    check(&first_key(move |_| error(400, "", "invalid_request_error", text)).await, 1).await;
}

#[tokio::test]
async fn a_key_at_its_limit_rests() {
    let limited = |_: &Seen| error(429, "retry-after: 3000\r\n", "rate_limit_error", "Limit.");
    check(&first_key(limited).await, 1).await;
}

#[tokio::test]
async fn a_limit_in_a_stream_under_200_is_seen_before_it_is_passed_on() {
    let limited = |_: &Seen| {
        let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Limit, per day.\"}}\n\n";
        vec![stream_head(), send(EVENTS[0]), send(error)]
    };
    check(&first_key(limited).await, 1).await;
}

#[tokio::test]
async fn an_overload_is_no_keys_fault() {
    let provider = Provider::start(|seen| match seen.number {
        0 => error(529, "", "overloaded_error", "Overloaded"),
        _ => message(),
    })
    .await;
    let it = setup(keys("anthropic", &provider.url(), 2), Options::default()).await;
    assert_eq!(status(&it.ask().await), 200);
    let states: Vec<_> = it.ring.snapshot().keys.iter().map(|key| key.state.as_str()).collect();
    assert_eq!(states, ["ready", "ready"]);
}

#[tokio::test]
async fn faults_of_the_server_are_tried_again_a_few_times() {
    for fault in [
        || error(500, "", "api_error", "Internal server error"),
        // Cut before anything came.
        Vec::new,
        || vec![stream_head()],
    ] as [fn() -> Script; 3]
    {
        let provider =
            Provider::start(move |seen| if seen.number < 2 { fault() } else { message() }).await;
        let it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
        assert_eq!(status(&it.ask().await), 200);
        assert_eq!(provider.requests().len(), 3);
    }
    let provider = Provider::start(|_| error(500, "", "api_error", "It is broken")).await;
    let it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
    let answer = it.ask().await;
    assert_eq!(status(&answer), 500);
    assert!(body(&answer).contains("It is broken"), "the provider's own word: {answer}");
    assert_eq!(provider.requests().len(), 4);
}

#[tokio::test]
async fn mistakes_of_the_request_are_passed_on_at_once() {
    let provider = Provider::start(|_| {
        error(400, "request-id: r1\r\n", "invalid_request_error", "max_tokens: required")
    })
    .await;
    let it = setup(keys("anthropic", &provider.url(), 3), Options::default()).await;
    let answer = it.ask().await;
    assert_eq!(status(&answer), 400);
    assert!(answer.contains("request-id: r1") && answer.contains("max_tokens: required"));
    assert_eq!(provider.requests().len(), 1);
}

#[tokio::test]
async fn a_request_is_held_until_a_key_is_back() {
    let provider = Provider::start(|seen| match seen.number {
        0 => error(429, "retry-after: 1\r\n", "rate_limit_error", "Limit."),
        _ => message(),
    })
    .await;
    let it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
    let started = std::time::Instant::now();
    assert_eq!(status(&it.ask().await), 200);
    assert!(started.elapsed() >= Duration::from_millis(900));
}

#[tokio::test]
async fn nothing_is_held_that_cannot_be_served_in_time() {
    let limited = |_: &Seen| error(429, "retry-after: 3000\r\n", "rate_limit_error", "Limit.");
    let provider = Provider::start(limited).await;
    let it = setup(keys("anthropic", &provider.url(), 2), Options::default()).await;
    let answer = it.ask().await;
    assert_eq!(status(&answer), 429, "{answer}");
    assert!(answer.contains("\"type\":\"rate_limit_error\""), "{answer}");
    let wait = answer.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((2900..=3001).contains(&wait.trim().parse().unwrap()), "{wait}");
    assert_eq!(provider.requests().len(), 2, "each key was asked once");
}

#[tokio::test]
async fn when_no_key_is_left_that_is_said() {
    let provider =
        Provider::start(|_| error(401, "", "authentication_error", "invalid x-api-key")).await;
    let it = setup(keys("anthropic", &provider.url(), 2), Options::default()).await;
    let answer = it.ask().await;
    assert_eq!(status(&answer), 401, "{answer}");
    assert!(body(&answer).contains("agent-runner: no key is left"), "{answer}");
    assert_eq!(provider.requests().len(), 2);
}

#[tokio::test]
async fn what_no_key_may_do_is_told_in_the_providers_words() {
    let provider =
        Provider::start(|_| error(403, "", "permission_error", "Not for this model")).await;
    let it = setup(keys("anthropic", &provider.url(), 2), Options::default()).await;
    let answer = it.ask().await;
    assert_eq!(status(&answer), 403, "{answer}");
    assert!(body(&answer).contains("Not for this model"), "{answer}");
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let it = setup(keys("anthropic", &url, 1), Options::default()).await;
    let answer = it.ask().await;
    assert_eq!(status(&answer), 502, "{answer}");
    assert!(answer.contains("could not be reached"), "{answer}");
    assert!(!answer.contains("sk-real"));
}

#[tokio::test]
async fn a_conversation_stays_on_its_key() {
    let provider = Provider::start(|_| message()).await;
    let it = setup(keys("anthropic", &provider.url(), 4), Options::default()).await;
    for _ in 0..8 {
        assert_eq!(status(&it.ask().await), 200);
    }
    let first: Vec<_> = (1..=4).filter(|key| provider.requests()[0].has_key(*key)).collect();
    assert!(provider.requests().iter().all(|seen| seen.has_key(first[0])), "one key for all");
}

#[tokio::test]
async fn an_error_after_the_first_word_is_passed_on() {
    let provider = Provider::start(|_| {
        let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"O\"}}\n\n";
        let mut script = vec![stream_head(), send(EVENTS[0]), send(EVENTS[1])];
        script.push(Step::Send(error.into()));
        script
    })
    .await;
    let it = setup(keys("anthropic", &provider.url(), 2), Options::default()).await;
    let answer = it.ask().await;
    assert!(body(&answer).ends_with("\"message\":\"O\"}}\n\n"), "{answer}");
    assert_eq!(provider.requests().len(), 1, "nothing is asked twice after it was begun");
}
