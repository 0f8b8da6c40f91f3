//! A holder that a harness can drive, stop and kill: one line in, one line out.
//!
//! ```text
//! torture_agent FOLDER TIMEOUT_MS HOLDER_ID
//!
//! A <key>   try to acquire  ->  OK <token> | BUSY | ERR <text>
//! R         release         ->  OK | ERR <text>
//! Q / EOF   quit
//! ```

use std::{
    error::Error,
    io::{self, BufRead, Write},
    time::Duration,
};

use agent_runner_lock::{Acquire, LockDir, TaskLock};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, timeout, holder_id] = arguments.as_slice() else {
        return Err("usage: torture_agent FOLDER TIMEOUT_MS HOLDER_ID".into());
    };
    let timeout = Duration::from_millis(timeout.parse()?);
    let dir = LockDir::builder(folder).holder_id(holder_id).default_timeout(timeout).open()?;
    serve(&dir, io::stdin().lock(), io::stdout().lock())?;
    Ok(())
}

/// Answers each line until there are no more. `R` releases the lock that was acquired last.
pub(crate) fn serve(
    dir: &LockDir,
    requests: impl BufRead,
    mut answers: impl Write,
) -> io::Result<()> {
    let mut held = Vec::new();
    for request in requests.lines() {
        let request = request?;
        let answer = match request.trim_end().split_once(' ') {
            Some(("A", key)) => acquire(dir, key, &mut held),
            None if request == "R" => release(&mut held),
            None if request == "Q" => break,
            _ => Err(format!("unknown request {request:?}").into()),
        };
        // In one write, so that no reader sees half a line.
        let line = answer.unwrap_or_else(|error| format!("ERR {error}").replace('\n', " "));
        answers.write_all(format!("{line}\n").as_bytes())?;
        answers.flush()?;
    }
    Ok(())
}

fn acquire(dir: &LockDir, key: &str, held: &mut Vec<TaskLock>) -> Result<String, Box<dyn Error>> {
    Ok(match dir.try_acquire(key)? {
        Acquire::Acquired(lock) => {
            let answer = format!("OK {}", lock.token());
            held.push(lock);
            answer
        }
        Acquire::Held(_) => "BUSY".to_owned(),
    })
}

fn release(held: &mut Vec<TaskLock>) -> Result<String, Box<dyn Error>> {
    held.pop().ok_or("nothing is held")?.release()?;
    Ok("OK".to_owned())
}
