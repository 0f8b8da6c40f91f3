//! How soon it could be done at best.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use super::{Job, Scenario, provider::Provider};

/// How long somebody would take for the first request of each job who knows everything in advance:
/// what is left of each limit, when the outages are, which key dies when, and how large each
/// request is. They are made in their order, each as soon as any key can take it; chance refuses
/// none.
///
/// It is the best that is known, not a proof: a schedule can be a little better.
pub fn optimum(scenario: &Scenario, jobs: &[Job], workers: usize) -> Duration {
    let sure = Scenario { overloaded: 0.0, ..scenario.clone() };
    let mut provider = Provider::new(&sure);
    let mut free: BinaryHeap<_> = (0..workers).map(|_| Reverse(scenario.network)).collect();
    // Output counts when it is done, and others may have begun before that.
    let mut outputs: BinaryHeap<Reverse<(Duration, usize, u64)>> = BinaryHeap::new();
    let (mut now, mut end) = (Duration::ZERO, Duration::ZERO);
    for (job, turns) in jobs.iter().enumerate() {
        let (turn, Some(Reverse(start))) = (turns.turns[0], free.pop()) else { break };
        now = now.max(start);
        let key = loop {
            let Some((at, key)) = provider.soonest(now, job, &turn) else { return end };
            match outputs.peek() {
                Some(Reverse((done, ..))) if *done <= at => {
                    let Some(Reverse((done, key, tokens))) = outputs.pop() else { break key };
                    provider.output(done, key, tokens);
                }
                _ => {
                    now = at;
                    break key;
                }
            }
        };
        let reply = provider.take(now, key, job, &turn);
        let done = now + reply.takes;
        outputs.push(Reverse((done, key, turn.output)));
        let back = done + scenario.network;
        end = end.max(back);
        free.push(Reverse(back + scenario.network));
    }
    end
}
