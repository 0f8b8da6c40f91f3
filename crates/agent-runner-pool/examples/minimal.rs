//! A list of jobs, four at a time.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use agent_runner_pool::{Context, Failure, Pool, Queue};

async fn greet(name: &'static str, context: Context) -> Result<(), Failure<String>> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    if name.is_empty() {
        return Err(Failure::Job("nobody to greet".into()));
    }
    println!("hello {name}, says {}", context.worker());
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names = ["Ada", "Barbara", "", "Grace", "Hedy", "Katherine"];
    let summary = Pool::builder().workers(4).build()?.run(Queue::new(names), greet).await;
    println!("{} greeted, {} failed", summary.counts.finished, summary.counts.failed);
    Ok(())
}
