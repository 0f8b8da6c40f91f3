//! Clients who do a night's jobs through a gateway.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use agent_runner_credentials::{
    ApiKey, Credential, KeyRing, KeyState, SharedRing,
    simulate::{Job, Random, Report, Scenario, time_of},
};
use agent_runner_gateway::{Access, Caller, Gateway, Network, Options};
use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;

use super::{Clock, Counts, Provider, messages};

/// How long an agent waits that is refused without being told for how long.
const REFUSED: Duration = Duration::from_secs(1);

/// How keys are given to conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// All share one ring.
    Shared,
    /// Each conversation has one key, and never another.
    Pinned,
}

/// How a night went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// As virtual time reports it, by the clock of the night.
    pub report: Report,
    /// What the provider counted.
    pub counts: Counts,
    /// What the gateway counted: input read anew or written to a cache, input from a cache, output.
    pub counted: [u64; 3],
    /// Answers of the gateway to its clients that were refusals.
    pub refused: usize,
    /// How long it took in real time.
    pub real: Duration,
}

/// A night under way.
struct Night {
    clock: Arc<Clock>,
    gateway: Gateway,
    jobs: Vec<Job>,
    next_job: AtomicUsize,
    keys: Keys,
    key_count: usize,
    url: String,
    client: reqwest::Client,
    random: Mutex<Random>,
    refused: AtomicUsize,
    done: Mutex<Report>,
}

/// Lets so many workers do jobs through a gateway, at this speed.
///
/// # Errors
///
/// When a socket cannot be had, or an answer makes no sense.
pub async fn spend(
    scenario: &Scenario,
    jobs: &[Job],
    workers: usize,
    speed: u32,
    keys: Keys,
) -> anyhow::Result<Outcome> {
    let clock = Arc::new(Clock::new(speed));
    let dead = Arc::<Dead>::default();
    let hears = Arc::clone(&dead);
    let provider =
        Provider::start(Arc::clone(&clock), scenario, jobs, move |key| hears.look(key)).await?;
    let ring = ring(&clock, scenario.keys.len(), keys, &provider.url());
    dead.ring.set(ring.clone()).ok().context("it is set once")?;
    let gateway = Gateway::start(ring.clone(), Options::default()).await?;
    let night = Arc::new(Night {
        clock,
        url: format!("http://{}", gateway.address()),
        gateway,
        jobs: jobs.to_vec(),
        next_job: AtomicUsize::new(0),
        keys,
        key_count: scenario.keys.len(),
        client: Network::from_env()?.client()?,
        random: Mutex::new(Random::new(scenario.seed ^ 0xe571)),
        refused: AtomicUsize::new(0),
        done: Mutex::default(),
    });
    let began = Instant::now();
    night.clock.start();
    let mut all = JoinSet::new();
    for _ in 0..workers {
        all.spawn(Arc::clone(&night).work());
    }
    while let Some(worker) = all.join_next().await {
        worker??;
    }
    let real = began.elapsed();
    let night = Arc::into_inner(night).context("all workers have ended")?;
    Ok(night.outcome(&provider, &dead, real))
}

fn ring(clock: &Arc<Clock>, count: usize, keys: Keys, url: &str) -> SharedRing {
    let key = |number| {
        let key = ApiKey::new(&format!("sk-simulated-{number}")).expect("it is graphic");
        Credential::new(format!("key-{number}"), provider(keys, number), key).with_base_url(url)
    };
    let ring = KeyRing::new((0..count).map(key));
    let clock = Arc::clone(clock);
    SharedRing::at_speed(ring, clock.speed(), move || time_of(clock.now()))
}

/// By which name a key is asked for: a pinned one has a name of its own.
fn provider(keys: Keys, number: usize) -> String {
    match keys {
        Keys::Shared => "anthropic".to_owned(),
        Keys::Pinned => format!("pinned-{number}"),
    }
}

