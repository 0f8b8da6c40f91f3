//! `/metrics`, in the text format of Prometheus.

use std::{
    fmt::{self, Write as _},
    sync::atomic::Ordering::Relaxed,
};

use hyper::{
    Request, Response,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
};
use subtle::ConstantTimeEq as _;

use crate::{
    Line,
    answer::Refusal,
    body::Body,
    gateway::Shared,
    route::{Dialect, Presented},
};

/// Answers who has the token for it.
pub(crate) fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Body> {
    let presented = Presented::find(request.uri(), request.headers());
    let is_open = match (&shared.options.metrics_token, presented) {
        (Some(token), Some(presented)) => {
            bool::from(token.as_bytes().ct_eq(presented.token.as_bytes()))
        }
        _ => false,
    };
    if !is_open {
        return Refusal::Token.answer(Dialect::OpenAi);
    }
    let mut response = Response::new(Body::from(text(shared)));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn text(shared: &Shared) -> String {
    let mut text = String::new();
    write(&mut text, shared).expect("a string takes everything");
    text
}

fn write(text: &mut String, shared: &Shared) -> fmt::Result {
    let stats = &shared.stats;
    head(text, "answers_total", "counter", "Answers to clients, by the class of their status.")?;
    for (class, count) in stats.answers.iter().enumerate().skip(2) {
        let count = count.load(Relaxed);
        writeln!(text, "agent_runner_gateway_answers_total{{class=\"{class}xx\"}} {count}")?;
    }
    head(text, "retries_total", "counter", "Refusals that were tried again, by kind.")?;
    for (kind, count) in stats.retries() {
        writeln!(text, "agent_runner_gateway_retries_total{{kind=\"{kind}\"}} {count}")?;
    }
    let streams = stats.open_streams.load(Relaxed);
    single(text, "open_streams", "gauge", "Answers that pass through now.", streams)?;
    let sent = stats.sent.load(Relaxed);
    single(text, "requests_sent_total", "counter", "Requests to providers.", sent)?;
    head(text, "wait_seconds_total", "counter", "Time that requests waited for a key.")?;
    let (s, us) =
        (stats.waited_us.load(Relaxed) / 1_000_000, stats.waited_us.load(Relaxed) % 1_000_000);
    writeln!(text, "agent_runner_gateway_wait_seconds_total {s}.{us:06}")?;
    usage(text, shared)?;
    keys(text, shared)?;
    callers(text, shared)
}

/// By key and model.
fn usage(text: &mut String, shared: &Shared) -> fmt::Result {
    let lines: Vec<Line> = shared.ledger(|ledger| ledger.lines().cloned().collect());
    head(text, "tokens_total", "counter", "Tokens, by key, model and kind.")?;
    for Line { key, model, usage, .. } in &lines {
        let kinds = [
            ("input", usage.input),
            ("cache_read", usage.cache_read),
            ("cache_write", usage.cache_write),
            ("output", usage.output),
        ];
        for (kind, count) in kinds {
            let (key, model) = (Escaped(key), Escaped(model));
            writeln!(
                text,
                "agent_runner_gateway_tokens_total{{key=\"{key}\",model=\"{model}\",kind=\"{kind}\"}} {count}"
            )?;
        }
    }
    head(text, "requests_total", "counter", "Requests with a usage, by key and model.")?;
    for Line { key, model, requests, .. } in &lines {
        let (key, model) = (Escaped(key), Escaped(model));
        writeln!(
            text,
            "agent_runner_gateway_requests_total{{key=\"{key}\",model=\"{model}\"}} {requests}"
        )?;
    }
    head(text, "cost_usd_total", "counter", "Cost in US dollars, as far as prices are known.")?;
    for Line { key, model, cost_usd, .. } in &lines {
        if let Some(cost) = cost_usd {
            let (key, model) = (Escaped(key), Escaped(model));
            writeln!(
                text,
                "agent_runner_gateway_cost_usd_total{{key=\"{key}\",model=\"{model}\"}} {cost}"
            )?;
        }
    }
    Ok(())
}

/// How keys stand.
fn keys(text: &mut String, shared: &Shared) -> fmt::Result {
    head(text, "key_ready", "gauge", "Whether a key is ready.")?;
    for key in shared.ring.snapshot().keys {
        let (label, state) = (Escaped(&key.label), key.state.as_str());
        let ready = u8::from(state == "ready");
        writeln!(
            text,
            "agent_runner_gateway_key_ready{{key=\"{label}\",state=\"{state}\"}} {ready}"
        )?;
    }
    Ok(())
}

/// Who has a token now.
fn callers(text: &mut String, shared: &Shared) -> fmt::Result {
    head(text, "caller_tokens", "gauge", "Tokens that count, of those who have access now.")?;
    for door in shared.doors.all() {
        let (task, attempt) = (Escaped(&door.caller.task), door.caller.attempt);
        let tokens = door.ledger().spent().tokens;
        writeln!(
            text,
            "agent_runner_gateway_caller_tokens{{task=\"{task}\",attempt=\"{attempt}\"}} {tokens}"
        )?;
    }
    Ok(())
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP agent_runner_gateway_{name} {help}")?;
    writeln!(text, "# TYPE agent_runner_gateway_{name} {kind}")
}

fn single(text: &mut String, name: &str, kind: &str, help: &str, value: u64) -> fmt::Result {
    head(text, name, kind, help)?;
    writeln!(text, "agent_runner_gateway_{name} {value}")
}

/// The value of a label.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
