//! This crate's protocol in a lease directory, of which any one rule can be left out.
//!
//! Time is not counted. A contender that sees what it saw before may decide that a whole lease has
//! passed; then the holder that did not renew meanwhile is overdue, and excused from overlapping.
//!
//! Steps that nobody can come between, or where it would make no difference, are one: who has a
//! file's lock is the only one to write to it, and who leaves a mutex later only makes others wait.

use super::{
    kernel::{Kernel, Pid, Record},
    search::Protocol,
};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    /// From this one on, processes clean up instead of acquiring.
    pub(crate) first_collector: Pid,
    /// From this one on, processes work once; those before, twice.
    pub(crate) first_once: Pid,
    /// A rule that nobody follows.
    pub(crate) without: Option<Rule>,
}

impl Lease {
    pub(crate) const AS_BUILT: Self =
        Self { first_collector: Pid::MAX, first_once: 0, without: None };
}

/// What makes the protocol safe, in addition to the rules of strict directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A contender breaks a lock only if nothing of it changed.
    ContenderCompares,
    /// A holder counts its lease as lost before a contender may.
    HolderWatchesClock,
    /// A breaker holds the mutex.
    BreakerLocksMutex,
    /// A breaker looks again, under the mutex.
    BreakerLooksAgain,
    /// A breaker puts a file with the record in the place of the old one, in one step.
    BreakerReplaces(Instead),
    /// An acquirer checks that the path still names the file it locked.
    AcquirerChecksIdentity,
    /// An acquirer shares the mutex from before it checks until the record is written.
    AcquirerSharesMutex,
    /// A collector shares the mutex from before it checks until the name is gone.
    CollectorSharesMutex,
}

/// What a breaker does who does not replace the file in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead {
    Unlink,
    /// Renames it aside, then puts the new one where it was, unless there is one already.
    RenameAside,
}

impl Rule {
    pub(crate) const ALL: [Self; 9] = [
        Self::ContenderCompares,
        Self::HolderWatchesClock,
        Self::BreakerLocksMutex,
        Self::BreakerLooksAgain,
        Self::BreakerReplaces(Instead::Unlink),
        Self::BreakerReplaces(Instead::RenameAside),
        Self::AcquirerChecksIdentity,
        Self::AcquirerSharesMutex,
        Self::CollectorSharesMutex,
    ];
}

/// Where a process stands, how often it will begin again, and what it saw of a lock it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    at: At,
    rounds: u8,
    seen: Seen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Seen {
    Nothing,
    Content(Option<Record>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Start,
    Opened,
    Locked,
    Checked,
    Holding(Record),
    Renewing(Record),
    /// With what was judged, here and below.
    Expired(Option<Record>),
    Breaking(Option<Record>),
    LookedAgain(Option<Record>),
    MovedAside(Option<Record>),
    Done,
}

impl Protocol for Lease {
    type State = State;

    fn begin(&self, me: Pid) -> State {
        let rounds = if me < self.first_once { 2 } else { 1 };
        State { at: At::Start, rounds, seen: Seen::Nothing }
    }

    fn holds(&self, state: &State) -> bool {
        matches!(state.at, At::Holding(_) | At::Renewing(_))
    }

    fn step(&self, kernel: &mut Kernel, me: Pid, state: &mut State) -> Option<&'static str> {
        if state.rounds == 0 {
            return None;
        }
        let (next, step) = match state.at {
            at if me >= self.first_collector => self.collect(kernel, me, at),
            at @ (At::Expired(_) | At::Breaking(_) | At::LookedAgain(_) | At::MovedAside(_)) => {
                self.depose(kernel, me, at)
            }
            at @ (At::Holding(_) | At::Renewing(_)) => hold(kernel, me, at),
            at => self.acquire(kernel, me, at, &mut state.seen),
        };
        state.at = next;
        if next == At::Done {
            *state = State { at: At::Start, rounds: state.rounds - 1, seen: Seen::Nothing };
        }
        Some(step)
    }

    /// What is in no file, and in nobody's hands to put it there, is never seen again.
    fn forget(&self, kernel: &Kernel, states: &mut [State]) {
        let in_hand: Vec<_> = states.iter().map(|state| state.at.judged()).collect();
        for state in states {
            let gone = matches!(state.seen, Seen::Content(content @ Some(_))
                if !kernel.can_be_read(content) && !in_hand.contains(&state.seen));
            if gone || kernel.leases == 0 {
                state.seen = Seen::Nothing;
            }
        }
    }
}

impl At {
    fn judged(self) -> Seen {
        match self {
            Self::Expired(judged)
            | Self::Breaking(judged)
            | Self::LookedAgain(judged)
            | Self::MovedAside(judged) => Seen::Content(judged),
            _ => Seen::Nothing,
        }
    }
}

