//! What the program's exit codes mean. They are part of its interface: `agent-runner help exit-codes`.

use std::process::ExitCode;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Every selected task is complete, or the command did what it was asked.
    Success = 0,
    /// Something that should not happen.
    Unexpected = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The configuration, the backlog or the store cannot be used; nothing was run.
    Invalid = 3,
    /// There is no task at all.
    NothingToDo = 4,
    /// The run ended early, tasks are left.
    Left = 5,
    /// No credential is ready.
    NoKeys = 6,
    /// Somebody else has what is needed: a lock, or the store.
    Held = 7,
    /// `doctor` found something that will not work.
    Blocked = 8,
    /// The run is over, some tasks failed.
    TasksFailed = 100,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
    /// Stopped by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// All of them with their meaning, in the order of their numbers.
    pub const TABLE: [(Self, &'static str); 12] = [
        (Self::Success, "every selected task is complete, or the command did what it was asked"),
        (Self::Unexpected, "unexpected error: please report it"),
        (Self::Usage, "wrong command line"),
        (Self::Invalid, "configuration, backlog or store cannot be used; nothing was run"),
        (Self::NothingToDo, "nothing to do: there is no task (`--empty ok` makes it 0)"),
        (Self::Left, "ended early (limit, failures, blocked tasks); tasks are left"),
        (Self::NoKeys, "no credential is ready (`--no-wait-keys`)"),
        (Self::Held, "a lock is held by somebody else, or the store by a run on another host"),
        (Self::Blocked, "`doctor` found something that will not work"),
        (Self::TasksFailed, "the run is over, some tasks failed"),
        (Self::Interrupted, "stopped by Ctrl-C; run again to continue"),
        (Self::Terminated, "stopped by SIGTERM; run again to continue"),
    ];

    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
