//! What happens in a run: acts of jobs, recoveries, and what comes from outside.

use agent_runner_pool::{HealthPolicy, Recovered};
use proptest::{collection::vec, prelude::*};

/// What a job does in one attempt, after some milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Succeed,
    Fail,
    Panic,
    /// Ignores that it should stop.
    Hang,
    /// Hangs until it is told to stop, and then fails.
    Obey,
    /// Gets done when it is told to stop.
    SucceedLate,
    BreakWorker,
    Limit,
}

/// What comes from outside, after some milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    Workers(usize),
    Stop,
    Cancel,
    AbortAfter(u64),
    Push,
}

#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// A list of attempts for each job; when it ends, the job succeeds.
    pub(crate) jobs: Vec<Vec<(Act, u64)>>,
    pub(crate) workers: usize,
    pub(crate) recoveries: Vec<Option<Recovered>>,
    pub(crate) ops: Vec<(u64, Op)>,
    pub(crate) policy: HealthPolicy,
    /// How long the reader takes over an event; `None` reads nothing and joins.
    pub(crate) reader: Option<u64>,
    pub(crate) buffer: usize,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Succeed),
        1 => Just(Act::Fail),
        1 => Just(Act::Panic),
        1 => Just(Act::Hang),
        1 => Just(Act::Obey),
        1 => Just(Act::SucceedLate),
        5 => Just(Act::BreakWorker),
        2 => Just(Act::Limit),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..5_usize).prop_map(Op::Workers),
        3 => Just(Op::Push),
        1 => Just(Op::Stop),
        1 => Just(Op::Cancel),
        1 => (0..3000_u64).prop_map(Op::AbortAfter),
    ]
}

pub(crate) fn script() -> impl Strategy<Value = Script> {
    let recovery = prop_oneof![
        2 => Just(Some(Recovered::Yes)),
        1 => Just(Some(Recovered::No)),
        1 => Just(None),
    ];
    let policy =
        (1..4_u32, 0..4_u32).prop_map(|(max_consecutive_failures, max_recovery_attempts)| {
            HealthPolicy { max_consecutive_failures, max_recovery_attempts }
        });
    let jobs = vec(vec((act(), 0..3000_u64), 0..5), 0..12);
    let ops = vec((0..8000_u64, op()), 0..6);
    let reader = prop_oneof![Just(Some(0)), (1..500_u64).prop_map(Some), Just(None)];
    (jobs, 1..5_usize, vec(recovery, 0..8), ops, policy, reader, 1..4_usize).prop_map(
        |(jobs, workers, recoveries, ops, policy, reader, buffer)| Script {
            jobs,
            workers,
            recoveries,
            ops,
            policy,
            reader,
            buffer,
        },
    )
}

impl Script {
    pub(crate) fn act(&self, job: usize, attempt: u32) -> (Act, u64) {
        let acts = self.jobs.get(job).map_or(&[][..], Vec::as_slice);
        acts.get(attempt as usize - 1).copied().unwrap_or((Act::Succeed, 10))
    }
}
