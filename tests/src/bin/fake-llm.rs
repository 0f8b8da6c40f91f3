//! A pretend provider on loopback: `fake-llm [PORT]`. Keys say what becomes of their requests, see
//! `src/llm`: `sk-fake-ok-1`, `sk-fake-throttled-1`, `sk-fake-revoked-1`, …
//!
//! Prints a JSON object a line: its base URLs first, and then each answer.

use std::{env, thread, time::SystemTime};

use agent_runner_tests::llm::{Answer, FakeLlm};
use serde_json::json;

#[expect(clippy::print_stdout, reason = "a tool for the terminal")]
fn main() -> anyhow::Result<()> {
    let port = env::args().nth(1).map(|port| port.parse()).transpose()?.unwrap_or(0);
    let llm = FakeLlm::start(port, |answer| println!("{}", line(answer)))?;
    let url = llm.url();
    let openai = format!("{url}/v1");
    println!(
        "{}",
        json!({ "anthropic_base_url": url, "openai_base_url": openai, "gemini_base_url": url })
    );
    loop {
        thread::park();
    }
}

fn line(answer: &Answer) -> serde_json::Value {
    let at = answer.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    json!({
        "at": at.as_secs_f64(), "request": answer.request, "key": answer.key, "status": answer.status,
    })
}
