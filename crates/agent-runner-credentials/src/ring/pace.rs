//! The pace of calls where no header tells a limit: found by going a little too fast now and then.

/// How long a pace takes to come back to the one that was too fast, in seconds. As CUBIC does in
/// TCP it is slow near that, and then tries for more.
const RECOVERY: f64 = 10.0;
/// What is kept of a pace that held for a while, and of one that did not.
const GENTLE: f64 = 0.85;
const HARD: f64 = 0.6;
/// So many calls at once are made at first, and two more with each success.
const FIRST: f64 = 8.0;

/// Calls a second that a server takes, as far as one can tell. Times are in seconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    limit: Option<Curve>,
    /// When the first call was made.
    began: Option<f64>,
    successes: f64,
    /// What may be sent at once.
    level: f64,
    at: f64,
}

#[derive(Debug, Clone, Copy)]
struct Curve {
    /// The pace that was too fast, or nearly so.
    peak: f64,
    /// What was kept of it.
    kept: f64,
    since: f64,
}

impl Curve {
    fn rate(&self, now: f64) -> f64 {
        let distance = ((now - self.since) / RECOVERY - 1.0).max(-1.0);
        let missing = self.peak * (1.0 - self.kept);
        (self.peak + missing * distance.powi(3)).max(0.02)
    }

    fn is_confirmed(&self, now: f64) -> bool {
        now - self.since > RECOVERY / 2.0
    }
}

impl Pace {
    /// After how many seconds a call may be made, when so many are under way; never if it depends
    /// on those.
    pub(super) fn wait(&self, calls: u32, now: f64) -> Option<f64> {
        let Some(curve) = self.limit else {
            return (f64::from(calls) < 2.0_f64.mul_add(self.successes, FIRST)).then_some(0.0);
        };
        let missing = 1.0 - self.level(now);
        Some(if missing > 0.0 { missing / curve.rate(now) } else { 0.0 })
    }

    pub(super) fn take(&mut self, now: f64) {
        self.began.get_or_insert(now);
        self.level = self.level(now) - 1.0;
        self.at = now;
    }

    pub(super) const fn succeed(&mut self) {
        self.successes += 1.0;
    }

    /// The server refused a call when so many were under way, and takes calls again at a time.
    pub(super) fn refused(&mut self, calls: u32, now: f64, again_at: f64) {
        let (pace, kept) = match self.limit {
            None => (self.first_pace(calls, now), HARD),
            Some(curve) if curve.is_confirmed(now) => (curve.rate(now), GENTLE),
            Some(curve) => (curve.rate(now).min(curve.peak), HARD),
        };
        let peak = if kept == HARD { pace * HARD.sqrt() } else { pace };
        self.limit = Some(Curve { peak, kept, since: again_at });
        (self.level, self.at) = (1.0, again_at);
    }

    fn level(&self, now: f64) -> f64 {
        let rate = self.limit.map_or(0.0, |curve| curve.rate(now));
        (self.level + rate * (now - self.at).max(0.0)).min((rate / 10.0).max(1.0))
    }

    /// What was taken until the first refusal: half of what is under way will perhaps be refused.
    fn first_pace(&self, calls: u32, now: f64) -> f64 {
        let lasted = self.began.map_or(0.0, |began| now - began).max(1.0);
        ((self.successes + f64::from(calls) / 2.0) / lasted).max(0.2)
    }
}
