//! A limit group: the keys of one account, for one model. They share its limits.

use std::time::Duration;

use super::{
    bucket::{Bounds, Bucket},
    clock::Moment,
    pace::Pace,
    ramp::Ramp,
    standing::{Standing, Term},
};
use crate::{
    Kind, Rejection, Usage,
    limits::{DIMENSIONS, Dimension, Limits},
};

/// How many calls a group of which nothing is known yet gets at once.
const UNKNOWN: u32 = 8;
/// After so many refusals in a row that named no time it is no matter of seconds.
const PATIENCE: u32 = 5;
const MINUTE: Duration = Duration::from_secs(60);

/// What a call takes from each bucket.
pub(super) type Cost = [f64; DIMENSIONS];

#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) model: usize,
    pub(super) standing: Standing,
    buckets: [Option<Bucket>; DIMENSIONS],
    /// What is done while there is no bucket.
    pace: Pace,
    ramp: Ramp,
    /// What the calls that are under way were expected to take.
    under_way: Cost,
    pub(super) calls: u32,
    pub(super) processes: u32,
    /// Whether it was ever used.
    pub(super) is_used: bool,
    /// Whether a call was answered.
    pub(super) is_known: bool,
    /// What outputs came to lately.
    output: f64,
}

/// What is remembered of a call until its end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    pub(super) cost: Cost,
    /// What the server had after it was taken, where the limit was known.
    bounds: [Option<Bounds>; DIMENSIONS],
}

impl Group {
    pub(super) fn new(model: usize) -> Self {
        Self { model, ..Self::default() }
    }

    /// What a call will take, as far as one can tell.
    pub(super) fn cost(&self, input: u64, output: u64) -> Cost {
        let (input, output) = (float(input), if output == 0 { self.output } else { float(output) });
        cost_of(input, output)
    }

    /// The part that would be left of the scarcest limit, if a call can be made now; else when.
    pub(super) fn room(&self, cost: &Cost, now: Moment) -> Result<f64, Moment> {
        if !self.is_known {
            // An answer comes when it comes; until then there is nothing to wait for.
            return if self.calls < UNKNOWN { Ok(1.0) } else { Err(Moment::MAX) };
        }
        let seconds = now.as_secs_f64();
        let (mut room, mut wait) = (1.0_f64, 0.0_f64);
        for (bucket, cost) in self.buckets.iter().zip(cost) {
            if let Some(bucket) = bucket {
                room = room.min(bucket.room(*cost, seconds));
                wait = wait.max(bucket.wait(*cost, seconds));
            }
        }
        if !self.has_buckets() {
            wait = self.pace.wait(self.calls, seconds).ok_or(Moment::MAX)?;
        }
        wait = wait.max(self.ramp.wait(seconds));
        if wait > 0.0 { Err(later(now, wait)) } else { Ok(room) }
    }

    pub(super) fn take(&mut self, kind: Kind, cost: Cost, now: Moment) -> Taken {
        self.is_used = true;
        if kind == Kind::Process {
            self.processes += 1;
            return Taken::default();
        }
        self.calls += 1;
        self.pace.take(now.as_secs_f64());
        self.ramp.take(now.as_secs_f64());
        let mut bounds = [None; DIMENSIONS];
        for (index, cost) in cost.iter().enumerate() {
            self.under_way[index] += cost;
            if let Some(bucket) = &mut self.buckets[index] {
                bounds[index] = Some(bucket.take(*cost, is_late(index), now.as_secs_f64()));
            }
        }
        Taken { cost, bounds }
    }

    /// Follows the limits that an answer tells of.
    pub(super) fn follow(&mut self, taken: &Taken, limits: &Limits, is_refused: bool, now: Moment) {
        let seconds = now.as_secs_f64();
        for (index, limit) in limits.each.iter().enumerate() {
            let Some(limit) = limit else { continue };
            match &mut self.buckets[index] {
                Some(bucket) => {
                    let refused = is_refused.then_some(taken.cost[index]);
                    let then = taken.bounds[index];
                    bucket.follow(limit, then, refused, is_late(index), seconds);
                }
                none => {
                    let under_way = self.under_way[index] - taken.cost[index];
                    *none = Some(Bucket::new(limit, seconds, under_way.max(0.0)));
                }
            }
        }
    }

