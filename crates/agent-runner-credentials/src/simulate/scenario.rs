//! What a simulated night is like.

use std::time::Duration;

use super::Random;

/// A provider's limits, weather and speed.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// The keys, each of an account.
    pub keys: Vec<Key>,
    /// When everybody is refused with a 529: from, to.
    pub outages: Vec<(Duration, Duration)>,
    /// The part of requests that is refused with a 529 at all other times.
    pub overloaded: f64,
    /// How long a request is on its way, and an answer on its way back.
    pub network: Duration,
    /// How long a refusal takes.
    pub refusal: Duration,
    /// Whether answers tell limits.
    pub has_headers: bool,
    /// Whether headers show what is left when a request is let in, and not when it is answered.
    pub tells_early: bool,
    /// How long a prompt cache keeps what it has.
    pub cache: Duration,
    /// Where chance begins.
    pub seed: u64,
}

/// What an account may do a minute.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// Requests a minute.
    pub requests: f64,
    /// Input tokens a minute; those from a cache do not count.
    pub input_tokens: f64,
    /// Output tokens a minute.
    pub output_tokens: f64,
    /// How much of a minute's worth can be used at once.
    pub burst: f64,
    /// The part of it that somebody else uses.
    pub outside: f64,
    /// How many requests a second it may make out of nothing. More than that, and half as many
    /// again as there were lately, is refused as too fast an increase.
    pub steady: f64,
}

/// A key.
#[derive(Debug, Clone, Copy, Default)]
pub struct Key {
    /// Its account, by number.
    pub account: usize,
    /// When it is revoked.
    pub revoked_at: Option<Duration>,
    /// How many requests it has a day.
    pub daily_quota: Option<u64>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            requests: 600.0,
            input_tokens: 600_000.0,
            output_tokens: 120_000.0,
            burst: 0.1,
            outside: 0.0,
            steady: f64::INFINITY,
        }
    }
}

impl Scenario {
    /// So many keys, each of an account of its own, and no faults.
    pub fn clean(keys: usize, seed: u64) -> Self {
        Self {
            accounts: vec![Account::default(); keys],
            keys: (0..keys).map(|account| Key { account, ..Key::default() }).collect(),
            outages: Vec::new(),
            overloaded: 0.0,
            network: Duration::from_millis(30),
            refusal: Duration::from_millis(15),
            has_headers: true,
            tells_early: true,
            cache: Duration::from_secs(300),
            seed,
        }
    }

    /// The same with two outages, a few refusals at all times, and if there are some keys more, one
    /// that is revoked and one that runs out of its daily quota.
    pub fn faulty(keys: usize, seed: u64) -> Self {
        let mut scenario = Self::clean(keys, seed);
        let time = Duration::from_millis;
        scenario.outages = vec![(time(6_000), time(8_000)), (time(14_000), time(15_500))];
        scenario.overloaded = 0.005;
        if keys >= 4 {
            scenario.keys[0].revoked_at = Some(time(8_500));
            scenario.keys[1].daily_quota = Some(100);
        }
        scenario
    }
}

/// A conversation: requests one after the other, each with all that went before.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its requests.
    pub turns: Vec<Turn>,
}

/// One request of a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Input tokens that are new.
    pub fresh: u64,
    /// Input tokens that were in the conversation before.
    pub context: u64,
    /// Output tokens.
    pub output: u64,
    /// How long the answer takes.
    pub latency: Duration,
}

/// So many independent requests: about 900 tokens in, 185 out, 400 ms each.
pub fn calls(count: usize, seed: u64) -> Vec<Job> {
    let mut random = Random::new(seed ^ 0xca11);
    let mut turn = || Turn {
        fresh: tokens(random.skewed(900.0, 0.6)),
        context: 0,
        output: tokens(random.skewed(185.0, 0.8)),
        latency: Duration::from_secs_f64(random.skewed(0.4, 0.45)),
    };
    (0..count).map(|_| Job { turns: vec![turn()] }).collect()
}

/// So many conversations of so many requests: from 6 to 14 thousand tokens at the start, and about
/// 1,600 more with each request.
pub fn conversations(count: usize, turns: usize, seed: u64) -> Vec<Job> {
    let mut random = Random::new(seed ^ 0xc0de);
    (0..count).map(|_| conversation(turns, &mut random)).collect()
}

fn conversation(turns: usize, random: &mut Random) -> Job {
    let mut context = 0;
    let turn = |number| {
        let (low, high) = if number == 0 { (6_000.0, 14_000.0) } else { (800.0, 2_500.0) };
        let turn = Turn {
            fresh: tokens(random.between(low, high)),
            context,
            output: tokens(random.skewed(185.0, 0.8)),
            latency: Duration::from_secs_f64(random.skewed(0.4, 0.45)),
        };
        context += turn.fresh + turn.output;
        turn
    };
    Job { turns: (0..turns).map(turn).collect() }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is positive, and rounded on purpose"
)]
fn tokens(number: f64) -> u64 {
    number.max(1.0).round() as u64
}
