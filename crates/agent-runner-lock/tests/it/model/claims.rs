//! The protocol of claims, of which any one rule can be left out, under every order of steps and
//! kills. It has a kernel of its own: many files, whose names are numbers, and one mutex.

use std::collections::HashSet;

/// A process, by its number.
type Pid = usize;

/// How many processes there are, and how many names at most.
const PROCESSES: usize = 4;
const NAMES: usize = 8;

/// What makes the protocol safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Who looks at the claims in order to add one has the mutex.
    TakesMutex,
    /// It had the mutex before it began to look.
    LooksUnderMutex,
    /// It locks its file before it gives up the mutex.
    LocksUnderMutex,
    /// A locked file that cannot be read is in everybody's way.
    UnreadableIsInTheWay,
    /// No name is used twice.
    NamesAreNew,
}

/// Whether two processes want the same: A wants one thing, B both, C and D share the other.
fn conflict(one: Pid, other: Pid) -> bool {
    const THINGS: [u8; PROCESSES] = [0b01, 0b11, 0b10, 0b10];
    let both_share = one >= 2 && other >= 2;
    THINGS[one] & THINGS[other] != 0 && !both_share
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    mutex: Option<Pid>,
    /// The number used last, which the mutex's file remembers.
    counter: u8,
    files: [Option<File>; NAMES],
    processes: [Process; PROCESSES],
    kills: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct File {
    /// Whose record it has, once that is whole.
    by: Pid,
    readable: bool,
    lock: Option<Pid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Process {
    at: At,
    rounds: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Start,
    /// With the mutex.
    Ready,
    /// With the names that are still to be looked at.
    Looking(u8),
    /// With the lock of a file that nobody had locked.
    Probing(u8, usize),
    Unprobed(u8, usize),
    InTheWay,
    Clear,
    Named(usize),
    Created(usize),
    Locked(usize),
    Written(usize),
    /// Without the mutex, nor yet a lock.
    Late(usize),
    Holding(usize),
    Noting(usize),
    Noted(usize),
    Unlocked(usize),
    Dead,
}

impl World {
    fn new(kills: u8) -> Self {
        // Two processes work twice, so that they also meet what they left themselves.
        let process = |me| Process { at: At::Start, rounds: if me < 2 { 2 } else { 1 } };
        let processes = std::array::from_fn(process);
        Self { mutex: None, counter: 0, files: [None; NAMES], processes, kills }
    }

    fn holds(&self, me: Pid) -> bool {
        matches!(self.processes[me].at, At::Holding(_) | At::Noting(_) | At::Noted(_))
    }

    /// Two who hold at once.
    fn pairs(&self) -> impl Iterator<Item = (Pid, Pid)> {
        let holders = (0..PROCESSES).filter(|me| self.holds(*me));
        holders
            .clone()
            .flat_map(move |one| holders.clone().map(move |two| (one, two)))
            .filter(|(one, two)| one < two)
    }

    fn lock(&mut self, name: usize, me: Pid) {
        if let Some(file) = &mut self.files[name] {
            file.lock = Some(me);
        }
    }

    fn unlock(&mut self, name: usize, me: Pid) {
        if let Some(file) = self.files[name].as_mut().filter(|file| file.lock == Some(me)) {
            file.lock = None;
        }
    }

    fn write(&mut self, name: usize, me: Pid, readable: bool) {
        if let Some(file) = self.files[name].as_mut().filter(|file| file.by == me) {
            file.readable = readable;
        }
    }

    fn kill(&mut self, me: Pid) {
        self.kills -= 1;
        if self.mutex == Some(me) {
            self.mutex = None;
        }
        (0..NAMES).for_each(|name| self.unlock(name, me));
        self.processes[me] = Process { at: At::Dead, rounds: 0 };
    }

    /// Does the next step of a process and names it; `None` if there is none to do now.
    fn step(&mut self, me: Pid, without: Option<Rule>) -> Option<&'static str> {
        if self.processes[me].rounds == 0 {
            return None;
        }
        let follows = |rule| without != Some(rule);
        let (next, step) = match self.processes[me].at {
            At::Start if !follows(Rule::TakesMutex) => (At::Ready, "take no mutex"),
            At::Start if !follows(Rule::LooksUnderMutex) => (At::Ready, "take the mutex later"),
            At::Start => (At::Ready, self.take_mutex(me)?),
            At::Ready => {
                let names =
                    self.files.iter().rev().fold(0, |n, file| n << 1 | u8::from(file.is_some()));
                (At::Looking(names), "list the names")
            }
            At::Looking(0) if !follows(Rule::LooksUnderMutex) => (At::Clear, self.take_mutex(me)?),
            At::Looking(0) => (At::Clear, "nobody is in the way"),
            At::Looking(names) => self.look(me, names, follows(Rule::UnreadableIsInTheWay)),
            At::Probing(names, name) => {
                self.unlock(name, me);
                (At::Unprobed(names, name), "unlock the dead one's file")
            }
            At::Unprobed(names, name) => {
                self.files[name] = None;
                (At::Looking(names), "unlink the dead one's file")
            }
            At::InTheWay => (At::Start, self.leave_mutex(me)),
            At::Clear if follows(Rule::NamesAreNew) => {
                self.counter += 1;
                (At::Named(usize::from(self.counter)), "count up")
            }
            At::Clear => {
                let free = self.files.iter().position(Option::is_none);
                (At::Named(free.expect("there are names enough")), "take a free name")
            }
            At::Named(name) => {
                self.files[name] = Some(File { by: me, readable: false, lock: None });
                (At::Created(name), "make the file")
            }
            At::Created(name) if follows(Rule::LocksUnderMutex) => {
                self.lock(name, me);
                (At::Locked(name), "lock the file")
            }
            At::Created(name) | At::Locked(name) => {
                self.write(name, me, true);
                (At::Written(name), "write the record")
            }
            At::Written(name) if follows(Rule::LocksUnderMutex) => {
                (At::Holding(name), self.leave_mutex(me))
            }
            At::Written(name) => (At::Late(name), self.leave_mutex(me)),
            At::Late(name) => {
                self.lock(name, me);
                (At::Holding(name), "lock the file")
            }
            At::Holding(name) if me == 0 => {
                self.write(name, me, false);
                (At::Noting(name), "write half a note")
            }
            At::Noting(name) => {
                self.write(name, me, true);
                (At::Noted(name), "write the rest of the note")
            }
            At::Holding(name) | At::Noted(name) => {
                self.unlock(name, me);
                (At::Unlocked(name), "unlock")
            }
            At::Unlocked(name) => {
                self.files[name] = None;
                self.processes[me].rounds -= 1;
                (At::Start, "unlink")
            }
            At::Dead => return None,
        };
        self.processes[me].at = next;
        Some(step)
    }

    fn take_mutex(&mut self, me: Pid) -> Option<&'static str> {
        self.mutex.is_none().then(|| self.mutex = Some(me))?;
        Some("take the mutex")
    }

    fn leave_mutex(&mut self, me: Pid) -> &'static str {
        if self.mutex == Some(me) {
            self.mutex = None;
        }
        "leave the mutex"
    }

    /// Looks at the first of some names.
    fn look(&mut self, me: Pid, names: u8, unreadable_is_in_the_way: bool) -> (At, &'static str) {
        let name = names.trailing_zeros() as usize;
        let rest = names & (names - 1);
        match self.files[name] {
            None => (At::Looking(rest), "it is gone"),
            Some(File { lock: None, .. }) => {
                self.lock(name, me);
                (At::Probing(rest, name), "lock a dead one's file")
            }
            Some(file) => {
                let in_the_way =
                    if file.readable { conflict(me, file.by) } else { unreadable_is_in_the_way };
                let next = if in_the_way { At::InTheWay } else { At::Looking(rest) };
                (next, "lock refused, read")
            }
        }
    }
}

