//! Clients and providers that mean harm. After each, the gateway still serves others, nothing has
//! leaked, and nothing hangs.

use std::time::Duration;

use agent_runner_gateway::{Caller, Options};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    Setup,
    client::{BODY, post, raw, rest, status},
    keys,
    provider::{EVENTS, Provider, Script, Step, message, send, stream_head},
    setup,
};

const MIB: usize = 1024 * 1024;

/// Short patience, so that nothing here takes long.
fn impatient() -> Options {
    let mut options = Options::default();
    options.header_timeout = Duration::from_millis(300);
    options.body_timeout = Duration::from_millis(300);
    options.first_byte = Duration::from_millis(300);
    options.stream_idle = Duration::from_millis(300);
    options
}

async fn good() -> (Provider, Setup) {
    let provider = Provider::start(|_| message()).await;
    let it = setup(keys("anthropic", &provider.url(), 2), impatient()).await;
    (provider, it)
}

/// The gateway answered with one of these or hung up, told nothing, and lives.
async fn check(it: &Setup, answer: &str, expected: &[u16]) {
    assert!(expected.contains(&status(answer)), "{expected:?}: {answer}");
    assert!(!answer.contains("sk-real"), "{answer}");
    assert_eq!(status(&it.ask().await), 200, "the gateway lives on");
}

#[tokio::test]
async fn without_a_token_nothing_is_read() {
    let (provider, it) = good().await;
    let token = it.access.token();
    let last = if token.ends_with('0') { "1" } else { "0" };
    let wrong = format!("{}{last}", &token[..token.len() - 1]);
    for token in ["", "sk-ar-", "sk-ar-00", &crate::key(1), &wrong, &token.to_uppercase()] {
        let answer =
            raw(it.gateway.address(), post(token, "/anthropic/v1/messages", BODY).as_bytes()).await;
        assert_eq!(status(&answer), 401, "{token}: {answer}");
        assert!(answer.contains("authentication_error"), "{answer}");
    }
    let nobody = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = raw(it.gateway.address(), nobody.as_bytes()).await;
    assert_eq!(provider.requests().len(), 0);
    check(&it, &answer, &[401]).await;
}

#[tokio::test]
async fn a_token_is_worth_nothing_after_its_attempt() {
    let (provider, it) = good().await;
    let other = it.gateway.lend(Caller::attempt("other", 1));
    let token = other.token().to_owned();
    let request = post(&token, "/anthropic/v1/messages", BODY);
    assert_eq!(status(&raw(it.gateway.address(), request.as_bytes()).await), 200);
    drop(other);
    let answer = raw(it.gateway.address(), request.as_bytes()).await;
    assert_eq!(provider.requests().len(), 1);
    check(&it, &answer, &[401]).await;
}