    /// Ends a call or a process. `spent` is what the server counted; `None` if that is not known,
    /// and then it was as expected.
    pub(super) fn settle(&mut self, kind: Kind, taken: &Taken, spent: Spent, now: Moment) {
        if kind == Kind::Process {
            self.processes = self.processes.saturating_sub(1);
            return;
        }
        self.calls = self.calls.saturating_sub(1);
        let actual = match spent {
            Spent::Nothing => Cost::default(),
            Spent::AsExpected => taken.cost,
            Spent::Usage(usage) => {
                let output = float(usage.output_tokens);
                self.output += (output - self.output) * if self.output == 0.0 { 1.0 } else { 0.1 };
                cost_of(float(usage.input_tokens), output)
            }
        };
        for (index, taken) in taken.cost.iter().enumerate() {
            self.under_way[index] = (self.under_way[index] - taken).max(0.0);
            if let Some(bucket) = &mut self.buckets[index] {
                bucket.settle(*taken, actual[index], now.as_secs_f64());
            }
        }
    }

    /// Notes a call that went well.
    pub(super) fn succeed(&mut self, epoch: u64, now: Moment) {
        self.standing.succeed(epoch, now);
        self.pace.succeed();
    }

    /// Notes a refusal for a rate. Only the first of those that were under way slows the pace.
    pub(super) fn limited(&mut self, epoch: u64, now: Moment, rejection: Rejection) {
        let is_current = epoch == self.standing.epoch();
        self.standing.reject(epoch, now, self.term(rejection), rejection);
        if is_current {
            let again_at = self.standing.ready_at(now).unwrap_or(now);
            let (now, again_at) = (now.as_secs_f64(), again_at.as_secs_f64());
            if matches!(rejection, Rejection::SlowDown { .. }) {
                self.ramp.refused(now, again_at);
            } else {
                self.pace.refused(self.calls, now, again_at);
            }
        }
    }

    fn has_buckets(&self) -> bool {
        self.buckets.iter().any(Option::is_some)
    }

    /// How long a refusal for a rate counts.
    fn term(&self, rejection: Rejection) -> Term {
        match rejection.retry_after() {
            Some(wait) if !wait.is_zero() => Term::Rest(wait),
            _ if self.standing.refusals() >= PATIENCE
                && matches!(rejection, Rejection::RateLimited { .. }) =>
            {
                Term::Growing { first: 10 * MINUTE, longest: 10 * MINUTE, spent: true }
            }
            _ => Term::Growing { first: Duration::from_secs(1), longest: MINUTE, spent: false },
        }
    }

    pub(super) fn merge(&mut self, other: Self, now: Moment) {
        self.standing.merge(&other.standing);
        self.calls += other.calls;
        self.processes += other.processes;
        self.is_used |= other.is_used;
        self.is_known |= other.is_known;
        self.output = self.output.max(other.output);
        if !other.has_buckets() && !self.has_buckets() {
            self.pace = other.pace;
        }
        for (index, theirs) in other.buckets.into_iter().enumerate() {
            self.under_way[index] += other.under_way[index];
            match (&mut self.buckets[index], theirs) {
                (Some(ours), Some(theirs)) => ours.merge(&theirs, now.as_secs_f64()),
                (none @ None, theirs) => *none = theirs,
                _ => (),
            }
        }
    }

    /// Each limit that is known: its name, what it is a minute, and what is left.
    pub(super) fn shown(&self, now: Moment) -> impl Iterator<Item = (Dimension, f64, f64)> {
        let seconds = now.as_secs_f64();
        Dimension::ALL.into_iter().filter_map(move |dimension| {
            let (limit, left) = self.buckets[dimension as usize].as_ref()?.shown(seconds);
            Some((dimension, limit, left))
        })
    }
}

/// What a call came to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spent {
    Nothing,
    AsExpected,
    Usage(Usage),
}

fn cost_of(input: f64, output: f64) -> Cost {
    let mut cost = Cost::default();
    cost[Dimension::Requests as usize] = 1.0;
    cost[Dimension::Input as usize] = input;
    cost[Dimension::Output as usize] = output;
    cost[Dimension::Tokens as usize] = input + output;
    cost
}

/// Whether a limit counts what is produced, as it comes, and not what is sent.
const fn is_late(dimension: usize) -> bool {
    dimension != Dimension::Requests as usize && dimension != Dimension::Input as usize
}

fn later(now: Moment, seconds: f64) -> Moment {
    // Rounded up, so that it is surely there then.
    let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4);
    now.saturating_add(wait).saturating_add(Duration::from_micros(1))
}

#[expect(clippy::cast_precision_loss, reason = "no count of tokens comes near 2^53")]
const fn float(number: u64) -> f64 {
    number as f64
}