/// What a search found.
struct Found {
    worlds: usize,
    /// The shortest way to two holders in conflict.
    trace: Option<Vec<String>>,
    /// Whether two ever held at once who may.
    together: bool,
}

/// Looks at all worlds that can come about, nearest first, until two holders are in conflict.
fn search(kills: u8, without: Option<Rule>) -> Found {
    let first = World::new(kills);
    let mut seen = HashSet::from([first]);
    // Each world, where it came from, and by which step.
    let mut worlds = vec![(first, 0, String::new())];
    let mut together = false;
    let mut at = 0;
    while at < worlds.len() {
        let world = worlds[at].0;
        for me in 0..PROCESSES {
            let name = char::from(b"ABCD"[me]);
            let mut stepped = world;
            let step = stepped.step(me, without).map(|step| (format!("{name}: {step}"), stepped));
            let mut killed = world;
            let may_die = world.kills > 0 && world.processes[me].rounds > 0;
            let kill = may_die.then(|| {
                killed.kill(me);
                (format!("{name} is killed"), killed)
            });
            for (step, next) in step.into_iter().chain(kill) {
                if !seen.insert(next) {
                    continue;
                }
                worlds.push((next, at, step));
                together |= next.pairs().next().is_some();
                if next.pairs().any(|(one, other)| conflict(one, other)) {
                    let trace = Some(trace(&worlds));
                    return Found { worlds: worlds.len(), trace, together };
                }
            }
        }
        at += 1;
    }
    Found { worlds: worlds.len(), trace: None, together }
}

/// The steps to the last world.
fn trace(worlds: &[(World, usize, String)]) -> Vec<String> {
    let mut steps = Vec::new();
    let mut at = worlds.len() - 1;
    while at != 0 {
        steps.push(worlds[at].2.clone());
        at = worlds[at].1;
    }
    steps.reverse();
    steps
}

#[test]
fn claims_hold_for_four_processes_and_a_kill() {
    let found = search(1, None);
    assert_eq!(found.trace, None);
    assert!(found.worlds >= 150_000, "only {} worlds were seen", found.worlds);
    assert!(found.together, "those who share must meet");
}

/// Each rule of the protocol is needed: without it the same search finds it guilty.
#[test]
fn no_rule_of_claims_can_be_left_out() {
    for (rule, steps) in [
        (Rule::TakesMutex, 16),
        (Rule::LooksUnderMutex, 16),
        (Rule::LocksUnderMutex, 19),
        (Rule::UnreadableIsInTheWay, 18),
        (Rule::NamesAreNew, 29),
    ] {
        let trace = search(0, Some(rule)).trace.unwrap_or_else(|| panic!("nobody misses {rule:?}"));
        assert_eq!(trace.len(), steps, "the shortest trace has changed:\n{}", trace.join("\n"));
    }
}
