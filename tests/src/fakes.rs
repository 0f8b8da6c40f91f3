//! What each fake agent must lead to. Every output of the program is checked against this table.

/// A fake agent, and what becomes of a task that it works on.
#[derive(Debug, Clone, Copy)]
pub struct Fake {
    /// What it is told to do, see `src/bin/fake-agent.rs`.
    pub verb: &'static str,
    /// Flags for `run`.
    pub flags: &'static [&'static str],
    /// How each attempt ends.
    pub outcomes: &'static [&'static str],
    /// Where the task stands at the end.
    pub status: &'static str,
    /// The exit code of a run that has no other task.
    pub exit: i32,
    /// What the log of the last attempt holds.
    pub log: &'static str,
    /// What the last attempt's message holds; nothing for a success.
    pub message: &'static str,
}

const SUCCEEDS: Fake = Fake {
    verb: "succeed",
    flags: &[],
    outcomes: &["succeeded"],
    status: "succeeded",
    exit: 0,
    log: "all done",
    message: "",
};

const FAILS: Fake = Fake {
    verb: "fail-always",
    flags: &[],
    outcomes: &["task_failed"; 3],
    status: "failed",
    exit: 100,
    log: "cannot do it",
    message: "cannot do it",
};

/// All fake agents that end.
pub const FAKES: [Fake; 18] = [
    SUCCEEDS,
    Fake { verb: "fail-twice", outcomes: &["task_failed", "task_failed", "succeeded"], ..SUCCEEDS },
    FAILS,
    Fake { verb: "fail-always", flags: &["--attempts", "1"], outcomes: &["task_failed"], ..FAILS },
    Fake { verb: "write-file", log: "wrote", ..SUCCEEDS },
    Fake { verb: "print-10mb", log: "the last line", ..SUCCEEDS },
    Fake { verb: "print-garbage", log: "\u{fffd}", ..SUCCEEDS },
    Fake { verb: "leak-a-child", log: "left", ..SUCCEEDS },
    Fake { verb: "leak-a-daemon", log: "left", ..SUCCEEDS },
    Fake {
        verb: "hang",
        flags: &["--timeout", "300ms", "--attempts", "1"],
        outcomes: &["timed_out"],
        log: "hanging",
        message: "timed out",
        ..FAILS
    },
    Fake {
        verb: "hang-once",
        flags: &["--idle-timeout", "500ms"],
        outcomes: &["idle_timed_out", "succeeded"],
        ..SUCCEEDS
    },
    Fake {
        verb: "ignore-sigterm",
        flags: &["--timeout", "300ms", "--attempts", "1", "--grace", "100ms"],
        outcomes: &["timed_out"],
        log: "hanging",
        message: "timed out",
        ..FAILS
    },
    Fake { verb: "crash-once", outcomes: &["crashed", "succeeded"], ..SUCCEEDS },
    Fake { verb: "throttle-once", outcomes: &["throttled", "succeeded"], ..SUCCEEDS },
    Fake { verb: "overload-once", outcomes: &["overloaded", "succeeded"], ..SUCCEEDS },
    Fake {
        verb: "result-garbage",
        flags: &["--attempts", "1"],
        outcomes: &["task_failed"],
        log: "wrote nonsense",
        message: "the agent's result is not valid",
        ..FAILS
    },
    Fake {
        verb: "succeed",
        flags: &["--verify", "echo the check says no; exit 7", "--attempts", "2"],
        outcomes: &["verify_failed", "verify_failed"],
        log: "all done",
        message: "the check says no",
        ..FAILS
    },
    Fake {
        verb: "deny-success",
        flags: &["--attempts", "1"],
        outcomes: &["task_failed"],
        log: "said yes, left with 1",
        message: "exit",
        ..FAILS
    },
];
