//! Sends a request and prints the answer as it comes.

use std::time::Duration;

use agent_runner_gateway::Network;
use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::{AnswerFile, Failure, request::Request, sse::Events};
use crate::{
    error::{Error, OrExit, Result, chain_of},
    exit_code::Exit,
    ui::Ui,
    units::show_duration,
};

/// How much is read of an answer that is no stream.
const MAX_BODY: usize = 64 * 1024;
/// How much of it is shown.
const SHOWN: usize = 300;

/// Why a stream is read no further: what was said in it, or what became of this program.
enum Halt {
    Failed(Failure),
    Broken(Error),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

/// What has been told of an answer.
#[derive(Debug, Default)]
struct Told {
    stop_reason: Option<String>,
    /// Whether the answer has ended, and well.
    ended: Option<bool>,
}

/// Asks once. Whether the answer came to its own end; the failure has not been printed yet.
pub(super) async fn stream(
    ui: &Ui,
    request: &Request,
    idle: Duration,
    file: Option<&mut AnswerFile>,
) -> Result<Result<bool, Failure>> {
    match read(ui, request, idle, file).await {
        Ok(ended) => Ok(Ok(ended)),
        Err(Halt::Failed(failure)) => Ok(Err(failure)),
        Err(Halt::Broken(error)) => Err(error),
    }
}

async fn read(
    ui: &Ui,
    request: &Request,
    idle: Duration,
    mut file: Option<&mut AnswerFile>,
) -> Result<bool, Halt> {
    let mut response = in_time(idle, send(request)).await??;
    tell(ui, &head(&response))?;
    if response.status() != StatusCode::OK {
        return Err(refused(response, idle).await.into());
    }
    let kind = text(response.headers(), CONTENT_TYPE.as_str()).unwrap_or("nothing").to_owned();
    if !kind.starts_with("text/event-stream") {
        let start = body(&mut response, idle).await;
        let message = format!("the answer is no stream of events but {kind}: {}", shown(&start));
        return Err(Failure::network(message).into());
    }
    let (mut events, mut told) = (Events::default(), Told::default());
    while told.ended.is_none() {
        let chunk = in_time(idle, response.chunk()).await?;
        let chunk = chunk.map_err(|error| cut(&chain_of(&error.without_url())))?;
        let chunk = chunk.ok_or_else(|| cut("its end is missing"))?;
        let mut halt = None;
        let fed = events.feed(&chunk, |data| {
            if halt.is_none() && told.ended.is_none() {
                halt = take(ui, data, &mut told, file.as_deref_mut()).err();
            }
        });
        if let Some(halt) = halt {
            return Err(halt);
        }
        fed.map_err(|_| Failure::network("the answer has an event that is too long"))?;
    }
    Ok(told.ended == Some(true))
}

async fn send(request: &Request) -> Result<Response, Failure> {
    let failed = |error| Failure::network(chain_of(&error));
    let network = Network::from_env().map_err(failed)?;
    let client = network.client().map_err(failed)?;
    let url = Url::parse(&request.url)
        .map_err(|_| Failure::new("invalid_request_error", "ANTHROPIC_BASE_URL is no URL"))?;
    let sent = client.post(url.clone()).headers(request.headers.clone());
    let sent = sent.body(request.body.to_string()).send().await;
    sent.map_err(|error| {
        Failure::network(format!("no answer came: {}", network.explain(&url, error)))
    })
}

/// Reads one event.
fn take(ui: &Ui, data: &[u8], told: &mut Told, file: Option<&mut AnswerFile>) -> Result<(), Halt> {
    let event = serde_json::from_slice::<Value>(data).ok().filter(|it| it["type"].is_string());
    let event = event.ok_or_else(|| {
        Failure::network(format!("the answer has an event that is none: {}", shown(data)))
    })?;
    tell(ui, &event)?;
    match event["type"].as_str() {
        Some("content_block_delta") => {
            if let (Some(text), Some(file)) = (event["delta"]["text"].as_str(), file) {
                file.write(text)?;
            }
        }
        Some("message_delta") => {
            told.stop_reason = event["delta"]["stop_reason"].as_str().map(str::to_owned);
        }
        Some("message_stop") => {
            let reason = told.stop_reason.as_deref();
            told.ended = Some(matches!(reason, Some("end_turn" | "stop_sequence")));
        }
        Some("error") => told.ended = Some(false),
        _ => {}
    }
    Ok(())
}

/// What the answer says beside its body.
fn head(response: &Response) -> Value {
    let headers = response.headers();
    let limits =
        headers.iter().filter(|(name, _)| name.as_str().starts_with("anthropic-ratelimit"));
    let limits: Map<_, _> = limits
        .filter_map(|(name, value)| Some((name.to_string(), json!(value.to_str().ok()?))))
        .collect();
    json!({
        "type": "response", "status": response.status().as_u16(),
        "request_id": text(headers, "request-id"), "limits": limits,
    })
}

/// The error of an answer that is one, with what stands beside it.
async fn refused(mut response: Response, idle: Duration) -> Failure {
    let status = response.status().as_u16();
    let wait = wait(response.headers());
    let body = body(&mut response, idle).await;
    let error = serde_json::from_slice::<Value>(&body).ok();
    let Failure(mut error) = match error.filter(|error| error["error"].is_object()) {
        Some(error) => Failure(error),
        None => Failure::new("http_error", format!("HTTP status {status}: {}", shown(&body))),
    };
    error["type"] = json!("error");
    error["status"] = json!(status);
    if let Some(wait) = wait {
        error["retry_after_s"] = json!(wait);
    }
    Failure(error)
}

/// In how many seconds to ask again.
fn wait(headers: &HeaderMap) -> Option<f64> {
    let number = |name| text(headers, name)?.trim().parse::<f64>().ok();
    let milliseconds = number("retry-after-ms").map(|milliseconds| milliseconds / 1000.0);
    milliseconds.or_else(|| number("retry-after")).filter(|wait| wait.is_finite() && *wait >= 0.0)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The start of a body that is no stream.
async fn body(response: &mut Response, idle: Duration) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < MAX_BODY {
        let Ok(Ok(Some(chunk))) = timeout(idle, response.chunk()).await else { break };
        body.extend_from_slice(&chunk[..chunk.len().min(MAX_BODY - body.len())]);
    }
    body
}

/// The start of a text, on one line.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(why: &str) -> Failure {
    Failure::network(format!("the answer was cut off: {why}"))
}

async fn in_time<T>(idle: Duration, what: impl Future<Output = T>) -> Result<T, Failure> {
    let late = |_| Failure::network(format!("nothing came for {}", show_duration(idle)));
    timeout(idle, what).await.map_err(late)
}

fn tell(ui: &Ui, line: &Value) -> Result<()> {
    ui.data(line).or_exit(Exit::Unexpected, || "could not write to stdout".to_owned())
}
