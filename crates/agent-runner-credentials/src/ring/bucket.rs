//! A shadow of one limit of a server: what it would still let through.

use crate::limits::Limit;

/// The part of a rate that is left alone. It costs nothing for long: what collects on the server's
/// side is seen in its headers.
const MARGIN: f64 = 0.02;
/// How long something can be on its way, in seconds. What is sent within that time may overtake
/// one another.
const TRANSIT: f64 = 0.15;
/// What of a difference between the shadow and the server is taken for a lasting use by others.
const BELIEF: f64 = 0.5;
/// After how many seconds a use by others that does not show any more is nearly forgotten.
const MEMORY: f64 = 200.0;
/// The least time between two looks that tells of a rate, in seconds.
const GLANCE: f64 = 0.5;

/// A token bucket as the server is believed to have it. Times are in seconds.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    /// What flows back a second.
    rate: f64,
    /// What it holds when full, as far as it was seen.
    capacity: f64,
    level: f64,
    /// The time of the level.
    at: f64,
    /// What others who use the same limit take a second.
    drain: f64,
    /// Of what was taken, the part whose answers have not ended.
    pending: f64,
    /// Of what was taken, the part that may not have arrived.
    on_its_way: OnItsWay,
    /// All that was ever given back.
    returned: f64,
    /// All that was ever learned from headers, and when the last time was.
    corrected: f64,
    corrected_at: f64,
    /// For limits that start anew at once: when, and how long each lasts.
    window: Option<(f64, f64)>,
}

/// What was taken within [`TRANSIT`], or half of it at least.
#[derive(Debug, Clone, Copy, Default)]
struct OnItsWay {
    since: f64,
    lately: f64,
    before: f64,
}

/// What a server had at some time, at least and at most.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    low: f64,
    high: f64,
    returned: f64,
    corrected: f64,
}

impl Bucket {
    /// The bucket that a first answer tells of. What is under way was perhaps not counted in it.
    pub(super) fn new(limit: &Limit, now: f64, under_way: f64) -> Self {
        let rate = limit.amount / limit.period;
        let window =
            limit.window.then(|| (now + limit.reset.unwrap_or(limit.period), limit.period));
        let mut bucket = Self {
            rate: if window.is_some() { 0.0 } else { rate },
            capacity: limit.remaining.max(1.0),
            level: limit.remaining - under_way,
            at: now,
            drain: 0.0,
            pending: 0.0,
            on_its_way: OnItsWay::default(),
            returned: 0.0,
            corrected: 0.0,
            corrected_at: now,
            window,
        };
        bucket.learn_capacity(limit);
        bucket
    }

    /// What is left at a time.
    pub(super) fn level(&self, now: f64) -> f64 {
        match self.window {
            Some((jump, _)) if now >= jump => self.capacity,
            _ => (self.level + self.flow() * (now - self.at)).min(self.capacity),
        }
    }

    /// The part that would be left after taking this: negative if it is not there.
    pub(super) fn room(&self, cost: f64, now: f64) -> f64 {
        let level = self.level(now);
        (level - self.wanted(cost)) / self.capacity
    }

    /// After how many seconds this can be taken.
    pub(super) fn wait(&self, cost: f64, now: f64) -> f64 {
        let missing = self.wanted(cost) - self.level(now);
        if missing <= 0.0 {
            return 0.0;
        }
        match self.window {
            Some((jump, _)) => (jump - now).max(0.0),
            None => missing / self.flow(),
        }
    }

    /// Takes what a call is expected to cost, and returns the bounds of what the server has when it
    /// looks at that call. `late` limits count what was taken only as it comes.
    pub(super) fn take(&mut self, cost: f64, late: bool, now: f64) -> Bounds {
        self.advance(now);
        self.level -= cost;
        self.pending += cost;
        let bounds = self.bounds(late);
        self.on_its_way.lately += cost;
        bounds
    }

    /// What the server has, if it has counted all that was taken, and if it has not yet counted what
    /// it may not have. In a steady flow as much comes back as is on its way.
    fn bounds(&self, late: bool) -> Bounds {
        let flow = self.rate * TRANSIT;
        let uncounted = if late { self.pending + flow } else { self.on_its_way.sum().max(flow) };
        Bounds {
            low: self.level,
            high: self.level + uncounted,
            returned: self.returned,
            corrected: self.corrected,
        }
    }

    /// Ends what was taken: the server has counted `actual` by now.
    pub(super) fn settle(&mut self, taken: f64, actual: f64, now: f64) {
        self.advance(now);
        self.level = (self.level + taken - actual).min(self.capacity);
        self.pending = (self.pending - taken).max(0.0);
        self.returned += (taken - actual).max(0.0);
    }

