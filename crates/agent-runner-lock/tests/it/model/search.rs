//! Every interleaving of a protocol's steps, breadth first.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher},
};

use super::kernel::{Kernel, MOST, Pid};

/// What one process does, a system call at a time.
pub(crate) trait Protocol {
    /// Where a process stands between two steps.
    type State: Copy + Debug + Eq + Hash;

    /// Where process `me` begins.
    fn begin(&self, me: Pid) -> Self::State;

    /// Does the next step and names it; `None` if there is nothing left to do.
    fn step(&self, kernel: &mut Kernel, me: Pid, state: &mut Self::State) -> Option<&'static str>;

    /// Whether the process believes that it holds the lock.
    fn holds(&self, state: &Self::State) -> bool;

    /// Forgets what can make no difference any more, so that fewer worlds are different.
    fn forget(&self, _kernel: &Kernel, _states: &mut [Self::State]) {}
}

/// How many processes there are, and what may befall them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) processes: Pid,
    /// How many SIGKILLs, each between any two steps.
    pub(crate) kills: u8,
    /// How often a contender finds that a whole lease has passed.
    pub(crate) leases: u8,
    /// How many holders are so slow that their timeout passes.
    pub(crate) overdue: u8,
    /// Whether an overdue holder may overlap with others.
    pub(crate) excuse_overdue: bool,
    /// How often the wall clock is set back.
    pub(crate) clock_set_back: u8,
}

impl Limits {
    pub(crate) const fn processes(processes: Pid) -> Self {
        Self {
            processes,
            kills: 0,
            leases: 0,
            overdue: 0,
            excuse_overdue: false,
            clock_set_back: 0,
        }
    }
}

/// What a search found.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How many different worlds there are, as far as it looked.
    pub(crate) worlds: usize,
    /// The shortest way to two holders at once, or to a token that is not higher.
    pub(crate) trace: Option<Vec<String>>,
}

impl Outcome {
    /// A search that sees few worlds proves little: it must be as wide as it was.
    pub(crate) fn assert_holds(&self, at_least: usize) {
        if let Some(trace) = &self.trace {
            panic!("the invariant is broken:\n{}", trace.join("\n"));
        }
        assert!(self.worlds >= at_least, "only {} worlds were seen", self.worlds);
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct World<S> {
    kernel: Kernel,
    states: [S; MOST],
    kills: u8,
    overdue: u8,
    clock_set_back: u8,
}

/// One thing that happens.
#[derive(Clone, Copy)]
enum Event {
    Step(Pid, &'static str),
    Killed(Pid),
    TimedOut(Pid),
    ClockSetBack,
}

/// Looks at all worlds that can come about, nearest first, until the invariant is broken.
pub(crate) fn search<P: Protocol>(protocol: &P, limits: Limits) -> Outcome {
    assert!(usize::from(limits.processes) <= MOST, "there is no room for so many");
    let first = World {
        kernel: Kernel::new(limits.leases),
        states: std::array::from_fn(|me| protocol.begin(Pid::try_from(me).expect("there are few"))),
        kills: limits.kills,
        overdue: limits.overdue,
        clock_set_back: limits.clock_set_back,
    };
    // Each world, where it came from, and how; and where to find it by its hash.
    let mut worlds = vec![(first, 0, Event::ClockSetBack)];
    let mut seen = HashMap::from([(hash(&first), 0)]);
    let mut at = 0;
    while at < worlds.len() {
        for (event, world) in successors(protocol, limits, &worlds[at].0) {
            let mut place = hash(&world);
            while seen.get(&place).is_some_and(|other: &usize| worlds[*other].0 != world) {
                place = place.wrapping_add(1);
            }
            if seen.contains_key(&place) {
                continue;
            }
            seen.insert(place, worlds.len());
            worlds.push((world, at, event));
            if is_broken(protocol, limits, &world) {
                return Outcome { worlds: worlds.len(), trace: Some(trace(&worlds)) };
            }
        }
        at += 1;
    }
    Outcome { worlds: worlds.len(), trace: None }
}

/// All that can happen next.
fn successors<P: Protocol>(
    protocol: &P,
    limits: Limits,
    world: &World<P::State>,
) -> Vec<(Event, World<P::State>)> {
    let mut next = Vec::new();
    let mut add = |event: Event, mut world: World<P::State>| {
        for me in (0..limits.processes).filter(|me| !world.kernel.is_alive(*me)) {
            // Where a dead process stood makes no difference.
            world.states[usize::from(me)] = protocol.begin(me);
        }
        protocol.forget(&world.kernel, &mut world.states[..usize::from(limits.processes)]);
        world.kernel.tidy();
        next.push((event, world));
    };
    for me in (0..limits.processes).filter(|me| world.kernel.is_alive(*me)) {
        let mut stepped = *world;
        if let Some(step) =
            protocol.step(&mut stepped.kernel, me, &mut stepped.states[usize::from(me)])
        {
            add(Event::Step(me, step), stepped);
        }
        if world.kills > 0 {
            let mut killed = *world;
            killed.kernel.kill(me);
            killed.kills -= 1;
            add(Event::Killed(me), killed);
        }
        if world.overdue > 0
            && protocol.holds(&world.states[usize::from(me)])
            && !world.kernel.is_overdue(me)
        {
            let mut late = *world;
            late.kernel.let_time_out(me);
            late.overdue -= 1;
            add(Event::TimedOut(me), late);
        }
    }
    if world.clock_set_back > 0 && world.kernel.clock() > 0 {
        let mut set_back = *world;
        set_back.kernel.set_clock_back();
        set_back.clock_set_back -= 1;
        add(Event::ClockSetBack, set_back);
    }
    next
}

fn is_broken<P: Protocol>(protocol: &P, limits: Limits, world: &World<P::State>) -> bool {
    let holders = (0..limits.processes).filter(|&me| {
        world.kernel.is_alive(me)
            && protocol.holds(&world.states[usize::from(me)])
            && !(limits.excuse_overdue && world.kernel.is_overdue(me))
    });
    holders.count() > 1 || world.kernel.token_fell()
}

/// The steps to the last world.
fn trace<W>(worlds: &[(W, usize, Event)]) -> Vec<String> {
    let mut steps = Vec::new();
    let mut at = worlds.len() - 1;
    while at != 0 {
        let (_, before, event) = &worlds[at];
        steps.push(match *event {
            Event::Step(me, step) => format!("{}: {step}", name(me)),
            Event::Killed(me) => format!("{} is killed", name(me)),
            Event::TimedOut(me) => format!("{}'s timeout passes", name(me)),
            Event::ClockSetBack => "the clock is set back".to_owned(),
        });
        at = *before;
    }
    steps.reverse();
    steps
}

fn name(me: Pid) -> char {
    char::from(b'A' + me)
}

fn hash(world: &impl Hash) -> u64 {
    BuildHasherDefault::<Fold>::default().hash_one(world)
}

/// Rotate, xor, multiply (the step of Firefox's hash): a search spends most of its time on hashes.
#[derive(Default)]
struct Fold(u64);

impl Fold {
    fn fold(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        bytes.chunks(8).for_each(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        });
    }

    fn write_u8(&mut self, byte: u8) {
        self.fold(byte.into());
    }

    fn write_isize(&mut self, discriminant: isize) {
        self.fold(discriminant.cast_unsigned() as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
