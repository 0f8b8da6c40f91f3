//! The demo's agent: this program again, as a real child process that asks the pretend provider
//! and does as its script says.

use std::{
    env, fs,
    io::{self, Write},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::script::Script;
use crate::{
    config::Config,
    project::Project,
    run::{AgentResult, Outcome, claim_and_hold},
};

/// Runs the agent.
pub fn main(script: &str) -> ExitCode {
    match act(script) {
        Ok(code) => code,
        Err(error) => {
            drop(writeln!(io::stderr(), "agent: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn act(script: &str) -> Result<ExitCode> {
    let script: Script = script.parse()?;
    match script {
        Script::Sleep => sleep(),
        Script::DieAsRunner => return die_as_runner(),
        _ => {}
    }
    let first = env::var("AGENT_RUNNER_ATTEMPT")? == "1";
    let task: Value = serde_json::from_slice(&fs::read(env::var("AGENT_RUNNER_TASK_FILE")?)?)?;
    let prompt = task["prompt"].as_str().unwrap_or_default();
    say(&format!("working on: {prompt}"))?;
    match script {
        Script::CrashOnce if first => kill_self(),
        Script::HangOnce if first => hang(),
        Script::FailAlways => bail!("cannot {prompt}: the file is not there"),
        Script::FailOnce if first => bail!("the tests still fail"),
        _ => work(prompt),
    }
}

/// Asks the provider and writes what it says into a file; a limit goes into the result file.
fn work(prompt: &str) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(ask(prompt))?;
    let (outcome, message) = match answer.status {
        200 => (Outcome::Succeeded, None),
        429 => (Outcome::Throttled, Some("429 rate_limit_error")),
        401 => (Outcome::Auth, Some("401 authentication_error")),
        529 => (Outcome::Overloaded, Some("529 overloaded_error")),
        status => bail!("the provider answered {status}"),
    };
    if let Some(message) = message {
        say(message)?;
    } else {
        let text = answer.body["content"][0]["text"].as_str().unwrap_or_default();
        let file = PathBuf::from(format!("{}.txt", env::var("AGENT_RUNNER_TASK_ID")?));
        fs::write(&file, format!("{text}\n"))
            .with_context(|| format!("could not write '{}'", file.display()))?;
        say(&format!("wrote {}", file.display()))?;
    }
    let mut details = serde_json::Map::new();
    if answer.body["usage"].is_object() {
        details.insert("usage".into(), answer.body["usage"].clone());
    }
    let result = AgentResult {
        outcome,
        message: message.map(str::to_owned),
        retry_after_s: answer.retry_after,
        details,
    };
    fs::write(env::var("AGENT_RUNNER_RESULT")?, serde_json::to_vec(&result)?)?;
    Ok(if outcome == Outcome::Succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Answer {
    status: u16,
    retry_after: Option<f64>,
    body: Value,
}

async fn ask(prompt: &str) -> Result<Answer> {
    let base = env::var("ANTHROPIC_BASE_URL").context("ANTHROPIC_BASE_URL is not set")?;
    let key = env::var("ANTHROPIC_API_KEY").context("ANTHROPIC_API_KEY is not set")?;
    let host = base.strip_prefix("http://").context("the demo's provider speaks plain HTTP")?;
    let stream = TcpStream::connect(host).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let body = json!({
        "model": "pretend-1",
        "max_tokens": 64,
        "messages": [{ "role": "user", "content": prompt }],
    });
    let request = Request::post("/v1/messages")
        .header(HOST, host)
        .header("x-api-key", key)
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(body.to_string()))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let retry_after =
        response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok(Answer { status, retry_after, body: serde_json::from_slice(&body)? })
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Ends like a process that the kernel killed for want of memory.
fn kill_self() -> Result<ExitCode> {
    #[cfg(unix)]
    {
        let this = rustix::process::getpid();
        rustix::process::kill_process(this, rustix::process::Signal::KILL)?;
    }
    std::process::abort()
}

/// Does what a runner does at the start of a task, and is killed there.
fn die_as_runner() -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let project = Project::at(&env::current_dir()?, Config::default());
    let _held = runtime.block_on(claim_and_hold(&project)).map_err(|error| anyhow!("{error}"))?;
    kill_self()
}

/// Leaves a child of its own behind, as agents do, and never ends.
fn hang() -> Result<ExitCode> {
    let program = env::current_exe()?;
    Command::new(&program)
        .args(["__agent", Script::Sleep.as_str()])
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("could not start '{}'", program.display()))?;
    say("waiting for a lock that nobody releases")?;
    sleep()
}

fn sleep() -> ! {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}
