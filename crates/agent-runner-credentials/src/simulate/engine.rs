//! The loop of events.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    time::{Duration, Instant},
};

use super::{
    Client, Job, Next, Random, Request, Scenario, Turn,
    provider::{Provider, Reply, float},
};
use crate::Answer;

/// A client that makes no progress for so long has given up.
const STUCK: Duration = Duration::from_secs(40 * 24 * 60 * 60);

/// How it went.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// When the last answer came.
    pub took: Duration,
    /// Jobs that were done.
    pub done: usize,
    /// Requests that were sent.
    pub sent: usize,
    /// Answers by their status.
    pub answers: BTreeMap<u16, usize>,
    /// Requests that were sent with a key after its first 401 had come.
    pub sent_on_dead: usize,
    /// Input tokens that counted.
    pub input_tokens: u64,
    /// Input tokens that came from a cache.
    pub cached_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// How long requests waited to be sent, altogether.
    pub waited: Duration,
    /// The time of each request from the wish to the good answer.
    pub times: Vec<Duration>,
    /// What the client took of real time.
    pub thinking: Duration,
}

impl Report {
    /// The part of the answers that had this status.
    pub fn share(&self, status: u16) -> f64 {
        let count = self.answers.get(&status).copied().unwrap_or_default();
        float(count as u64) / float(self.sent.max(1) as u64)
    }

    /// How long all but a part of the requests took at most.
    pub fn percentile(&self, part: f64) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index of a list in memory"
        )]
        let index = (times.len() as f64 * part) as usize;
        times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// What the input cost, in tokens that were not cached: a read from the cache counts a tenth, a
    /// write to it a quarter more.
    pub fn input_cost(&self) -> f64 {
        float(self.input_tokens) * 1.25 + float(self.cached_tokens) * 0.1
    }
}

/// Lets a client do jobs, with so many workers.
pub fn run(scenario: &Scenario, jobs: &[Job], workers: usize, client: &mut dyn Client) -> Report {
    let mut night = Night {
        provider: Provider::new(scenario),
        scenario,
        jobs,
        next_job: 0,
        events: BinaryHeap::new(),
        replies: HashMap::new(),
        numbers: 0,
        workers: vec![Worker::default(); workers],
        dead: vec![false; scenario.keys.len()],
        wake_at: None,
        random: Random::new(scenario.seed ^ 0xe571),
        report: Report::default(),
        client,
    };
    for worker in 0..workers {
        night.take_job(Duration::ZERO, worker);
    }
    night.go()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A request arrives at the provider.
    Arrival { worker: usize, key: usize },
    /// An answer leaves.
    Finish { worker: usize, key: usize },
    /// An answer is there.
    Answer { worker: usize, key: usize },
    /// The client wanted to look again.
    Wake,
}

#[derive(Debug, Clone, Default)]
struct Worker {
    job: usize,
    turn: usize,
    asked: Duration,
    sent: Duration,
    is_waiting: bool,
}

struct Night<'a> {
    scenario: &'a Scenario,
    provider: Provider,
    jobs: &'a [Job],
    next_job: usize,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    replies: HashMap<usize, Reply>,
    numbers: u64,
    workers: Vec<Worker>,
    dead: Vec<bool>,
    /// When the client is woken next.
    wake_at: Option<Duration>,
    random: Random,
    report: Report,
    client: &'a mut dyn Client,
}

