//! This crate's protocol, of which any one rule can be left out.

use super::{
    kernel::{Kernel, Pid, Record},
    search::Protocol,
};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Strict {
    /// From this one on, processes kill the holder that is in their way.
    pub(crate) first_killer: Pid,
    /// From this one on, processes clean up instead of acquiring.
    pub(crate) first_collector: Pid,
    /// A rule that nobody follows.
    pub(crate) without: Option<Rule>,
}

impl Strict {
    pub(crate) const AS_BUILT: Self =
        Self { first_killer: Pid::MAX, first_collector: Pid::MAX, without: None };
}

/// What makes the protocol safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// An acquirer checks that the path still names the file it locked.
    AcquirerChecksIdentity,
    /// An acquirer's token is higher than that of the record or, if there is none, the floor.
    AcquirerReadsToken,
    /// Who killed a holder acquires the lock like anybody.
    KillerAcquires,
    /// A collector locks the file.
    CollectorLocks,
    /// A collector checks that the path still names the file it locked.
    CollectorChecksIdentity,
    /// A collector notes the token before it removes the file.
    CollectorRaisesFloor,
    /// A collector holds the lock until the name is gone.
    CollectorUnlocksLast,
}

impl Rule {
    pub(crate) const ALL: [Self; 7] = [
        Self::AcquirerChecksIdentity,
        Self::AcquirerReadsToken,
        Self::KillerAcquires,
        Self::CollectorLocks,
        Self::CollectorChecksIdentity,
        Self::CollectorRaisesFloor,
        Self::CollectorUnlocksLast,
    ];
}

/// Where a process stands, and how often it will begin again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    at: At,
    rounds: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Start,
    Opened,
    Refused,
    Locked,
    Checked,
    /// With the token of the record or, if there is none, the floor.
    Read(u8),
    Noted,
    Holding(u8),
    Marked,
    Unlocked,
    Unlinked,
    Done,
}

impl Protocol for Strict {
    type State = State;

    fn begin(&self, me: Pid) -> State {
        // Two processes work twice, so that they also meet what they left themselves.
        State { at: At::Start, rounds: if me < 2 { 2 } else { 1 } }
    }

    fn holds(&self, state: &State) -> bool {
        matches!(state.at, At::Holding(_))
    }

    fn step(&self, kernel: &mut Kernel, me: Pid, state: &mut State) -> Option<&'static str> {
        if state.rounds == 0 {
            return None;
        }
        let (next, step) = if me >= self.first_collector {
            self.collect(kernel, me, state.at)
        } else {
            self.work(kernel, me, state.at)
        };
        state.at = next;
        if next == At::Done {
            *state = State { at: At::Start, rounds: state.rounds - 1 };
        }
        Some(step)
    }
}

impl Strict {
    fn follows(self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    /// Acquires and releases.
    fn work(self, kernel: &mut Kernel, me: Pid, at: At) -> (At, &'static str) {
        match at {
            At::Start => {
                kernel.open(me, true);
                (At::Opened, "open")
            }
            At::Opened if kernel.try_lock(me) => (At::Locked, "lock"),
            At::Opened if me >= self.first_killer => (At::Refused, "lock refused"),
            At::Opened => {
                kernel.close(me);
                (At::Start, "lock refused, close")
            }
            At::Refused => {
                if let Some(record) = kernel.read(me).filter(|record| !record.free) {
                    kernel.kill(record.by);
                }
                if self.follows(Rule::KillerAcquires) {
                    kernel.close(me);
                    (At::Start, "kill the holder, close")
                } else {
                    (At::Locked, "kill the holder")
                }
            }
            At::Locked
                if self.follows(Rule::AcquirerChecksIdentity) && !kernel.path_is_mine(me) =>
            {
                kernel.close(me);
                (At::Start, "it has no name, close")
            }
            At::Locked => (At::Checked, "look at the path"),
            At::Checked => {
                let token = kernel.read(me).map_or(kernel.floor(), |record| record.token);
                (At::Read(if self.follows(Rule::AcquirerReadsToken) { token } else { 0 }), "read")
            }
            At::Read(before) => {
                let token = kernel.grant(me, before);
                kernel.write(me, Some(Record::held(me, token)));
                (At::Holding(token), "write the record, hold")
            }
            At::Holding(token) => {
                kernel.write(me, Some(Record::held(me, token).released()));
                kernel.give_up(me);
                (At::Marked, "mark as free")
            }
            _ => {
                kernel.close(me);
                (At::Done, "unlock, close")
            }
        }
    }

    /// Removes the file if nobody holds its lock, as if it were always old enough.
    fn collect(self, kernel: &mut Kernel, me: Pid, at: At) -> (At, &'static str) {
        match at {
            At::Start if kernel.open(me, false) => (At::Opened, "collector: open"),
            At::Start => (At::Done, "collector: there is no file"),
            At::Opened if !self.follows(Rule::CollectorLocks) || kernel.try_lock(me) => {
                (At::Locked, "collector: lock")
            }
            At::Opened => {
                kernel.close(me);
                (At::Done, "collector: lock refused, close")
            }
            At::Locked
                if self.follows(Rule::CollectorChecksIdentity) && !kernel.path_is_mine(me) =>
            {
                kernel.close(me);
                (At::Done, "collector: it has no name, close")
            }
            At::Locked => (At::Checked, "collector: look at the path"),
            At::Checked => {
                let token = kernel.read(me).map_or(0, |record| record.token);
                (At::Read(token), "collector: read")
            }
            At::Read(token) => {
                kernel.raise_floor(if self.follows(Rule::CollectorRaisesFloor) {
                    token
                } else {
                    0
                });
                (At::Noted, "collector: note the token")
            }
            At::Noted if self.follows(Rule::CollectorUnlocksLast) => {
                kernel.unlink();
                (At::Unlinked, "collector: unlink")
            }
            At::Noted => {
                kernel.close(me);
                (At::Unlocked, "collector: unlock, close")
            }
            At::Unlocked => {
                kernel.unlink();
                (At::Done, "collector: unlink")
            }
            _ => {
                kernel.close(me);
                (At::Done, "collector: unlock, close")
            }
        }
    }
}
