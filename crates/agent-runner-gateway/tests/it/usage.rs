//! Counts, by whoever's words.

use agent_runner_gateway::{Options, Usage};

use crate::{
    client::{post, raw, status},
    keys,
    provider::{Provider, Script, answer, send, stream_head},
    setup,
};

async fn used(provider: &str, path: &str, script: fn() -> Script) -> (String, Usage, u64) {
    let server = Provider::start(move |_| script()).await;
    let it = setup(keys(provider, &server.url(), 1), Options::default()).await;
    let body = r#"{"model":"asked-for","messages":[]}"#;
    let request =
        post(it.access.token(), path, body).replace("anthropic-version: 2023-06-01\r\n", "");
    let answer = raw(it.gateway.address(), request.as_bytes()).await;
    assert_eq!(status(&answer), 200, "{answer}");
    let mut lines = it.access.usage();
    assert_eq!(lines, it.gateway.usage(), "there is one caller");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = lines.remove(0);
    (line.model, line.usage, line.estimated)
}

#[tokio::test]
async fn openai_s_chats_and_responses_are_counted() {
    let (model, usage, estimated) = used("openai", "/openai/v1/chat/completions", || {
        answer(200, "", r#"{"model":"gpt-9-1106","usage":{"prompt_tokens":20,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":5}}}"#)
    })
    .await;
    assert_eq!(
        (model.as_str(), usage.input, usage.cache_read, usage.output, estimated),
        ("gpt-9-1106", 15, 5, 9, 0)
    );
    let (model, usage, estimated) = used("openai", "/openai/v1/responses", || {
        vec![
            stream_head(),
            send("event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"model\":\"gpt-9\",\"error\":null,\"usage\":null}}\n\n"),
            send("event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n"),
            send("event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"model\":\"gpt-9\",\"usage\":{\"input_tokens\":30,\"input_tokens_details\":{\"cached_tokens\":10},\"output_tokens\":4}}}\n\n"),
        ]
    })
    .await;
    assert_eq!(
        (model.as_str(), usage.input, usage.cache_read, usage.output, estimated),
        ("gpt-9", 20, 10, 4, 0)
    );
}

#[tokio::test]
async fn what_costs_something_counts_whatever_its_path() {
    let (model, usage, estimated) = used("openai", "/openai/v1/embeddings", || {
        answer(
            200,
            "",
            r#"{"model":"embed-9","data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}"#,
        )
    })
    .await;
    assert_eq!((model.as_str(), usage.input, usage.output, estimated), ("embed-9", 8, 0, 0));
    let (model, usage, estimated) =
        used("gemini", "/gemini/v1beta/openai/chat/completions", || {
            answer(
                200,
                "",
                r#"{"model":"gemini-9","usage":{"prompt_tokens":20,"completion_tokens":9}}"#,
            )
        })
        .await;
    assert_eq!((model.as_str(), usage.input, usage.output, estimated), ("gemini-9", 20, 9, 0));
}

#[tokio::test]
async fn a_chat_that_counts_nothing_is_estimated() {
    let (model, usage, estimated) = used("openai", "/openai/v1/chat/completions", || {
        let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
        vec![stream_head(), send(&chunk.repeat(12)), send("data: [DONE]\n\n")]
    })
    .await;
    assert_eq!((model.as_str(), usage.input, usage.output, estimated), ("asked-for", 8, 12, 1));
}

#[tokio::test]
async fn gemini_s_streams_are_counted_in_both_forms() {
    let path = "/gemini/v1beta/models/gemini-9:streamGenerateContent";
    let (model, usage, _) = used("gemini", path, || {
        vec![
            stream_head(),
            send("data: {\"candidates\":[],\"usageMetadata\":{\"promptTokenCount\":40,\"candidatesTokenCount\":1},\"modelVersion\":\"gemini-9\"}\r\n\r\n"),
            send("data: {\"usageMetadata\":{\"promptTokenCount\":40,\"candidatesTokenCount\":6,\"thoughtsTokenCount\":2}}\r\n\r\n"),
        ]
    })
    .await;
    assert_eq!((model.as_str(), usage.input, usage.output), ("gemini-9", 40, 8));
    let (_, usage, _) = used("gemini", path, || {
        answer(200, "", "[{\"usageMetadata\":{\"promptTokenCount\":40}}\n,\n{\"usageMetadata\":{\"promptTokenCount\":40,\"candidatesTokenCount\":6}}]")
    })
    .await;
    assert_eq!((usage.input, usage.output), (40, 6));
}

#[tokio::test]
async fn what_is_no_generation_is_not_counted() {
    let server = Provider::start(|_| answer(200, "", r#"{"input_tokens":7}"#)).await;
    let it = setup(keys("anthropic", &server.url(), 1), Options::default()).await;
    let request = post(it.access.token(), "/anthropic/v1/messages/count_tokens", "{}");
    assert_eq!(status(&raw(it.gateway.address(), request.as_bytes()).await), 200);
    assert_eq!(it.access.usage(), []);
}