impl Night {
    /// One worker: one request at a time, conversation after conversation.
    async fn work(self: Arc<Self>) -> anyhow::Result<()> {
        let caller = self.gateway.lend(Caller::named("worker"));
        loop {
            let job = self.next_job.fetch_add(1, Relaxed);
            let Some(Job { turns }) = self.jobs.get(job) else { return Ok(()) };
            let own = (turns.len() > 1)
                .then(|| self.gateway.lend(Caller::attempt(format!("job-{job}"), 1)));
            for turn in 0..turns.len() {
                let asked = self.clock.now();
                self.ask(own.as_ref().unwrap_or(&caller), job, turn).await?;
                let now = self.clock.now();
                let mut report = lock(&self.done);
                report.times.push(now.saturating_sub(asked));
                report.took = report.took.max(now);
            }
            lock(&self.done).done += 1;
        }
    }

    /// Asks until there is an answer, as an agent does.
    async fn ask(&self, access: &Access, job: usize, turn: usize) -> anyhow::Result<()> {
        let is_stream = (job + turn).is_multiple_of(2);
        let body = messages::request(is_stream, self.about(job, turn));
        let provider = provider(self.keys, job % self.key_count);
        loop {
            let request = self.client.post(format!("{}/{provider}/v1/messages", self.url));
            let request = request.header("x-api-key", access.token());
            let request = request.header(messages::TURN, messages::name(job, turn));
            let answer = request.body(body.clone()).send().await?;
            let status = answer.status().as_u16();
            let wait = answer.headers().get("retry-after").and_then(|wait| wait.to_str().ok());
            let wait = wait.and_then(|wait| wait.parse().ok()).map(Duration::from_secs);
            let text = answer.text().await?;
            if status == 200 {
                ensure!(text.contains("\"done\""), "an answer is not whole: {text}");
                return Ok(());
            }
            ensure!(matches!(status, 429 | 529), "{status}: {text}");
            self.refused.fetch_add(1, Relaxed);
            self.clock.until(self.clock.now() + wait.unwrap_or(REFUSED)).await;
        }
    }

    /// How large a request is, which tells its tokens only about.
    fn about(&self, job: usize, turn: usize) -> u64 {
        let about = lock(&self.random).between(0.9, 1.1);
        let turn = &self.jobs[job].turns[turn];
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is some thousand, and rounded on purpose"
        )]
        let fresh = (turn.fresh as f64 * about) as u64;
        turn.context + fresh
    }

    fn outcome(self, provider: &Provider, dead: &Dead, real: Duration) -> Outcome {
        let counts = provider.counts();
        let mut report = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.sent = counts.asked();
        report.answers = counts.answers.clone();
        report.input_tokens = counts.input_tokens;
        report.cached_tokens = counts.cached_tokens;
        report.output_tokens = counts.output_tokens;
        report.sent_on_dead = dead.sent();
        let lines = self.gateway.usage();
        let sum = lines.iter().fold([0; 3], |[input, cached, output], line| {
            let usage = line.usage;
            [
                input + usage.input + usage.cache_write,
                cached + usage.cache_read,
                output + usage.output,
            ]
        });
        Outcome { report, counts, counted: sum, refused: self.refused.into_inner(), real }
    }
}

/// Looks whether a key is lent any more after the ring has heard that it is dead.
#[derive(Default)]
struct Dead {
    ring: OnceLock<SharedRing>,
    /// By key: how often it was lent when it was first seen to be out.
    lent: Mutex<std::collections::BTreeMap<usize, u64>>,
}

impl Dead {
    fn look(&self, key: usize) {
        let Some(ring) = self.ring.get().filter(|_| !lock(&self.lent).contains_key(&key)) else {
            return;
        };
        let shown = &ring.snapshot().keys[key];
        if shown.state == KeyState::Out {
            lock(&self.lent).entry(key).or_insert(shown.lent);
        }
    }

    fn sent(&self) -> usize {
        let Some(ring) = self.ring.get() else { return 0 };
        let keys = ring.snapshot().keys;
        let lent = lock(&self.lent);
        let after = lent.iter().map(|(key, lent)| keys[*key].lent - lent);
        usize::try_from(after.sum::<u64>()).expect("it is a count in memory")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
