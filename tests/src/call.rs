//! A call of the program, before it is made.

use std::{
    env,
    ffi::{OsStr, OsString},
    iter,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{Output, Running, Sandbox};

/// A call takes longer than this only if something is wrong.
const LIMIT: Duration = Duration::from_secs(60);

/// A command line with its environment and its stdin.
#[derive(Debug)]
#[must_use = "a call does nothing until it is run"]
pub struct Call {
    command: Command,
    stdin: Option<Vec<u8>>,
    limit: Duration,
}

impl Call {
    /// A call in a clean environment: what the person who runs the tests has set is not seen.
    pub(crate) fn new(program: impl AsRef<OsStr>, sandbox: &Sandbox) -> Self {
        let mut command = Command::new(program);
        command.current_dir(sandbox.root()).env_clear();
        command.env("HOME", sandbox.home()).env("PATH", path(sandbox)).env("NO_COLOR", "1");
        for kept in ["TMPDIR", "LLVM_PROFILE_FILE"] {
            if let Some(value) = env::var_os(kept) {
                command.env(kept, value);
            }
        }
        // Commits of git need a name, and nothing of the machine's configuration.
        command.env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Agent");
            command.env(format!("GIT_{who}_EMAIL"), "agent@example.com");
        }
        Self { command, stdin: None, limit: LIMIT }
    }

    /// Adds arguments.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.command.env(name, value.as_ref());
        self
    }

    /// Gives it this on stdin; without it stdin is empty.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Lets it take so long instead of a minute.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Output {
        self.start().wait()
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        Running::spawn(self.command, self.stdin, self.limit)
    }
}

fn path(sandbox: &Sandbox) -> OsString {
    let known = env::var_os("PATH").unwrap_or_default();
    let folders = iter::once(sandbox.bin()).chain(env::split_paths(&known));
    env::join_paths(folders).expect("no folder of the PATH has a colon in it")
}
