//! Streams: byte for byte, at once, and ended as soon as nobody wants them.

use std::{sync::Arc, time::Duration};

use agent_runner_gateway::Options;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
    time::timeout,
};

use crate::{
    LONG, Setup,
    client::{BODY, body, post, rest},
    keys,
    provider::{EVENTS, Provider, Step, send, stream_head},
    setup,
};

/// Sends the request and reads until this was seen.
async fn begin(it: &Setup, until: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(it.gateway.address()).await.unwrap();
    let request = post(it.access.token(), "/anthropic/v1/messages", BODY);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(until) {
        let count = timeout(LONG, stream.read_buf(&mut text)).await.unwrap().unwrap();
        assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&text));
    }
    (stream, String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn what_is_under_way_ends_whole_when_the_gateway_closes() {
    let bell = Arc::new(Notify::new());
    let waits = Arc::clone(&bell);
    let provider = Provider::start(move |_| {
        let wait = Step::Wait(Arc::clone(&waits));
        vec![
            stream_head(),
            send(EVENTS[0]),
            send(EVENTS[1]),
            wait,
            send(EVENTS[2]),
            send(EVENTS[3]),
        ]
    })
    .await;
    let mut it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
    let address = it.gateway.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    let (mut stream, text) = begin(&it, "h\u{e9}").await;
    assert!(timeout(Duration::from_millis(50), it.gateway.close(LONG)).await.is_err());
    assert_eq!(rest(&mut idle).await, "", "one that asks for nothing is ended");
    assert!(TcpStream::connect(address).await.is_err(), "nobody else is taken in");
    bell.notify_one();
    let text = text + &rest(&mut stream).await;
    assert_eq!(body(&text), EVENTS.concat());
    assert!(it.gateway.close(LONG).await, "all ended by itself");
    assert_eq!(it.gateway.usage()[0].usage.output, 7);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_and_counted_when_the_gateway_closes() {
    let provider =
        Provider::start(|_| vec![stream_head(), send(EVENTS[0]), send(EVENTS[1]), Step::Hang])
            .await;
    let mut it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
    let (mut stream, text) = begin(&it, "h\u{e9}").await;
    assert!(!it.gateway.close(Duration::ZERO).await);
    assert!(!(text + &rest(&mut stream).await).ends_with("0\r\n\r\n"), "it does not look whole");
    let lines = it.gateway.usage();
    assert_eq!((lines[0].usage.input, lines[0].estimated), (10, 1), "{lines:?}");
}

#[tokio::test]
async fn each_event_is_passed_on_before_the_next_one_comes() {
    let bell = Arc::new(Notify::new());
    let waits = Arc::clone(&bell);
    let provider = Provider::start(move |_| {
        let wait = || Step::Wait(Arc::clone(&waits));
        vec![
            stream_head(),
            send(EVENTS[0]),
            send(EVENTS[1]),
            wait(),
            // In the middle of a character, and of an event.
            Step::Send(EVENTS[2].as_bytes()[..31].to_vec()),
            wait(),
            Step::Send(EVENTS[2].as_bytes()[31..].to_vec()),
            send(EVENTS[3]),
        ]
    })
    .await;
    let it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
    let (mut stream, mut text) = begin(&it, "h\u{e9}").await;
    bell.notify_one();
    let part = &EVENTS[2][..31];
    while !text.contains(part) {
        let mut more = vec![0; 1000];
        let count = timeout(LONG, stream.read(&mut more)).await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&more[..count]).unwrap());
    }
    bell.notify_one();
    text.push_str(&rest(&mut stream).await);
    assert_eq!(body(&text), EVENTS.concat());
    let spent = it.access.usage();
    assert_eq!(
        (spent[0].usage.input, spent[0].usage.cache_read, spent[0].usage.output),
        (10, 1000, 7)
    );
}

#[tokio::test]
async fn the_opening_of_a_stream_is_not_kept_for_long() {
    let provider = Provider::start(|_| vec![stream_head(), send(EVENTS[0]), Step::Hang]).await;
    let it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
    let (_stream, text) = begin(&it, "message_start").await;
    assert!(text.contains("\r\n\r\n"));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_request_to_the_provider() {
    // Before the head, and in the middle of the stream.
    for first in [Vec::new(), vec![stream_head(), send(EVENTS[0]), send(EVENTS[1])]] {
        let (gone, begun) = (Arc::new(Notify::new()), first.is_empty());
        let (rings, first) = (Arc::clone(&gone), Arc::new(std::sync::Mutex::new(Some(first))));
        let provider = Provider::start(move |_| {
            let mut script = first.lock().unwrap().take().unwrap();
            script.push(Step::Gone(Arc::clone(&rings)));
            script
        })
        .await;
        let it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
        if begun {
            let mut stream = TcpStream::connect(it.gateway.address()).await.unwrap();
            let request = post(it.access.token(), "/anthropic/v1/messages", BODY);
            stream.write_all(request.as_bytes()).await.unwrap();
            while provider.requests().is_empty() {
                tokio::task::yield_now().await;
            }
        } else {
            drop(begin(&it, "h\u{e9}").await);
        }
        timeout(LONG, gone.notified()).await.expect("the provider sees the end");
    }
}

#[tokio::test]
async fn what_goes_on_ends_when_the_token_is_taken_back() {
    let gone = Arc::new(Notify::new());
    let rings = Arc::clone(&gone);
    let provider = Provider::start(move |_| {
        let first = [stream_head(), send(EVENTS[0]), send(EVENTS[1])];
        first.into_iter().chain([Step::Gone(Arc::clone(&rings))]).collect()
    })
    .await;
    let it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
    let (mut stream, _) = begin(&it, "h\u{e9}").await;
    drop(it.access);
    timeout(LONG, gone.notified()).await.expect("the provider sees the end");
    let end = rest(&mut stream).await;
    assert!(!end.contains("0\r\n\r\n"), "it does not look as if it were whole: {end:?}");
}

#[tokio::test]
async fn what_was_cut_is_counted_as_far_as_it_came() {
    let provider = Provider::start(|_| {
        vec![stream_head(), send(EVENTS[0]), send(EVENTS[1]), send(EVENTS[1]), send(EVENTS[1])]
    })
    .await;
    let it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
    let (stream, _) = begin(&it, "message_start").await;
    drop(stream);
    let line = loop {
        if let Some(line) = it.access.usage().pop() {
            break line;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (line.usage.input, line.model.as_str(), line.key.as_str()),
        (10, "claude-opus-9", "K1")
    );
    assert!(line.usage.output >= 1);
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_cut() {
    let provider =
        Provider::start(|_| vec![stream_head(), send(EVENTS[0]), send(EVENTS[1]), Step::Hang])
            .await;
    let mut options = Options::default();
    options.stream_idle = Duration::from_millis(200);
    let it = setup(keys("anthropic", &provider.url(), 1), options).await;
    let (mut stream, _) = begin(&it, "h\u{e9}").await;
    assert!(!rest(&mut stream).await.contains("0\r\n\r\n"));
}
