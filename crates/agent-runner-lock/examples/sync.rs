//! One lock, tried, waited for and released by threads of one process.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::{error::Error, thread, time::Duration};

use agent_runner_lock::{Acquire, LockDir};

fn main() -> Result<(), Box<dyn Error>> {
    let folder =
        std::env::temp_dir().join(format!("agent-runner-lock-sync-{}", std::process::id()));
    let dir = LockDir::builder(&folder)
        .holder_id("example/1")
        .default_timeout(Duration::from_secs(60))
        .open()?;

    let Acquire::Acquired(lock) = dir.try_acquire("42")? else {
        return Err("nobody else knows this folder".into());
    };
    lock.set_note("writing the morning report")?;
    println!("acquired with token {}", lock.token());

    let Acquire::Held(status) = dir.try_acquire("42")? else {
        return Err("it is held".into());
    };
    println!("{status}; note: {}", lock.info().note.unwrap_or_default());

    let waiter = thread::spawn({
        let dir = dir.with_holder_id("example/2")?;
        move || dir.acquire_blocking("42", Some(Duration::from_secs(5)))
    });
    lock.release()?;
    let second = waiter.join().map_err(|_| "the waiter panicked")??;
    println!("{} has it now, with token {}", second.info().holder_id, second.token());
    drop(second);

    for status in dir.list()? {
        println!("{status}");
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