    /// Follows what the server says. It has looked at some time between then, when the request was
    /// sent, and now; what lies outside of both is news. What was sent before the limit was known
    /// tells nothing more of it. What a request wanted that was `refused` was not taken. `late` is
    /// as in [`take`](Self::take).
    pub(super) fn follow(
        &mut self,
        limit: &Limit,
        then: Option<Bounds>,
        refused: Option<f64>,
        late: bool,
        now: f64,
    ) {
        self.advance(now);
        self.learn_rate(limit, now);
        self.learn_capacity(limit);
        let Some(then) = then else { return };
        let here = self.bounds(late);
        // What others' answers have told since then is not told again.
        let known = self.corrected - then.corrected;
        // What was given back since then was perhaps never taken in the server's eyes.
        let returned = self.returned - then.returned;
        let low = here.low.min(then.low + known) + refused.unwrap_or(-limit.grain);
        let high = here.high.max(then.high + known + returned) + limit.grain;
        let news = (limit.remaining - low).min(0.0) + (limit.remaining - high).max(0.0);
        if news != 0.0 {
            self.correct(news, now);
        }
    }

    /// The server has less or more than was thought: what made the difference may go on.
    fn correct(&mut self, news: f64, now: f64) {
        let lasted = (now - self.corrected_at).max(GLANCE);
        self.level += news;
        self.corrected += news;
        self.corrected_at = now;
        self.drain = (self.drain - news / lasted * BELIEF).clamp(0.0, self.rate);
    }

    /// Takes over what another knows, when both turn out to be the same limit.
    pub(super) fn merge(&mut self, other: &Self, now: f64) {
        let level = self.level(now).min(other.level(now));
        self.advance(now);
        self.level = level;
        self.capacity = self.capacity.max(other.capacity);
        self.pending += other.pending;
    }

    /// The limit and what is left of it, a minute.
    pub(super) fn shown(&self, now: f64) -> (f64, f64) {
        let limit = self.window.map_or(self.rate * 60.0, |_| self.capacity);
        (limit, self.level(now).max(0.0))
    }

    /// A request that is larger than the bucket waits for a full one.
    fn wanted(&self, cost: f64) -> f64 {
        cost.min(self.capacity * (1.0 - MARGIN))
    }

    fn flow(&self) -> f64 {
        (self.rate * (1.0 - MARGIN) - self.drain).max(self.rate * 0.02)
    }

    fn advance(&mut self, now: f64) {
        self.level = self.level(now);
        if let Some((jump, length)) = &mut self.window
            && now >= *jump
        {
            *jump += ((now - *jump) / *length).floor() * *length + *length;
        }
        self.on_its_way.pass(now);
        self.drain *= (-(now - self.at).max(0.0) / MEMORY).exp();
        self.at = self.at.max(now);
    }

    fn learn_rate(&mut self, limit: &Limit, now: f64) {
        if let Some((jump, _)) = &mut self.window {
            *jump = now + limit.reset.unwrap_or(limit.period);
        } else {
            self.rate = limit.amount / limit.period;
        }
    }

    /// What is there and what flows back until it is full is a lower bound of what it holds.
    fn learn_capacity(&mut self, limit: &Limit) {
        let coming = limit.reset.map_or(0.0, |reset| self.rate * (reset - limit.slack).max(0.0));
        let seen = if self.window.is_some() { limit.amount } else { limit.remaining + coming };
        self.capacity = self.capacity.max(seen.min(limit.amount));
    }
}

impl OnItsWay {
    fn pass(&mut self, now: f64) {
        let passed = now - self.since;
        if passed >= TRANSIT {
            *self = Self { since: now, ..Self::default() };
        } else if passed >= TRANSIT / 2.0 {
            *self = Self { since: self.since + TRANSIT / 2.0, lately: 0.0, before: self.lately };
        }
    }

    fn sum(&self) -> f64 {
        self.lately + self.before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(remaining: f64) -> Limit {
        Limit {
            amount: 600.0,
            period: 60.0,
            remaining,
            reset: None,
            slack: 1.0,
            window: false,
            grain: 1.0,
        }
    }

    /// Forty are sent at once, and the last one comes first: it sees what the others have not taken.
    #[test]
    fn a_request_that_overtakes_others_does_not_tell_of_more_than_there_is() {
        let mut bucket = Bucket::new(&limit(60.0), 0.0, 0.0);
        let then: Vec<_> = (0..40).map(|_| bucket.take(1.0, false, 1.0)).collect();
        bucket.follow(&limit(59.0), Some(then[39]), None, false, 1.05);
        let level = bucket.level(1.05);
        assert!((19.0..22.0).contains(&level), "{level}");
    }

    /// What was sent long ago has come, and the server has counted it.
    #[test]
    fn what_a_server_has_more_than_was_thought_is_found() {
        let mut bucket = Bucket::new(&limit(60.0), 0.0, 0.0);
        for _ in 0..40 {
            bucket.take(1.0, false, 1.0);
        }
        let then = bucket.take(1.0, false, 1.5);
        bucket.follow(&limit(50.0), Some(then), None, false, 1.55);
        let level = bucket.level(1.55);
        assert!((45.0..50.0).contains(&level), "{level}");
    }
}
