//! A holder that is killed: its lock is free at once, and its record says who it was.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::{
    error::Error,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use agent_runner_lock::{Acquire, LockDir};

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        Some(folder) => hold_for_ever(Path::new(&folder)),
        None => rescue(),
    }
}

fn hold_for_ever(folder: &Path) -> Result<(), Box<dyn Error>> {
    let dir = LockDir::builder(folder).holder_id("first/1").open()?;
    let lock = dir.acquire_blocking("42", None)?;
    lock.set_note("half way through")?;
    println!("holding");
    loop {
        std::thread::park();
    }
}

fn rescue() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("agent-runner-lock-two-{}", std::process::id()));
    let dir = LockDir::builder(&folder).holder_id("second/1").open()?;

    let mut first =
        Command::new(std::env::current_exe()?).arg(&folder).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(first.stdout.take().ok_or("it is piped")?).read_line(&mut line)?;
    println!("before: {}", dir.status("42")?);

    first.kill()?;
    first.wait()?;
    println!("after:  {}", dir.status("42")?);

    let Acquire::Acquired(lock) = dir.try_acquire("42")? else {
        return Err("its holder is dead".into());
    };
    let dead = lock.previous().ok_or("it did not release the lock")?;
    println!("{} left a note: {}", dead.holder_id, dead.note.as_deref().unwrap_or("none"));
    println!("token {} is over {}", lock.token(), dead.token);
    drop(lock);
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
