//! A run that is watched and steered: it slows down when a limit is met, and stops when there is enough.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use agent_runner_pool::{Context, Event, Failure, Pool, Queue};

async fn probe(number: u64, context: Context) -> Result<u64, Failure<String>> {
    tokio::time::sleep(Duration::from_millis(5 + number % 7)).await;
    match number {
        n if n % 16 == 0 && context.attempt() == 1 => Err(Failure::Release("slow down".into())),
        13 => panic!("thirteen"),
        n => Ok(n * n),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endless = Queue::new(1..).rest(Duration::from_millis(100));
    let mut run = Pool::builder().workers(8).build()?.start(endless, probe);
    let mut results = 0;
    while let Some(event) = run.next_event().await {
        match event {
            Event::JobFinished { job, output, .. } => {
                results += 1;
                println!("{job}: {output}");
                if results == 40 {
                    run.stop();
                }
            }
            Event::JobFailed { job, error, .. } => println!("{job}: {error}"),
            Event::JobReleased { job, error: Some(limit), .. } => {
                println!("{job}: {limit}; from now on with 2 workers");
                run.set_workers(2);
            }
            _ => {}
        }
    }
    let summary = run.join().await;
    println!("{:?}: {:?}", summary.ended, summary.counts);
    Ok(())
}
