//! The provider's side.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{Account, Random, Scenario, Turn};
use crate::{Usage, time::rfc3339};

/// When all nights begin: a Monday morning.
const START: u64 = 1_795_420_800;

/// The time of day of a moment of a night.
pub fn time_of(moment: Duration) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(START) + moment
}

/// The day of a moment; days begin at midnight UTC.
const fn day_of(moment: Duration) -> u64 {
    (START + moment.as_secs()) / 86_400
}

/// A provider at work, for whoever has a clock of his own. Moments must not go back.
#[derive(Debug)]
pub struct Provider {
    scenario: Scenario,
    meters: Vec<Meters>,
    /// The requests of each key on a day.
    used: Vec<(u64, u64)>,
    /// By job and key: what is in the cache, and since when.
    caches: HashMap<(usize, usize), (u64, Duration)>,
    random: Random,
}

/// The buckets of an account.
#[derive(Debug, Clone)]
struct Meters {
    requests: Meter,
    input: Meter,
    output: Meter,
    increase: Increase,
}

/// How fast requests become more.
#[derive(Debug, Clone, Default)]
struct Increase {
    steady: f64,
    /// Requests within about a second, and within about ten; as of a time.
    now: f64,
    lately: f64,
    at: f64,
}

/// A token bucket: the truth, of which a client only hears.
#[derive(Debug, Clone)]
struct Meter {
    rate: f64,
    capacity: f64,
    level: f64,
    at: f64,
    outside: f64,
}

/// An answer.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers, as far as they tell limits.
    pub headers: Vec<(&'static str, String)>,
    /// The body of an error.
    pub body: &'static str,
    /// How long it takes from the request's arrival.
    pub takes: Duration,
    /// What was used, if it is no error.
    pub usage: Option<Usage>,
    /// Input tokens that came from the cache.
    pub cached: u64,
}

const OVERLOADED: &str =
    r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
const REVOKED: &str =
    r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#;
const SPENT: &str = r#"{"type":"error","error":{"type":"rate_limit_error","message":"You have exceeded your daily rate limit"}}"#;
const LIMITED: &str = r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your rate limit"}}"#;

const STEEP: &str = r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's maximum usage increase rate"}}"#;

impl Provider {
    /// A provider at the beginning of a night.
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            scenario: scenario.clone(),
            meters: scenario.accounts.iter().map(Meters::new).collect(),
            used: vec![(0, 0); scenario.keys.len()],
            caches: HashMap::new(),
            random: Random::new(scenario.seed ^ 0x5e1f),
        }
    }

    /// Takes a request that arrives.
    ///
    /// # Panics
    ///
    /// If the scenario has no such key.
    pub fn take(&mut self, now: Duration, key: usize, job: usize, turn: &Turn) -> Reply {
        let plan = &self.scenario.keys[key];
        let is_down = self.scenario.outages.iter().any(|(from, to)| (*from..*to).contains(&now));
        if is_down || self.random.unit() < self.scenario.overloaded {
            return self.refuse(529, OVERLOADED);
        }
        if plan.revoked_at.is_some_and(|at| now >= at) {
            return self.refuse(401, REVOKED);
        }
        if plan.daily_quota.is_some_and(|quota| self.used(now, key) >= quota) {
            return self.refuse(429, SPENT);
        }
        let (cached, input) = self.cached(now, key, job, turn);
        let account = plan.account;
        if self.meters[account].increase.is_steep(now) {
            let mut reply = self.refuse(429, STEEP);
            if self.scenario.has_headers {
                reply.headers = self.meters[account].headers(now);
            }
            return self.name(reply, account);
        }
        let wait = self.meters[account].wait(now, float(input));
        if wait > 0.0 {
            let mut reply = self.refuse(429, LIMITED);
            if self.scenario.has_headers {
                reply.headers = self.meters[account].headers(now);
            }
            reply.headers.push(("retry-after", format!("{}", wait.ceil().max(1.0))));
            return self.name(reply, account);
        }
        self.used[key] = (day_of(now), self.used(now, key) + 1);
        self.meters[account].increase.take(now);
        self.meters[account].requests.take(now, 1.0);
        self.meters[account].input.take(now, float(input));
        self.caches.insert((job, key), (turn.context + turn.fresh, now));
        let mut reply = Reply {
            status: 200,
            takes: turn.latency,
            usage: Some(Usage::new(input, turn.output)),
            cached,
            ..Reply::default()
        };
        if self.scenario.has_headers && self.scenario.tells_early {
            reply.headers = self.meters[account].headers(now);
        }
        self.name(reply, account)
    }

    /// Ends an answer: its output counts now.
    ///
    /// # Panics
    ///
    /// If the scenario has no such key.
    pub fn finish(&mut self, now: Duration, key: usize, turn: &Turn, reply: &mut Reply) {
        if reply.status != 200 {
            return;
        }
        self.output(now, key, turn.output);
        let meters = &self.meters[self.scenario.keys[key].account];
        if self.scenario.has_headers && !self.scenario.tells_early {
            reply.headers.extend(meters.headers(now));
        }
    }

    /// Counts output.
    pub(super) fn output(&mut self, now: Duration, key: usize, tokens: u64) {
        self.meters[self.scenario.keys[key].account].output.take(now, float(tokens));
    }

    /// The key that could take a request first, and when.
    pub(super) fn soonest(
        &self,
        now: Duration,
        job: usize,
        turn: &Turn,
    ) -> Option<(Duration, usize)> {
        let keys = self.scenario.keys.iter().enumerate();
        let alive = keys.filter(|(key, plan)| {
            plan.daily_quota.is_none_or(|quota| self.used(now, *key) < quota)
        });
        let times = alive.filter_map(|(key, plan)| {
            let (_, input) = self.cached(now, key, job, turn);
            let wait = self.meters[plan.account].wait(now, float(input));
            let mut at = now + Duration::from_secs_f64(wait) + Duration::from_nanos(1);
            for (from, to) in &self.scenario.outages {
                at = if (*from..*to).contains(&at) { *to } else { at };
            }
            plan.revoked_at.is_none_or(|dead| at < dead).then_some((at, key))
        });
        // Of those that are there at once, the fullest.
        let left = |key: usize| self.meters[self.scenario.keys[key].account].requests.level(now);
        times.min_by(|(at, key), (other_at, other)| {
            at.cmp(other_at).then(left(*other).total_cmp(&left(*key)))
        })
    }

    fn used(&self, now: Duration, key: usize) -> u64 {
        let (day, used) = self.used[key];
        if day == day_of(now) { used } else { 0 }
    }

    /// How much of a request is in the cache, and how much counts.
    fn cached(&self, now: Duration, key: usize, job: usize, turn: &Turn) -> (u64, u64) {
        let known = self.caches.get(&(job, key));
        let known = known.filter(|(_, at)| now.saturating_sub(*at) < self.scenario.cache);
        let cached = known.map_or(0, |(tokens, _)| (*tokens).min(turn.context));
        (cached, turn.context - cached + turn.fresh)
    }

    fn refuse(&self, status: u16, body: &'static str) -> Reply {
        Reply { status, body, takes: self.scenario.refusal, ..Reply::default() }
    }

    fn name(&self, mut reply: Reply, account: usize) -> Reply {
        if self.scenario.has_headers {
            reply.headers.push(("anthropic-organization-id", format!("org-{account}")));
        }
        reply
    }
}

