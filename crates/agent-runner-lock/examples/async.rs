//! Tasks of one program that wait without blocking a thread: for a lock, and for files.
//!
//! ```sh
//! cargo run --example async --features tokio
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::{
    error::Error,
    time::{Duration, Instant},
};

use agent_runner_lock::{LockDir, Resource};
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder =
        std::env::temp_dir().join(format!("agent-runner-lock-async-{}", std::process::id()));
    let dir = LockDir::builder(&folder).holder_id("example").open()?;

    // First come, first served.
    let start = Instant::now();
    tokio::try_join!(
        with_lock(&dir, "first", start),
        with_lock(&dir, "second", start),
        with_lock(&dir, "third", start),
    )?;

    // The two on parts of `src` work at once, the one on all of it waits for both, and nobody waits
    // for the one on `docs`.
    let start = Instant::now();
    tokio::try_join!(
        with_paths(&dir, "src/auth/**", start),
        with_paths(&dir, "src/*.rs", start),
        with_paths(&dir, "src", start),
        with_paths(&dir, "docs/**/*.md", start),
    )?;

    // Giving up leaves nothing behind.
    let _lock = dir.acquire("42").await?;
    let late = dir.acquire_until("42", Instant::now() + Duration::from_millis(50)).await;
    println!("{}", late.err().ok_or("it is held")?);
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

async fn with_lock(dir: &LockDir, name: &str, start: Instant) -> Result<(), Box<dyn Error>> {
    let lock = dir.acquire("42").await?;
    println!("{name} has the lock after {} ms", start.elapsed().as_millis());
    sleep(Duration::from_millis(50)).await;
    Ok(lock.release()?)
}

async fn with_paths(dir: &LockDir, pattern: &str, start: Instant) -> Result<(), Box<dyn Error>> {
    let lock = dir.acquire_all(&[Resource::paths(pattern)?]).await?;
    println!("{pattern} is ours after {} ms", start.elapsed().as_millis());
    sleep(Duration::from_millis(50)).await;
    Ok(lock.release()?)
}
