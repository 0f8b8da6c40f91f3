//! What goes through, and what does not.

use agent_runner_credentials::{ApiKey, Credential};
use agent_runner_gateway::{Caller, Gateway, Options, StartError};

use crate::{
    client::{BODY, body, post, raw, status},
    key, keys,
    provider::{Provider, answer, message},
    setup,
};

#[tokio::test]
async fn a_request_goes_on_with_the_key_and_nothing_of_the_clients_own() {
    let provider = Provider::start(|_| message()).await;
    let it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
    let request = post(it.access.token(), "/anthropic/v1/messages?beta=true", BODY).replace(
        "\r\n\r\n",
        "\r\nanthropic-beta: one\r\ncookie: a=b\r\nauthorization: Bearer mine\r\n\r\n",
    );
    let answer = raw(it.gateway.address(), request.as_bytes()).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(body(&answer).contains("\"hi\""));
    let seen = &provider.requests()[0];
    assert!(seen.head.starts_with("POST /v1/messages?beta=true HTTP/1.1"), "{}", seen.head);
    assert_eq!(seen.header("x-api-key"), Some(key(1).as_str()));
    assert_eq!(seen.header("anthropic-beta"), Some("one"));
    assert_eq!(seen.header("host"), Some(provider.address.to_string().as_str()));
    for own in ["cookie", "authorization"] {
        assert_eq!(seen.header(own), None, "{}", seen.head);
    }
    assert!(!seen.head.contains(it.access.token()));
    assert_eq!(seen.body, BODY.as_bytes());
}

#[tokio::test]
async fn each_provider_is_spoken_to_in_its_own_way() {
    let provider = Provider::start(|_| answer(200, "", "{}")).await;
    let url = |path: &str| format!("{}{path}", provider.url());
    let credential = |name: &str, number, base: &str| {
        Credential::new(name, name, ApiKey::new(&key(number)).unwrap()).with_base_url(url(base))
    };
    let all = vec![
        credential("anthropic", 1, "/a/"),
        credential("openai", 2, "/o/v1"),
        credential("gemini", 3, ""),
        credential("my-proxy", 4, "/p"),
    ];
    let it = setup(all, Options::default()).await;
    let token = it.access.token();
    let ask = async |path: &str, header: &str| {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\n{header}connection: close\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        let answer = raw(it.gateway.address(), request.as_bytes()).await;
        assert_eq!(status(&answer), 200, "{path}: {answer}");
        provider.requests().pop().unwrap()
    };
    let bearer = format!("authorization: Bearer {token}\r\n");
    let seen = ask("/openai/v1/chat/completions", &bearer).await;
    assert!(seen.head.starts_with("POST /o/v1/chat/completions "), "{}", seen.head);
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {}", key(2)).as_str()));
    let seen = ask("/v1/messages", &bearer).await;
    assert!(seen.head.starts_with("POST /a/v1/messages "), "{}", seen.head);
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {}", key(1)).as_str()));
    let path = "/v1beta/models/gemini-9:generateContent";
    let seen = ask(&format!("/gemini{path}?alt=sse&key={token}"), "").await;
    assert!(seen.head.starts_with(&format!("POST {path}?alt=sse ")), "{}", seen.head);
    assert_eq!(seen.header("x-goog-api-key"), Some(key(3).as_str()));
    let seen = ask("/my-proxy/v1/messages", &format!("x-api-key: {token}\r\n")).await;
    assert!(seen.head.starts_with("POST /p/v1/messages ") && seen.has_key(4), "{}", seen.head);
}

#[tokio::test]
async fn a_key_can_bring_its_own_model() {
    let provider = Provider::start(|_| message()).await;
    let keys = keys("anthropic", &provider.url(), 1);
    let keys = keys.into_iter().map(|key| key.with_model("claude-haiku-9")).collect();
    let it = setup(keys, Options::default()).await;
    assert_eq!(status(&it.ask().await), 200);
    let sent = String::from_utf8(provider.requests()[0].body.clone()).unwrap();
    assert_eq!(sent, BODY.replace("claude-opus-9", "claude-haiku-9"));
}

#[tokio::test]
async fn http_2_is_spoken_too() {
    let server = Provider::start(|_| message()).await;
    let it = setup(keys("anthropic", &server.url(), 2), Options::default()).await;
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls);
    let client = client.http2_prior_knowledge().build().unwrap();
    let url = format!("{}/v1/messages", it.gateway.base_url("anthropic"));
    let ask = || client.post(&url).header("x-api-key", it.access.token()).body(BODY).send();
    let answers = [ask().await.unwrap(), ask().await.unwrap()];
    for answer in answers {
        assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
        assert!(answer.text().await.unwrap().contains("\"hi\""));
    }
}

#[tokio::test]
async fn a_key_that_a_provider_repeats_does_not_come_back() {
    let provider = Provider::start(|seen| {
        let echo = seen.header("x-api-key").unwrap();
        let status = if seen.number == 0 { 200 } else { 400 };
        answer(status, &format!("x-echo: {echo}\r\n"), &format!("{{\"your key\":\"{echo}\"}}"))
    })
    .await;
    let it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
    for expected in [200, 400] {
        let answer = it.ask().await;
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(!answer.contains("sk-real"), "{answer}");
        assert!(answer.contains("your key") && answer.contains("\"***"), "{answer}");
    }
}

#[tokio::test]
async fn it_listens_on_this_machine_alone() {
    let mut options = Options::default();
    options.listen = "0.0.0.0:0".parse().unwrap();
    let ring =
        agent_runner_credentials::SharedRing::new(agent_runner_credentials::KeyRing::new([]));
    let error = Gateway::start(ring.clone(), options).await.unwrap_err();
    assert!(matches!(error, StartError::NotLoopback(_)), "{error}");
    let gateway = Gateway::start(ring, Options::default()).await.unwrap();
    assert!(gateway.address().ip().is_loopback());
    let access = gateway.lend(Caller::named("me"));
    let answer =
        raw(gateway.address(), post(access.token(), "/v1/messages", BODY).as_bytes()).await;
    assert_eq!(status(&answer), 404, "there is no key at all: {answer}");
}
