//! A holder that a harness can drive, stop and kill: one line in, one line out.
//!
//! ```text
//! torture_agent FOLDER TIMEOUT_MS HOLDER_ID [LEASE_MS]
//!
//! A <key>   try to acquire    ->  OK <token> | BUSY | ERR <text>
//! C         check             ->  OK | LOST <text> | ERR <text>
//! L         wait for a loss   ->  LOST <reason> | ERR <text>
//! R         release           ->  OK | ERR <text>
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
    let [folder, timeout, holder_id, lease @ ..] = arguments.as_slice() else {
        return Err("usage: torture_agent FOLDER TIMEOUT_MS HOLDER_ID [LEASE_MS]".into());
    };
    let timeout = Duration::from_millis(timeout.parse()?);
    let mut dir = LockDir::builder(folder).holder_id(holder_id).default_timeout(timeout);
    if let [lease] = lease {
        dir = dir.lease(Duration::from_millis(lease.parse()?));
    }
    serve(&dir.open()?, io::stdin().lock(), io::stdout().lock())?;
    Ok(())
}

/// Answers each line until there are no more. All but `A` are about the lock acquired last.
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
            None if request == "C" => check(&held),
            None if request == "L" => wait_lost(&held),
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

fn check(held: &[TaskLock]) -> Result<String, Box<dyn Error>> {
    let lock = held.last().ok_or("nothing is held")?;
    Ok(lock.check().map_or_else(|lost| format!("LOST {lost}"), |()| "OK".to_owned()))
}

fn wait_lost(held: &[TaskLock]) -> Result<String, Box<dyn Error>> {
    let reason = held.last().ok_or("nothing is held")?.wait_lost(None);
    Ok(format!("LOST {reason:?}"))
}

fn release(held: &mut Vec<TaskLock>) -> Result<String, Box<dyn Error>> {
    held.pop().ok_or("nothing is held")?.release()?;
    Ok("OK".to_owned())
}
