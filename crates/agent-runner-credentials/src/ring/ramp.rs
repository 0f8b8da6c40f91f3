//! The ramp of a limit group: a server that says its use grew too fast wants it to grow slowly,
//! whatever its limits are.

/// The time over which the rate of calls is seen, in seconds.
const GLANCE: f64 = 5.0;
/// How much faster it may become in a second.
const GROWTH: f64 = 1.1;
/// When it has become so many times as fast as it began, it is over.
const OVER: f64 = 4.0;
/// It never begins with fewer calls a second.
const LEAST: f64 = 0.05;

/// How fast calls may become more. Times are in seconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Ramp {
    /// Calls lately, older ones counting less; as of the last one.
    recent: f64,
    /// When the first call was made, and the last.
    began: Option<f64>,
    last: f64,
    slope: Option<Slope>,
}

#[derive(Debug, Clone, Copy)]
struct Slope {
    /// Calls a second at its beginning.
    first: f64,
    since: f64,
    /// What may be sent at once, as of a time.
    level: f64,
    at: f64,
}

impl Slope {
    fn rate(&self, now: f64) -> f64 {
        self.first * GROWTH.powf((now - self.since).max(0.0)).min(OVER)
    }

    fn is_over(&self, now: f64) -> bool {
        self.rate(now) >= self.first * OVER
    }

    fn level(&self, now: f64) -> f64 {
        let rate = self.rate(now);
        (self.level + rate * (now - self.at).max(0.0)).min((rate / 10.0).max(1.0))
    }
}

impl Ramp {
    /// After how many seconds a call may be made.
    pub(super) fn wait(&self, now: f64) -> f64 {
        match self.slope.filter(|slope| !slope.is_over(now)) {
            Some(slope) => (1.0 - slope.level(now)).max(0.0) / slope.rate(now),
            None => 0.0,
        }
    }

    pub(super) fn take(&mut self, now: f64) {
        self.recent = self.recent(now) + 1.0;
        self.began.get_or_insert(now);
        self.last = now;
        if let Some(slope) = &mut self.slope {
            (slope.level, slope.at) = (slope.level(now) - 1.0, now.max(slope.at));
        }
    }

    /// The server says that it grew too fast, and takes calls again at a time: from then on half as
    /// many a second as there were lately.
    pub(super) fn refused(&mut self, now: f64, again_at: f64) {
        let lasted = self.began.map_or(1.0, |began| now - began).clamp(1.0, GLANCE);
        let lately = self.recent(now) / lasted;
        let allowed = self.slope.filter(|slope| !slope.is_over(now)).map(|slope| slope.rate(now));
        let first = (allowed.map_or(lately, |allowed| allowed.min(lately)) / 2.0).max(LEAST);
        self.slope = Some(Slope { first, since: again_at, level: 1.0, at: again_at });
    }

    fn recent(&self, now: f64) -> f64 {
        self.recent * (-(now - self.last).max(0.0) / GLANCE).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times of calls that are made as early as may be.
    fn calls(ramp: &mut Ramp, mut now: f64, count: usize) -> Vec<f64> {
        let call = |_| {
            now += ramp.wait(now);
            ramp.take(now);
            now
        };
        (0..count).map(call).collect()
    }

    #[test]
    fn half_as_many_and_a_tenth_more_each_second_until_it_is_over() {
        let mut ramp = Ramp::default();
        for tick in 0..200_u32 {
            ramp.take(f64::from(tick) / 20.0); // 20 a second
        }
        assert!(ramp.wait(10.0) == 0.0, "nothing is in the way before");
        ramp.refused(10.0, 12.0);
        let times = calls(&mut ramp, 12.0, 400);
        let within =
            |from: f64, to: f64| times.iter().filter(|it| (from..to).contains(*it)).count();
        assert!((7..=12).contains(&within(12.0, 13.0)), "{}", within(12.0, 13.0));
        let (early, late) = (within(12.0, 14.0), within(20.0, 22.0));
        assert!((19 * early..24 * early).contains(&(10 * late)), "{early}, {late}");
        assert!(ramp.wait(27.0) == 0.0, "four times as fast after 14.6 seconds");
    }

    #[test]
    fn refused_again_it_is_halved_again_and_never_stops() {
        let mut ramp = Ramp::default();
        calls(&mut ramp, 0.0, 50);
        ramp.refused(1.0, 1.0);
        let one = ramp.slope.expect("it began").first;
        ramp.refused(1.0, 1.0);
        let other = ramp.slope.expect("it began").first;
        assert!(other <= one / 2.0, "{one}, {other}");
        for _ in 0..100 {
            ramp.refused(1.0, 1.0);
        }
        ramp.take(1.0);
        assert!(ramp.wait(1.0) <= 1.0 / LEAST, "{}", ramp.wait(1.0));
    }
}