impl Night<'_> {
    fn go(mut self) -> Report {
        self.send(Duration::ZERO);
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            if now > STUCK || now > self.report.took + STUCK {
                break;
            }
            match event {
                Event::Wake => {}
                Event::Arrival { worker, key } => self.arrive(now, worker, key),
                Event::Finish { worker, key } => self.finish(now, worker, key),
                Event::Answer { worker, key } => self.answer(now, worker, key),
            }
            if !matches!(event, Event::Arrival { .. } | Event::Finish { .. }) {
                self.send(now);
            }
        }
        self.report
    }

    fn arrive(&mut self, now: Duration, worker: usize, key: usize) {
        let (job, turn) = (self.workers[worker].job, self.turn(worker));
        let reply = self.provider.take(now, key, job, &turn);
        self.at(now + reply.takes, Event::Finish { worker, key });
        self.replies.insert(worker, reply);
    }

    fn finish(&mut self, now: Duration, worker: usize, key: usize) {
        let turn = self.turn(worker);
        if let Some(reply) = self.replies.get_mut(&worker) {
            self.provider.finish(now, key, &turn, reply);
        }
        self.at(now + self.scenario.network, Event::Answer { worker, key });
    }

    fn answer(&mut self, now: Duration, worker: usize, key: usize) {
        let Some(reply) = self.replies.remove(&worker) else { return };
        *self.report.answers.entry(reply.status).or_default() += 1;
        self.dead[key] |= reply.status == 401;
        let headers: Vec<_> =
            reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = Answer::new(reply.status, &headers, reply.body);
        let start = Instant::now();
        let next = self.client.answered(now, worker, &answer, reply.usage);
        self.report.thinking += start.elapsed();
        self.workers[worker].is_waiting = next == Next::Again;
        self.workers[worker].sent = now;
        match next {
            Next::Again => (),
            Next::Done => {
                self.report.took = now;
                self.report.times.push(now.saturating_sub(self.workers[worker].asked));
                self.count(&reply);
                self.workers[worker].turn += 1;
                self.go_on(now, worker);
            }
            Next::GiveUp => self.take_job(now, worker),
        }
    }

    fn count(&mut self, reply: &Reply) {
        let usage = reply.usage.unwrap_or_default();
        self.report.input_tokens += usage.input_tokens;
        self.report.output_tokens += usage.output_tokens;
        self.report.cached_tokens += reply.cached;
    }

    fn go_on(&mut self, now: Duration, worker: usize) {
        let Worker { job, turn, .. } = self.workers[worker];
        if turn == self.jobs[job].turns.len() {
            self.report.done += 1;
            self.take_job(now, worker);
        } else {
            self.ask(now, worker);
        }
    }

    fn take_job(&mut self, now: Duration, worker: usize) {
        if self.next_job < self.jobs.len() {
            self.workers[worker] = Worker { job: self.next_job, ..Worker::default() };
            self.next_job += 1;
            self.ask(now, worker);
        }
    }

    fn ask(&mut self, now: Duration, worker: usize) {
        let turn = self.turn(worker);
        let about = self.random.between(0.9, 1.1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is positive, and rounded on purpose"
        )]
        let fresh = (float(turn.fresh) * about) as u64;
        let job = self.workers[worker].job;
        let is_session = self.jobs[job].turns.len() > 1;
        let request = Request { job, is_session, fresh, context: turn.context };
        (self.workers[worker].asked, self.workers[worker].sent) = (now, now);
        let start = Instant::now();
        self.client.ask(now, worker, &request);
        self.report.thinking += start.elapsed();
    }

    fn send(&mut self, now: Duration) {
        let start = Instant::now();
        while let Some((worker, key)) = self.client.send(now) {
            self.report.sent += 1;
            self.report.sent_on_dead += usize::from(self.dead[key]);
            self.report.waited += now.saturating_sub(self.workers[worker].sent);
            self.at(now + self.scenario.network, Event::Arrival { worker, key });
        }
        let wake_at = self.client.wake_at(now).map(|at| at.max(now + Duration::from_nanos(1)));
        self.report.thinking += start.elapsed();
        if let Some(at) =
            wake_at.filter(|at| self.wake_at.is_none_or(|known| *at < known || known <= now))
        {
            self.wake_at = Some(at);
            self.at(at, Event::Wake);
        }
    }

    fn turn(&self, worker: usize) -> Turn {
        let Worker { job, turn, .. } = self.workers[worker];
        self.jobs[job].turns[turn]
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.numbers += 1;
        self.events.push(Reverse((time, self.numbers, event)));
    }
}
