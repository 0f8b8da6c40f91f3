//! Every interleaving of a protocol's steps, breadth first.

use std::{collections::HashMap, fmt::Debug, hash::Hash};

use super::kernel::{Kernel, Pid};

/// What one process does, a system call at a time.
pub(crate) trait Protocol {
    /// Where a process stands between two steps.
    type State: Clone + Debug + Eq + Hash;

    /// Where process `me` begins.
    fn begin(&self, me: Pid) -> Self::State;

    /// Does the next step and names it; `None` if there is nothing left to do.
    fn step(&self, kernel: &mut Kernel, me: Pid, state: &mut Self::State) -> Option<&'static str>;

    /// Whether the process believes that it holds the lock.
    fn holds(&self, state: &Self::State) -> bool;
}

/// How many processes there are, and what may befall them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) processes: usize,
    /// How many SIGKILLs, each between any two steps.
    pub(crate) kills: u8,
    /// How many holders are so slow that their timeout passes.
    pub(crate) overdue: u8,
    /// Whether an overdue holder may overlap with others.
    pub(crate) excuse_overdue: bool,
    /// How often the wall clock is set back.
    pub(crate) clock_set_back: u8,
}

impl Limits {
    pub(crate) const fn processes(processes: usize) -> Self {
        Self { processes, kills: 0, overdue: 0, excuse_overdue: false, clock_set_back: 0 }
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

#[derive(Clone, PartialEq, Eq, Hash)]
struct World<S> {
    kernel: Kernel,
    states: Vec<S>,
    kills: u8,
    overdue: u8,
    clock_set_back: u8,
}

/// Looks at all worlds that can come about, nearest first, until the invariant is broken.
pub(crate) fn search<P: Protocol>(protocol: &P, limits: Limits) -> Outcome {
    let first = World {
        kernel: Kernel::new(limits.processes),
        states: (0..limits.processes).map(|me| protocol.begin(me)).collect(),
        kills: limits.kills,
        overdue: limits.overdue,
        clock_set_back: limits.clock_set_back,
    };
    let mut seen = HashMap::from([(first.clone(), 0)]);
    // Each world, where it came from, and by which step.
    let mut worlds = vec![(first, 0, String::new())];
    let mut at = 0;
    while at < worlds.len() {
        for (step, world) in successors(protocol, &worlds[at].0) {
            if seen.contains_key(&world) {
                continue;
            }
            let broken = is_broken(protocol, &world, limits.excuse_overdue);
            seen.insert(world.clone(), worlds.len());
            worlds.push((world, at, step));
            if broken {
                let trace = trace(&worlds);
                return Outcome { worlds: worlds.len(), trace: Some(trace) };
            }
        }
        at += 1;
    }
    Outcome { worlds: worlds.len(), trace: None }
}

/// All that can happen next.
fn successors<P: Protocol>(
    protocol: &P,
    world: &World<P::State>,
) -> Vec<(String, World<P::State>)> {
    let mut next = Vec::new();
    let mut add = |step: String, mut world: World<P::State>| {
        world.kernel.tidy();
        next.push((step, world));
    };
    for me in (0..world.states.len()).filter(|me| world.kernel.is_alive(*me)) {
        let mut stepped = world.clone();
        if let Some(step) = protocol.step(&mut stepped.kernel, me, &mut stepped.states[me]) {
            add(format!("{}: {step}", name(me)), stepped);
        }
        if world.kills > 0 {
            let mut killed = world.clone();
            killed.kernel.kill(me);
            // Where a dead process stood makes no difference.
            killed.states[me] = protocol.begin(me);
            killed.kills -= 1;
            add(format!("{} is killed", name(me)), killed);
        }
        if world.overdue > 0 && protocol.holds(&world.states[me]) && !world.kernel.is_overdue(me) {
            let mut late = world.clone();
            late.kernel.let_time_out(me);
            late.overdue -= 1;
            add(format!("{}'s timeout passes", name(me)), late);
        }
    }
    if world.clock_set_back > 0 && world.kernel.clock() > 0 {
        let mut set_back = world.clone();
        set_back.kernel.set_clock_back();
        set_back.clock_set_back -= 1;
        add("the clock is set back".to_owned(), set_back);
    }
    next
}

fn is_broken<P: Protocol>(protocol: &P, world: &World<P::State>, excuse_overdue: bool) -> bool {
    let holders = (0..world.states.len()).filter(|&me| {
        world.kernel.is_alive(me)
            && protocol.holds(&world.states[me])
            && !(excuse_overdue && world.kernel.is_overdue(me))
    });
    holders.count() > 1 || world.kernel.token_fell()
}

/// The steps to the last world.
fn trace<W>(worlds: &[(W, usize, String)]) -> Vec<String> {
    let mut steps = Vec::new();
    let mut at = worlds.len() - 1;
    while at != 0 {
        let (_, before, step) = &worlds[at];
        steps.push(step.clone());
        at = *before;
    }
    steps.reverse();
    steps
}

fn name(me: Pid) -> char {
    char::from(b'A' + u8::try_from(me).expect("there are few processes"))
}
