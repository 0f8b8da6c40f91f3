//! Providers over TLS: whom the gateway trusts, and what it says if it does not.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use agent_runner_gateway::{Gateway, Network, NetworkError, Options, StartError};
use hyper::{
    Request, Response, Version,
    body::{Body, Bytes, Frame, Incoming},
    header::CONTENT_TYPE,
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::{
    Setup,
    client::{body, status},
    keys,
    provider::{EVENTS, Provider, Seen, message, send, stream_head},
    secure::{Authority, Front, Time, options},
    setup,
};

async fn before(front: &Front, variables: &[(&str, &str)]) -> Setup {
    setup(keys("anthropic", &front.url(), 2), options(variables)).await
}

#[tokio::test]
async fn a_company_s_own_authority_can_be_trusted_by_each_of_three_variables() {
    let (authority, provider) = (Authority::new(), Provider::start(|_| message()).await);
    let config = authority.server(&["localhost"], Time::Now, "http/1.1");
    let front = Front::start(config, provider.address).await;
    let (file, folder) = (authority.file(), authority.folder());
    for (variable, path) in
        [("SSL_CERT_FILE", &file), ("SSL_CERT_DIR", &folder), ("NODE_EXTRA_CA_CERTS", &file)]
    {
        let it = before(&front, &[(variable, path)]).await;
        let answer = it.ask().await;
        assert_eq!(status(&answer), 200, "{variable}: {answer}");
    }
    assert_eq!(provider.requests().len(), 3);
    assert!(provider.requests()[0].has_key(1));
}

#[tokio::test]
async fn streams_pass_byte_for_byte_through_tls() {
    let script = |_: &Seen| [stream_head()].into_iter().chain(EVENTS.map(send)).collect();
    let (authority, provider) = (Authority::new(), Provider::start(script).await);
    let config = authority.server(&["localhost"], Time::Now, "http/1.1");
    let front = Front::start(config, provider.address).await;
    let it = before(&front, &[("SSL_CERT_FILE", &authority.file())]).await;
    assert_eq!(body(&it.ask().await), EVENTS.concat());
    assert_eq!(it.access.usage()[0].usage.output, 7);
}

#[tokio::test]
async fn streams_pass_byte_for_byte_through_http_2() {
    let authority = Authority::new();
    let config = authority.server(&["localhost"], Time::Now, "h2");
    let front = Front::serve(config, async |stream| {
        let service = service_fn(async |request: Request<Incoming>| {
            assert_eq!(request.version(), Version::HTTP_2);
            let mut response = Response::new(Events(0));
            response.headers_mut().insert(CONTENT_TYPE, "text/event-stream".parse().unwrap());
            Ok::<_, Infallible>(response)
        });
        let server = http2::Builder::new(TokioExecutor::new());
        drop(server.serve_connection(TokioIo::new(stream), service).await);
    })
    .await;
    let it = before(&front, &[("SSL_CERT_FILE", &authority.file())]).await;
    for _ in 0..2 {
        assert_eq!(body(&it.ask().await), EVENTS.concat());
    }
    assert_eq!(it.access.usage()[0].usage.output, 14);
}

/// One event a frame.
struct Events(usize);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0 += 1;
        let event = EVENTS.get(self.0 - 1);
        Poll::Ready(event.map(|event| Ok(Frame::data(Bytes::from_static(event.as_bytes())))))
    }
}

/// A client is told what is wrong with a certificate, once; no key is blamed for it.
async fn check(hosts: &[&str], time: Time, trusted: bool, expected: &[&str]) {
    let (authority, other) = (Authority::new(), Authority::new());
    let provider = Provider::start(|_| message()).await;
    let front = Front::start(authority.server(hosts, time, "http/1.1"), provider.address).await;
    let file = if trusted { authority.file() } else { other.file() };
    let it = before(&front, &[("SSL_CERT_FILE", &file)]).await;
    let answer = it.ask().await;
    assert_eq!(status(&answer), 502, "{answer}");
    let error: serde_json::Value = serde_json::from_str(&body(&answer)).unwrap();
    assert_eq!((&error["type"], &error["error"]["type"]), (&"error".into(), &"api_error".into()));
    let message = error["error"]["message"].as_str().unwrap();
    for expected in expected {
        assert!(message.contains(expected), "{message}");
    }
    assert!(answer.contains("x-should-retry: false"), "agents are told to give up: {answer}");
    let snapshot = it.ring.snapshot();
    assert!(snapshot.keys.iter().all(|key| key.state.as_str() == "ready"), "{snapshot:?}");
    let refused = it.access.refused().unwrap();
    assert!(refused.unreachable.unwrap().lasts);
    assert_eq!(snapshot.keys.iter().map(|key| key.lent).sum::<u64>(), 1, "it was tried once");
}

#[tokio::test]
async fn an_unknown_authority_is_told_with_what_is_trusted() {
    let expected = ["the certificate of localhost is from nobody", "ca.pem' (SSL_CERT_FILE)"];
    check(&["localhost"], Time::Now, false, &expected).await;
}

#[tokio::test]
async fn a_certificate_of_another_host_is_told() {
    check(&["elsewhere.example"], Time::Now, true, &["for another host", "base URL"]).await;
}

#[tokio::test]
async fn an_expired_certificate_is_told() {
    check(&["localhost"], Time::Past, true, &["has expired", "clock"]).await;
}

#[tokio::test]
async fn an_endpoint_that_nobody_trusts_does_not_keep_keys_of_others_from_serving() {
    let (authority, other) = (Authority::new(), Authority::new());
    let provider = Provider::start(|_| message()).await;
    let config = other.server(&["localhost"], Time::Now, "http/1.1");
    let front = Front::start(config, provider.address).await;
    let mut both = keys("anthropic", &front.url(), 2);
    both[1].base_url = Some(provider.url());
    let it = setup(both, options(&[("SSL_CERT_FILE", &authority.file())])).await;
    assert_eq!(status(&it.ask().await), 200);
    assert!(it.access.refused().is_none(), "an answer came after all");
}

#[tokio::test]
async fn a_gateway_does_not_start_without_the_certificates_that_are_named() {
    let folder = tempfile::TempDir::new().unwrap();
    let (empty, gone) = (folder.path().join("empty.pem"), folder.path().join("gone.pem"));
    std::fs::write(&empty, "no certificate\n").unwrap();
    for (path, problem) in [(&empty, "BEGIN CERTIFICATE"), (&gone, "No such file")] {
        let path = path.to_str().unwrap();
        let options = options(&[("SSL_CERT_FILE", path)]);
        let ring = setup(Vec::new(), Options::default()).await.ring;
        let error = Gateway::start(ring, options).await.unwrap_err();
        assert!(matches!(error, StartError::Network(NetworkError::Certificates { .. })));
        let text = error.to_string();
        assert!(text.contains(path) && text.contains("SSL_CERT_FILE"), "{text}");
        assert!(text.contains(problem), "{text}");
    }
    let error = Network::from_variables(|name| (name == "HTTPS_PROXY").then(|| "ftp://p".into()));
    assert!(error.unwrap_err().to_string().contains("'HTTPS_PROXY'"));
}