#[tokio::test]
async fn nothing_is_smuggled_behind_a_length() {
    let (provider, it) = good().await;
    let token = it.access.token();
    let head = format!("POST /anthropic/v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\n");
    let hidden = "GET /anthropic/v1/hidden HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let refused = [
        format!("{head}content-length: 2\r\ncontent-length: 60\r\n\r\n{{}}{hidden}"),
        format!("{head}content-length: 2, 60\r\n\r\n{{}}{hidden}"),
        format!("{head}content-length: +2\r\n\r\n{{}}{hidden}"),
        format!("{head}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
    ];
    for request in refused {
        let answer = raw(it.gateway.address(), request.as_bytes()).await;
        assert_eq!(status(&answer), 400, "{request}\n{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "the connection ends: {answer}");
    }
    assert!(provider.requests().is_empty());
    // Chunks count where both are told. What follows is a request of its own, without a token; the
    // provider gets a body whose length is told once.
    for both in [
        format!("{head}content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!(
            "{head}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n{hidden}"
        ),
    ] {
        let answer = raw(it.gateway.address(), both.as_bytes()).await;
        assert!(status(&answer) == 200 || status(&answer) == 400, "{answer}");
        let second = answer.rsplit("HTTP/1.1 ").next().unwrap();
        assert!(second.starts_with("401") || answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
    }
    for seen in provider.requests() {
        assert!(!seen.head.contains("hidden") && seen.body.len() <= 2, "{seen:?}");
        assert_eq!(seen.header("transfer-encoding"), None, "{seen:?}");
    }
    check(&it, "HTTP/1.1 400", &[400]).await;
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let (provider, it) = good().await;
    let token = it.access.token();
    let head = format!("POST /anthropic/v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\n");
    let odd = [
        // A header that goes on in the next line.
        format!("{head}x-a: b\r\n  c\r\ncontent-length: 2\r\n\r\n{{}}"),
        // Chunks that are none.
        format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n"),
        format!("{head}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{{}}"),
        format!("{head}transfer-encoding: chunked\r\n\r\n-1\r\n{{}}\r\n0\r\n\r\n"),
        format!("{head}x-\0: b\r\n\r\n"),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".repeat(20),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand then no frame at all, but a lot of text".to_owned(),
        "GET http://example.com/anthropic/v1/models HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        format!("{}\r\n\r\n", "GET / HTTP/1.1\r\n".repeat(100)),
    ];
    for request in odd {
        let answer = raw(it.gateway.address(), request.as_bytes()).await;
        let status = status(&answer);
        assert!(status == 0 || (400..500).contains(&status), "{request}\n{answer}");
    }
    assert!(provider.requests().is_empty());
    check(&it, "", &[0]).await;
}

#[tokio::test]
async fn a_client_that_dawdles_is_left() {
    let (_provider, it) = good().await;
    let token = it.access.token();
    let head = format!("POST /anthropic/v1/messages HTTP/1.1\r\nx-api-key: {token}\r\n");
    for start in [
        String::new(),
        "P".to_owned(),
        "PRI * HTTP/2.0\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        head.clone(),
        format!("{head}content-length: 1000\r\n\r\n{{"),
        format!("{head}transfer-encoding: chunked\r\n\r\n5\r\n{{"),
    ] {
        let mut stream = TcpStream::connect(it.gateway.address()).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!([0, 408].contains(&status(&answer)) || start.starts_with("PRI"), "{answer}");
    }
    // A byte now and then does not help.
    let mut stream = TcpStream::connect(it.gateway.address()).await.unwrap();
    stream.write_all(format!("{head}content-length: 100000\r\n\r\n").as_bytes()).await.unwrap();
    let (mut from, mut to) = stream.split();
    let drip = async {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        while to.write_all(b"x").await.is_ok() {
            every.tick().await;
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = drip => unreachable!("it drips for ever"),
        _ = from.read_to_end(&mut answer) => (),
    }
    check(&it, &String::from_utf8(answer).unwrap(), &[408, 0]).await;
}

#[tokio::test]
async fn a_body_of_65_mib_is_too_large() {
    let provider = Provider::start(|_| message()).await;
    // So much takes a while to send where the machine is busy.
    let it = setup(keys("anthropic", &provider.url(), 2), Options::default()).await;
    let token = it.access.token();
    let head = format!(
        "POST /anthropic/v1/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {token}\r\n"
    );
    let told = format!("{head}content-length: {}\r\n\r\n", 65 * MIB);
    let told = [told.as_bytes(), &vec![b'x'; 65 * MIB]].concat();
    let answer = raw(it.gateway.address(), &told).await;
    assert!(answer.contains("request_too_large"), "{answer}");
    check(&it, &answer, &[413]).await;
    let mut chunks = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..65 {
        chunks.extend_from_slice(b"100000\r\n");
        chunks.extend_from_slice(&vec![b'x'; MIB]);
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    let answer = raw(it.gateway.address(), &chunks).await;
    assert!(provider.requests().len() == 1, "only that of the check before");
    check(&it, &answer, &[413]).await;
}

#[tokio::test]
async fn a_body_of_64_mib_goes_through() {
    let provider = Provider::start(|_| message()).await;
    let it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
    let body = format!("{{\"model\":\"m\",\"x\":\"{}\"}}", "y".repeat(64 * MIB - 20));
    assert!(body.len() <= 64 * MIB);
    let request = post(it.access.token(), "/anthropic/v1/messages", &body);
    let answer = raw(it.gateway.address(), request.as_bytes()).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(provider.requests()[0].body == body.as_bytes());
}

#[tokio::test]
async fn header_bombs_are_refused() {
    let (provider, it) = good().await;
    let token = it.access.token();
    let head = format!("POST /anthropic/v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\n");
    let many = format!("{head}{}\r\n", "x-a: b\r\n".repeat(10_000));
    let long = format!("{head}x-a: {}\r\n\r\n", "b".repeat(MIB));
    let endless = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MIB));
    for request in [many, long, endless] {
        let answer = raw(it.gateway.address(), request.as_bytes()).await;
        assert!([0, 414, 431].contains(&status(&answer)), "{answer}");
    }
    assert!(provider.requests().is_empty());
    check(&it, "", &[0]).await;
}

#[tokio::test]
async fn an_agent_cannot_reach_beside_its_provider() {
    let (provider, it) = good().await;
    for path in [
        "/anthropic/../admin",
        "/anthropic/%2e%2e/admin",
        "/anthropic//evil.example/x",
        "/anthropic@evil.example/",
    ] {
        let request = post(it.access.token(), path, "{}");
        let answer = raw(it.gateway.address(), request.as_bytes()).await;
        assert_eq!(status(&answer), 400, "{path}: {answer}");
    }
    let upgrade = post(it.access.token(), "/anthropic/v1/messages", "")
        .replace("connection: close", "connection: upgrade\r\nupgrade: websocket");
    let answer = raw(it.gateway.address(), upgrade.as_bytes()).await;
    assert!(provider.requests().is_empty());
    check(&it, &answer, &[426]).await;
}

/// What it is, what the provider does, and what a client may be told.
type Case = (&'static str, fn() -> Script, &'static [u16]);

/// What a provider may do wrong before it has answered.
fn before_the_answer() -> Vec<Case> {
    vec![
        ("it hangs", || vec![Step::Hang], &[504]),
        ("it hangs in the head", || vec![send("HTTP/1.1 200 OK\r\nx-a: "), Step::Hang], &[504]),
        ("it hangs before the body", || vec![stream_head(), Step::Hang], &[504]),
        ("it cuts", Vec::new, &[502]),
        ("it cuts in the head", || vec![send("HTTP/1.1 200 OK\r\nx-a")], &[502]),
        ("garbage", || vec![send("\u{1}\u{2}\u{3} I am no server\r\n\r\n")], &[502]),
        (
            "a bomb of headers",
            || vec![send("HTTP/1.1 200 OK\r\n"), send(&"x-a: b\r\n".repeat(100_000))],
            &[502],
        ),
        ("a status that is none", || vec![send("HTTP/1.1 999999 X\r\n\r\n")], &[502]),
        (
            "two lengths",
            || vec![send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 9\r\n\r\n{}")],
            &[502],
        ),
        (
            "an error without an end",
            || {
                let head = "HTTP/1.1 400 X\r\ncontent-type: text/plain\r\n\r\n";
                vec![send(head), send(&"x".repeat(2 * MIB)), Step::Hang]
            },
            &[400],
        ),
    ]
}

#[tokio::test]
async fn a_provider_that_fails_before_its_answer_is_told_in_time() {
    let cases = before_the_answer().into_iter().map(|(what, script, expected)| {
        tokio::spawn(async move {
            let provider = Provider::start(move |_| script()).await;
            let it = setup(keys("anthropic", &provider.url(), 1), impatient()).await;
            let answer = it.ask().await;
            assert!(expected.contains(&status(&answer)), "{what}: {answer}");
            assert!(!answer.contains("sk-real"), "{answer}");
            assert!(answer.len() < 100_000, "{what}: an error is passed on up to a length");
        })
    });
    for case in cases.collect::<Vec<_>>() {
        case.await.unwrap();
    }
}

#[tokio::test]
async fn a_provider_that_lies_about_its_answer_does_not_look_whole() {
    let head = |rest: &str| {
        send(&format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{rest}\r\n"))
    };
    let chunked = "transfer-encoding: chunked\r\n";
    let cases: Vec<(&str, Script)> = vec![
        ("longer than it is", vec![head("content-length: 100000\r\n"), send(EVENTS[1])]),
        ("cut in a chunk", vec![head(chunked), send(&format!("fff\r\n{}", EVENTS[1]))]),
        (
            "a chunk that is none",
            vec![head(chunked), send(&format!("{:x}\r\n{}\r\nzz\r\n", EVENTS[1].len(), EVENTS[1]))],
        ),
        (
            "silent",
            vec![
                head(chunked),
                send(&format!("{:x}\r\n{}\r\n", EVENTS[1].len(), EVENTS[1])),
                Step::Hang,
            ],
        ),
    ];
    for (what, script) in cases {
        let script = std::sync::Mutex::new(Some(script));
        let provider = Provider::start(move |seen| match seen.number {
            0 => script.lock().unwrap().take().unwrap(),
            _ => message(),
        })
        .await;
        let it = setup(keys("anthropic", &provider.url(), 1), impatient()).await;
        let answer = it.ask().await;
        assert!(answer.contains("content_block_delta"), "{what}: what came is passed on: {answer}");
        let told = answer.contains("content-length: 100000");
        assert!(told || !answer.ends_with("0\r\n\r\n"), "{what}: {answer}");
        check(&it, &answer, &[200]).await;
    }
}

#[tokio::test]
async fn more_than_was_announced_is_not_passed_on() {
    let provider = Provider::start(|_| {
        let more = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsmuggled!";
        vec![send(&format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}{more}"))]
    })
    .await;
    let it = setup(keys("anthropic", &provider.url(), 1), impatient()).await;
    for _ in 0..3 {
        let answer = it.ask().await;
        assert!(status(&answer) == 200 && answer.ends_with("{}"), "{answer}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_key() {
    let elsewhere = Provider::start(|_| message()).await;
    let to = format!("location: {}/v1/messages\r\n", elsewhere.url());
    let provider = Provider::start(move |_| crate::provider::answer(307, &to, "")).await;
    let it = setup(keys("anthropic", &provider.url(), 1), impatient()).await;
    assert_eq!(status(&it.ask().await), 307);
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_hold_its_stream_for_ever() {
    let provider = Provider::start(|_| {
        let much = Step::Send(EVENTS[1].repeat(400_000).into_bytes());
        vec![stream_head(), much, Step::Hang]
    })
    .await;
    let mut options = Options::default();
    options.write_timeout = Duration::from_millis(300);
    options.metrics_token = Some("m".into());
    let it = setup(keys("anthropic", &provider.url(), 1), options).await;
    let mut stream = TcpStream::connect(it.gateway.address()).await.unwrap();
    let request = post(it.access.token(), "/anthropic/v1/messages", BODY);
    stream.write_all(request.as_bytes()).await.unwrap();
    let metrics = "GET /metrics HTTP/1.1\r\nhost: x\r\nx-api-key: m\r\nconnection: close\r\n\r\n";
    let open = async || {
        let text = raw(it.gateway.address(), metrics.as_bytes()).await;
        !text.contains("open_streams 0\n")
    };
    let seen = async |wanted| {
        while open().await != wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::LONG, seen(true)).await.expect("it begins");
    tokio::time::timeout(crate::LONG, seen(false)).await.expect("it is given up");
}
