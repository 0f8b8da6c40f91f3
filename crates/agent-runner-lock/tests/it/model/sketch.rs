//! The algorithm that this project began with: a JSON file under flock that is removed on release
//! and by whoever takes it for stale. Each of its flaws has a switch.

use super::{
    kernel::{Kernel, Pid, Record},
    search::Protocol,
};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Sketch {
    /// Whether an acquirer checks that the path still names the file it locked.
    pub(crate) checks_identity: bool,
    pub(crate) release: Release,
    pub(crate) breaks: Breaks,
}

impl Sketch {
    pub(crate) const AS_IT_WAS: Self =
        Self { checks_identity: false, release: Release::UnlockThenUnlink, breaks: Breaks::ALL };
}

/// What a release does with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    UnlockThenUnlink,
    UnlinkThenUnlock,
    Keep,
}

/// For what reasons a contender removes the file of a lock that it was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Breaks {
    /// The record names a dead process.
    pub(crate) dead: bool,
    /// There is no record, or no file.
    pub(crate) corrupt: bool,
    /// The record's time is over.
    pub(crate) overdue: bool,
}

impl Breaks {
    pub(crate) const NONE: Self = Self { dead: false, corrupt: false, overdue: false };
    pub(crate) const ALL: Self = Self { dead: true, corrupt: true, overdue: true };
}

/// Where a process stands. It acquires once; refused, it tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Start,
    Opened,
    Refused,
    Stale,
    Locked,
    Checked,
    Truncated,
    Holding,
    Unlocked,
    Unlinked,
    Done,
}

impl Protocol for Sketch {
    type State = State;

    fn begin(&self, _: Pid) -> State {
        State::Start
    }

    fn holds(&self, state: &State) -> bool {
        *state == State::Holding
    }

    fn step(&self, kernel: &mut Kernel, me: Pid, state: &mut State) -> Option<&'static str> {
        let (next, step) = match state {
            State::Start => {
                kernel.open(me, true);
                (State::Opened, "open")
            }
            State::Opened if kernel.try_lock(me) => (State::Locked, "lock"),
            State::Opened => {
                kernel.close(me);
                (State::Refused, "lock refused, close")
            }
            State::Refused if self.is_stale(kernel) => (State::Stale, "read: stale"),
            State::Refused => (State::Start, "read: not stale"),
            State::Stale => {
                kernel.unlink();
                (State::Start, "unlink the stale file")
            }
            State::Locked if self.checks_identity && !kernel.path_is_mine(me) => {
                kernel.close(me);
                (State::Start, "it has no name, close")
            }
            State::Locked => (State::Checked, "go on"),
            State::Checked => {
                kernel.write(me, None);
                (State::Truncated, "truncate")
            }
            State::Truncated => {
                kernel.write(me, Some(Record::held(me, 0)));
                (State::Holding, "write the record, hold")
            }
            State::Holding if self.release == Release::UnlinkThenUnlock => {
                kernel.unlink();
                (State::Unlinked, "unlink")
            }
            State::Holding => {
                kernel.close(me);
                (State::Unlocked, "unlock")
            }
            State::Unlocked if self.release == Release::Keep => (State::Done, "keep the file"),
            State::Unlocked => {
                kernel.unlink();
                (State::Done, "unlink")
            }
            State::Unlinked => {
                kernel.close(me);
                (State::Done, "unlock")
            }
            State::Done => return None,
        };
        *state = next;
        Some(step)
    }
}

impl Sketch {
    fn is_stale(self, kernel: &Kernel) -> bool {
        match kernel.read_path() {
            None => self.breaks.corrupt,
            Some(Record { by, .. }) => {
                (self.breaks.dead && !kernel.is_alive(by))
                    || (self.breaks.overdue && kernel.is_overdue(by))
            }
        }
    }
}