impl Meters {
    fn new(account: &Account) -> Self {
        let meter = |a_minute: f64| Meter {
            rate: a_minute / 60.0,
            capacity: a_minute * account.burst,
            level: a_minute * account.burst,
            at: 0.0,
            outside: account.outside,
        };
        Self {
            requests: meter(account.requests),
            input: meter(account.input_tokens),
            output: meter(account.output_tokens),
            increase: Increase { steady: account.steady, ..Increase::default() },
        }
    }

    /// After how many seconds a request would be let in.
    fn wait(&self, now: Duration, input: f64) -> f64 {
        let input = input.min(self.input.capacity);
        let requests = self.requests.wait(now, 1.0);
        requests.max(self.input.wait(now, input)).max(self.output.wait(now, 1.0))
    }

    fn headers(&self, now: Duration) -> Vec<(&'static str, String)> {
        let rounded = |level: f64| format!("{:.0}", (level / 1000.0).round() * 1000.0);
        let (requests, input, output) = (&self.requests, &self.input, &self.output);
        vec![
            ("anthropic-ratelimit-requests-limit", requests.limit()),
            (
                "anthropic-ratelimit-requests-remaining",
                format!("{:.0}", requests.left(now).floor()),
            ),
            ("anthropic-ratelimit-requests-reset", requests.reset(now)),
            ("anthropic-ratelimit-input-tokens-limit", input.limit()),
            ("anthropic-ratelimit-input-tokens-remaining", rounded(input.left(now))),
            ("anthropic-ratelimit-input-tokens-reset", input.reset(now)),
            ("anthropic-ratelimit-output-tokens-limit", output.limit()),
            ("anthropic-ratelimit-output-tokens-remaining", rounded(output.left(now))),
            ("anthropic-ratelimit-output-tokens-reset", output.reset(now)),
        ]
    }
}

impl Increase {
    fn is_steep(&mut self, now: Duration) -> bool {
        self.pass(now);
        self.now >= self.steady.max(self.lately / 10.0 * 1.5)
    }

    fn take(&mut self, now: Duration) {
        self.pass(now);
        self.now += 1.0;
        self.lately += 1.0;
    }

    fn pass(&mut self, now: Duration) {
        let passed = now.as_secs_f64() - self.at;
        self.at = now.as_secs_f64();
        self.now *= (-passed).exp();
        self.lately *= (-passed / 10.0).exp();
    }
}

impl Meter {
    fn take(&mut self, now: Duration, cost: f64) {
        self.level = self.level(now) - cost;
        self.at = now.as_secs_f64();
    }

    /// After how many seconds so much is there.
    fn wait(&self, now: Duration, cost: f64) -> f64 {
        // A nanosecond's worth is forgiven.
        let missing = cost - self.level(now) - 1e-6;
        if missing > 0.0 { missing / self.flow() } else { 0.0 }
    }

    fn level(&self, now: Duration) -> f64 {
        let passed = now.as_secs_f64() - self.at;
        (self.level + self.flow() * passed).min(self.capacity)
    }

    fn left(&self, now: Duration) -> f64 {
        self.level(now).max(0.0)
    }

    fn flow(&self) -> f64 {
        self.rate * (1.0 - self.outside)
    }

    fn limit(&self) -> String {
        format!("{:.0}", self.rate * 60.0)
    }

    /// When it is full, in whole seconds.
    fn reset(&self, now: Duration) -> String {
        let missing = (self.capacity - self.level(now)).max(0.0) / self.flow();
        let at = time_of(now) + Duration::from_secs_f64(missing);
        let rounded = at + Duration::from_nanos(999_999_999);
        rfc3339(rounded)
    }
}

#[expect(clippy::cast_precision_loss, reason = "no count of tokens comes near 2^53")]
pub(super) const fn float(number: u64) -> f64 {
    number as f64
}
