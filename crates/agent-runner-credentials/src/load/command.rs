//! A command that prints a key.

use std::{
    io::{self, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use secrecy::zeroize::Zeroizing;

use crate::{ApiKey, InvalidKey};

/// More than any key; a command that prints more prints something else.
const MOST_OUTPUT: u64 = 64 * 1024;

/// Runs a command and takes the first line of its output as a key.
///
/// No shell sees the command. It gets no input, and what it writes to stderr is dropped, since it
/// may repeat the secret. A command that takes longer than `timeout` is killed.
pub fn key_from_command(argv: &[String], timeout: Duration) -> Result<ApiKey, CommandError> {
    let [program, arguments @ ..] = argv else {
        return Err(CommandError { program: String::new(), problem: CommandProblem::Empty });
    };
    run(program, arguments, timeout)
        .and_then(|output| first_line(&output))
        .map_err(|problem| CommandError { program: program.clone(), problem })
}

/// Why a command did not tell a key. It has neither the arguments nor the output.
#[derive(Debug, thiserror::Error)]
#[error("could not get a key from command '{program}'")]
#[non_exhaustive]
pub struct CommandError {
    /// The program.
    pub program: String,
    /// What went wrong.
    #[source]
    pub problem: CommandProblem,
}

/// What went wrong with a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandProblem {
    /// There is no program to run.
    #[error("the command is empty")]
    Empty,
    /// It could not be started.
    #[error("it could not be started")]
    Start(#[source] io::Error),
    /// Its output could not be read.
    #[error("its output could not be read")]
    Read(#[source] io::Error),
    /// It took too long.
    #[error("it did not end within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// It failed.
    #[error("it failed ({0})")]
    Failed(ExitStatus),
    /// The first line of its output cannot be a key.
    #[error("the first line of its output cannot be used")]
    InvalidKey(#[source] InvalidKey),
}

type Output = Zeroizing<Vec<u8>>;

fn run(program: &str, arguments: &[String], timeout: Duration) -> Result<Output, CommandProblem> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(CommandProblem::Start)?;
    let result = finish(&mut child, timeout);
    if result.is_err() {
        // Whether it is still there to be killed does not matter; it has to be waited for.
        child.kill().ok();
        child.wait().ok();
    }
    result
}

fn finish(child: &mut Child, timeout: Duration) -> Result<Output, CommandProblem> {
    let deadline = Instant::now().checked_add(timeout);
    let left = || deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
    let stdout = child.stdout.take().expect("stdout was asked for as a pipe");
    let (sender, receiver) = mpsc::channel();
    // Not joined: a grandchild that keeps the pipe open may keep it for ever.
    thread::spawn(move || {
        let mut output = Zeroizing::new(Vec::new());
        let read = stdout.take(MOST_OUTPUT).read_to_end(&mut output).map(|_| output);
        sender.send(read).ok();
    });
    let output = receiver
        .recv_timeout(left())
        .map_err(|_| CommandProblem::TimedOut(timeout))?
        .map_err(CommandProblem::Read)?;
    loop {
        match child.try_wait().map_err(CommandProblem::Read)? {
            Some(status) if status.success() => return Ok(output),
            Some(status) => return Err(CommandProblem::Failed(status)),
            None if left().is_zero() => return Err(CommandProblem::TimedOut(timeout)),
            None => thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn first_line(output: &[u8]) -> Result<ApiKey, CommandProblem> {
    let line = output.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| InvalidKey::BadCharacter);
    line.and_then(ApiKey::new).map_err(CommandProblem::InvalidKey)
}