impl Lease {
    fn follows(self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    fn acquire(self, kernel: &mut Kernel, me: Pid, at: At, seen: &mut Seen) -> (At, &'static str) {
        match at {
            At::Start => {
                kernel.open(me, true);
                (At::Opened, "open")
            }
            At::Opened if kernel.try_lock(me) => (At::Locked, "lock"),
            At::Opened => self.judge(kernel, me, seen),
            At::Locked if self.follows(Rule::AcquirerSharesMutex) && !kernel.try_share(me) => {
                leave(kernel, me, "mutex refused, close")
            }
            At::Locked
                if self.follows(Rule::AcquirerChecksIdentity) && !kernel.path_is_mine(me) =>
            {
                leave(kernel, me, "it has no name, close")
            }
            At::Locked => (At::Checked, "share the mutex, look at the path"),
            _ => {
                *seen = Seen::Nothing;
                let before = kernel.read(me).map_or(kernel.floor(), |record| record.token);
                let record = Record::held(me, kernel.grant(me, before));
                kernel.write(me, Some(record));
                kernel.leave_mutex(me);
                (At::Holding(record), "read, write the record, unlock the mutex")
            }
        }
    }

    /// Remembers what there is to see, or finds that nothing of it changed for a whole lease.
    fn judge(self, kernel: &mut Kernel, me: Pid, seen: &mut Seen) -> (At, &'static str) {
        let content = kernel.read(me);
        let unchanged = *seen == Seen::Content(content);
        let compares = self.follows(Rule::ContenderCompares);
        let expired = unchanged || (!compares && *seen != Seen::Nothing);
        if expired && kernel.leases > 0 {
            kernel.leases -= 1;
            // Who renewed since is in time.
            if let Some(Record { by, token, .. }) = content
                && unchanged
                && self.follows(Rule::HolderWatchesClock)
            {
                kernel.end_lease(by, token);
            }
            return (At::Expired(content), "lock refused, and nothing changed for a whole lease");
        }
        *seen = Seen::Content(content);
        kernel.close(me);
        (At::Start, "lock refused, remember the record, close")
    }

    fn depose(self, kernel: &mut Kernel, me: Pid, at: At) -> (At, &'static str) {
        match at {
            At::Expired(_) if self.follows(Rule::BreakerLocksMutex) && !kernel.try_break(me) => {
                leave(kernel, me, "breaker: mutex refused, close")
            }
            At::Expired(judged) => (At::Breaking(judged), "breaker: lock the mutex"),
            At::Breaking(judged) if !self.follows(Rule::BreakerLooksAgain) => {
                (At::LookedAgain(judged), "breaker: go on")
            }
            At::Breaking(judged) => {
                let same = kernel.open(me, false) && kernel.read(me) == judged;
                if same && !kernel.try_lock(me) {
                    (At::LookedAgain(judged), "breaker: look again")
                } else {
                    leave(kernel, me, "breaker: it is free or another one, leave")
                }
            }
            At::LookedAgain(judged) => match self.without {
                Some(Rule::BreakerReplaces(Instead::Unlink)) => {
                    kernel.unlink();
                    leave(kernel, me, "breaker: unlink, leave")
                }
                Some(Rule::BreakerReplaces(Instead::RenameAside)) => {
                    kernel.unlink();
                    (At::MovedAside(judged), "breaker: rename aside")
                }
                _ => {
                    kernel.replace(judged);
                    leave(kernel, me, "breaker: rename a copy over it, leave")
                }
            },
            At::MovedAside(judged) if !kernel.path_is_taken() => {
                kernel.replace(judged);
                leave(kernel, me, "breaker: rename a copy there, leave")
            }
            _ => leave(kernel, me, "breaker: there is another file, leave"),
        }
    }

    /// Removes the file if nobody holds its lock, as if it were always old enough.
    fn collect(self, kernel: &mut Kernel, me: Pid, at: At) -> (At, &'static str) {
        let done = |kernel: &mut Kernel, step| (At::Done, leave(kernel, me, step).1);
        match at {
            At::Start if kernel.open(me, false) => (At::Opened, "collector: open"),
            At::Start => (At::Done, "collector: there is no file"),
            At::Opened if kernel.try_lock(me) => (At::Locked, "collector: lock"),
            At::Opened => done(kernel, "collector: lock refused, close"),
            At::Locked if self.follows(Rule::CollectorSharesMutex) && !kernel.try_share(me) => {
                done(kernel, "collector: mutex refused, close")
            }
            At::Locked if !kernel.path_is_mine(me) => {
                done(kernel, "collector: it has no name, close")
            }
            At::Locked => {
                let token = kernel.read(me).map_or(0, |record| record.token);
                kernel.raise_floor(token);
                (At::Checked, "collector: share the mutex, look at the path, note the token")
            }
            _ => {
                kernel.unlink();
                done(kernel, "collector: unlink, leave")
            }
        }
    }
}

/// Every other process renews its lease once, and all release it. Who sees that it is over stops.
fn hold(kernel: &mut Kernel, me: Pid, at: At) -> (At, &'static str) {
    match at {
        At::Renewing(record) => {
            let record = Record { renewals: record.renewals + 1, ..record };
            kernel.write(me, Some(record));
            (At::Holding(record), "renew")
        }
        At::Holding(record)
            if me.is_multiple_of(2) && record.renewals == 0 && !kernel.is_overdue(me) =>
        {
            (At::Renewing(record), "the lease is not over")
        }
        At::Holding(record) => {
            kernel.write(me, Some(record.released()));
            kernel.give_up(me);
            kernel.close(me);
            (At::Done, "mark as free, unlock, close")
        }
        _ => unreachable!("it does not hold"),
    }
}

/// Unlocks and closes everything, and begins again.
fn leave(kernel: &mut Kernel, me: Pid, step: &'static str) -> (At, &'static str) {
    kernel.leave_mutex(me);
    kernel.close(me);
    (At::Start, step)
}
