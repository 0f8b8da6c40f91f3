//! A call to a busy server, retried: `cargo run -p agent-runner-backoff --features tokio --example agent_call`.

#![expect(clippy::print_stderr, reason = "an example shows what it does")]

use std::{cell::Cell, time::Duration};

use agent_runner_backoff::{ExponentialBackoff, RetryBudget, retry};

static BUDGET: RetryBudget = RetryBudget::new();

#[derive(Debug)]
struct Refused {
    status: u16,
    retry_after: Option<Duration>,
}

/// A server that is overloaded, then limits the rate, then answers.
async fn ask(call: u32) -> Result<&'static str, Refused> {
    tokio::task::yield_now().await;
    match call {
        1 => Err(Refused { status: 529, retry_after: None }),
        2 => Err(Refused { status: 429, retry_after: Some(Duration::from_millis(700)) }),
        _ => Ok("done"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), String> {
    let calls = Cell::new(0);
    let answer = retry(|| {
        calls.set(calls.get() + 1);
        ask(calls.get())
    })
    .with(ExponentialBackoff::new().with_base(Duration::from_millis(100)))
    .when(|refused| matches!(refused.status, 429 | 500..))
    .retry_after(|refused| refused.retry_after)
    .notify(|refused, delay| eprintln!("status {}: again in {delay:.1?}", refused.status))
    .budget(&BUDGET)
    .await;
    let answer = answer.map_err(|refused| format!("gave up: {refused:?}"))?;
    eprintln!("{answer} after {} calls", calls.get());
    Ok(())
}
