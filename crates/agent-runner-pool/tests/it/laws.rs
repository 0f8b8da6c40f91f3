//! Random scripts of failures, recoveries and orders, against a model that is too dull to be wrong: what
//! each attempt at a job should end as, and what a worker may do after what it has been through.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use agent_runner_pool::{
    Assignment, Context, End, Ended, Event, Failure, Handler, HealthPolicy, JobError, Pool, Queue,
    Recovered, Run, Source, SourceError, Stop, Summary, Then, WorkerHealth, WorkerId,
};
use proptest::{collection::vec, prelude::*};
use tokio::time::{self, Instant, sleep};

const TIMEOUT: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(2);
const MAX_REQUEUES: u32 = 2;

/// What a job does in one attempt, after some milliseconds.
#[derive(Debug, Clone, Copy)]
enum Act {
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
enum Op {
    Workers(usize),
    Stop,
    Cancel,
    AbortAfter(u64),
    Push,
}

#[derive(Debug, Clone)]
struct Script {
    /// A list of attempts for each job; when it ends, the job succeeds.
    jobs: Vec<Vec<(Act, u64)>>,
    workers: usize,
    recoveries: Vec<Option<Recovered>>,
    ops: Vec<(u64, Op)>,
    policy: HealthPolicy,
    /// How long the reader takes over an event; `None` reads nothing and joins.
    reader: Option<u64>,
    buffer: usize,
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

fn script() -> impl Strategy<Value = Script> {
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
    fn act(&self, job: usize, attempt: u32) -> (Act, u64) {
        let acts = self.jobs.get(job).map_or(&[][..], Vec::as_slice);
        acts.get(attempt as usize - 1).copied().unwrap_or((Act::Succeed, 10))
    }
}

/// How an attempt ended, for comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Finished,
    Failed,
    Panicked,
    TimedOut,
    GivenUp,
    Requeued,
    Released,
    Cancelled,
}

impl Kind {
    fn of<O>(end: &End<O, String>) -> Self {
        match end {
            End::Finished(_) => Self::Finished,
            End::Failed(error) => Self::of_error(error),
            End::Requeued(_) => Self::Requeued,
            End::Released(_) => Self::Released,
            End::Cancelled => Self::Cancelled,
            _ => panic!("an end that the model does not know"),
        }
    }

    fn of_error(error: &JobError<String>) -> Self {
        match error {
            JobError::Failed(_) => Self::Failed,
            JobError::Panicked { .. } => Self::Panicked,
            JobError::TimedOut { .. } => Self::TimedOut,
            JobError::GivenUp { .. } => Self::GivenUp,
            _ => panic!("an error that the model does not know"),
        }
    }

    fn is_final(self) -> bool {
        !matches!(self, Self::Requeued | Self::Released | Self::Cancelled)
    }

    fn is_the_workers(self) -> bool {
        matches!(self, Self::Requeued | Self::GivenUp)
    }

    /// What the model expects of an attempt in a run that nobody cancels.
    fn expected(act: Act, requeues: u32) -> Self {
        match act {
            Act::Succeed | Act::SucceedLate => Self::Finished,
            Act::Fail => Self::Failed,
            Act::Panic => Self::Panicked,
            Act::Hang | Act::Obey => Self::TimedOut,
            Act::BreakWorker if requeues < MAX_REQUEUES => Self::Requeued,
            Act::BreakWorker => Self::GivenUp,
            Act::Limit => Self::Released,
        }
    }
}

/// A queue that keeps the books, and complains at once.
struct Audited {
    queue: Queue<usize>,
    books: Arc<Mutex<Books>>,
}

#[derive(Debug, Default)]
struct Books {
    out: BTreeMap<usize, WorkerId>,
    begun: BTreeSet<(usize, u32)>,
    ends: BTreeMap<usize, Vec<(u32, u32, Kind)>>,
}

impl Books {
    fn hand_out(&mut self, worker: WorkerId, assignment: Option<&Assignment<usize>>) {
        let Some(Assignment { job, .. }) = assignment else { return };
        assert!(self.out.insert(*job, worker).is_none(), "job {job} is given to two workers");
        assert!(!self.is_ended(*job), "job {job} is given out after its end");
    }

    fn take_back(&mut self, worker: WorkerId, assignment: &Assignment<usize>, kind: Kind) {
        let &Assignment { job, attempt, requeues } = assignment;
        assert_eq!(self.out.remove(&job), Some(worker), "job {job} is settled by its holder");
        self.ends.entry(job).or_default().push((attempt, requeues, kind));
    }

    fn is_ended(&self, job: usize) -> bool {
        self.ends.get(&job).and_then(|ends| ends.last()).is_some_and(|end| end.2.is_final())
    }
}

impl Source<(), String> for Audited {
    type Job = usize;

    async fn next(
        &self,
        worker: WorkerId,
        stop: &Stop,
    ) -> Result<Option<Assignment<usize>>, SourceError> {
        let next = Source::<(), String>::next(&self.queue, worker, stop).await?;
        // The time between a claim and its arrival, in which a job is lost if anybody lets go.
        tokio::task::yield_now().await;
        self.books.lock().unwrap().hand_out(worker, next.as_ref());
        Ok(next)
    }

    async fn settle(
        &self,
        worker: WorkerId,
        assignment: Assignment<usize>,
        end: &End<(), String>,
        then: Then,
    ) -> Result<Option<Assignment<usize>>, SourceError> {
        sleep(Duration::from_millis(1)).await;
        self.books.lock().unwrap().take_back(worker, &assignment, Kind::of(end));
        let next = self.queue.settle(worker, assignment, end, then).await?;
        self.books.lock().unwrap().hand_out(worker, next.as_ref());
        Ok(next)
    }
}

struct Actor {
    script: Script,
    books: Arc<Mutex<Books>>,
    recoveries: Mutex<std::vec::IntoIter<Option<Recovered>>>,
}

impl Handler<usize> for Actor {
    type Output = ();
    type Error = String;

    async fn run(&self, job: &usize, context: &Context) -> Result<(), Failure<String>> {
        let (act, after) = self.script.act(*job, context.attempt());
        self.books.lock().unwrap().begun.insert((*job, context.attempt()));
        sleep(Duration::from_millis(after)).await;
        match act {
            Act::Succeed => Ok(()),
            Act::Fail => Err(Failure::Job("failed".into())),
            Act::Panic => std::panic::resume_unwind(Box::new("as the script says")),
            Act::Hang => std::future::pending().await,
            Act::Obey => {
                context.cancelled().await;
                Err(Failure::Worker("it was told to".into()))
            }
            Act::SucceedLate => {
                context.cancelled().await;
                Ok(())
            }
            Act::BreakWorker => Err(Failure::Worker("broken".into())),
            Act::Limit => Err(Failure::Release("429".into())),
        }
    }

    async fn recover(&self, _: WorkerId, _: WorkerHealth, _: &String) -> Recovered {
        sleep(Duration::from_millis(50)).await;
        let recovered = self.recoveries.lock().unwrap().next();
        recovered
            .unwrap_or(Some(Recovered::Yes))
            .unwrap_or_else(|| std::panic::resume_unwind(Box::new("as the script says")))
    }
}

/// Everything that can be seen of a run from outside.
struct Seen {
    books: Books,
    left: Vec<usize>,
    jobs: usize,
    log: Vec<Event<usize, (), String>>,
    summary: Summary,
    cancelled: bool,
    stopped: bool,
    /// How long it went on after the last possible moment for a cancelled job.
    overtime: Duration,
}

async fn perform(script: &Script) -> Seen {
    let pool = Pool::builder()
        .workers(script.workers)
        .health(script.policy)
        .waits(|| [Duration::from_millis(100)].into_iter())
        .timeout(TIMEOUT)
        .grace(GRACE)
        .max_requeues(MAX_REQUEUES)
        .event_buffer(script.buffer)
        .build()
        .unwrap();
    let queue = Queue::new(0..script.jobs.len()).rest(Duration::from_millis(200)).keep_open();
    let books = Arc::new(Mutex::new(Books::default()));
    let source = Audited { queue: queue.clone(), books: Arc::clone(&books) };
    let recoveries = Mutex::new(script.recoveries.clone().into_iter());
    let actor = Actor { script: script.clone(), books: Arc::clone(&books), recoveries };
    let mut run = pool.start(source, actor);

    let control = run.control();
    let ops = script.ops.clone();
    let (mut jobs, pushes) = (script.jobs.len(), queue.clone());
    let outside = tokio::spawn(async move {
        let (mut cancel_by, mut stopped) = (None::<Instant>, false);
        for (after, op) in ops {
            sleep(Duration::from_millis(after)).await;
            match op {
                Op::Workers(workers) => control.set_workers(workers),
                Op::Push => {
                    pushes.push(jobs);
                    jobs += 1;
                }
                Op::Stop => control.stop(),
                Op::Cancel => control.cancel(),
                Op::AbortAfter(grace) => control.abort_after(Duration::from_millis(grace)),
            }
            let grace = match op {
                Op::Cancel => Some(GRACE),
                Op::AbortAfter(grace) => Some(Duration::from_millis(grace)),
                _ => None,
            };
            stopped |= grace.is_some() || matches!(op, Op::Stop);
            let by = grace.map(|grace| Instant::now() + grace);
            cancel_by = cancel_by.into_iter().chain(by).min();
        }
        // A run that is still paused goes on, and one that is open ends.
        control.set_workers(2);
        pushes.close();
        (jobs, cancel_by, stopped)
    });

    let mut log = Vec::new();
    if let Some(pause) = script.reader {
        while let Some(event) = run.next_event().await {
            log.push(event);
            sleep(Duration::from_millis(pause)).await;
        }
    }
    let summary = Run::join(run).await;
    let ended = Instant::now();
    let (jobs, cancel_by, stopped) = outside.await.unwrap();
    let left = std::iter::from_fn(|| queue.pop()).collect();
    let books = std::mem::take(&mut *books.lock().unwrap());
    let overtime = cancel_by.map_or(Duration::ZERO, |by| ended.saturating_duration_since(by));
    let cancelled = cancel_by.is_some();
    Seen { books, left, jobs, log, summary, cancelled, stopped, overtime }
}

impl Seen {
    fn check(&self, script: &Script) {
        self.check_that_no_job_is_lost();
        self.check_ends(script);
        self.check_counts();
        self.check_why_it_ended();
        if script.reader.is_some() {
            self.check_jobs_events();
            self.check_health(script.policy);
        } else {
            let limit = Duration::from_secs(1);
            assert!(self.overtime < limit, "a cancelled run ends in time: {:?}", self.overtime);
        }
    }

    fn check_that_no_job_is_lost(&self) {
        assert!(self.books.out.is_empty(), "jobs that nobody settled: {:?}", self.books.out);
        let left: BTreeSet<_> = self.left.iter().copied().collect();
        assert_eq!(left.len(), self.left.len(), "a job is in the queue twice: {:?}", self.left);
        for job in 0..self.jobs {
            assert!(
                self.books.is_ended(job) != left.contains(&job),
                "job {job} is either ended or left: {:?}",
                self.books
            );
        }
    }

    fn check_ends(&self, script: &Script) {
        for (job, ends) in &self.books.ends {
            let mut requeued = 0;
            for (index, &(attempt, requeues, kind)) in ends.iter().enumerate() {
                assert_eq!(attempt as usize, index + 1, "attempts of job {job} are counted");
                assert_eq!(requeues, requeued, "requeues of job {job} are counted");
                requeued += u32::from(kind == Kind::Requeued);
                if kind == Kind::Cancelled {
                    // One that had not begun was claimed by a worker that was leaving.
                    let begun = self.books.begun.contains(&(*job, attempt));
                    assert!(self.cancelled || !begun, "job {job} was cancelled by nobody");
                } else {
                    let (act, _) = script.act(*job, attempt);
                    assert_eq!(kind, Kind::expected(act, requeues), "job {job}, {act:?}");
                }
            }
        }
    }

    fn check_counts(&self) {
        let count = |fits: fn(Kind) -> bool| {
            self.books.ends.values().flatten().filter(|end| fits(end.2)).count() as u64
        };
        let counts = self.summary.counts;
        assert_eq!(counts.running, 0);
        assert_eq!(counts.finished, count(|kind| kind == Kind::Finished));
        assert_eq!(counts.requeued, count(|kind| kind == Kind::Requeued));
        let failed = |kind: Kind| kind.is_final() && kind != Kind::Finished;
        assert_eq!(counts.failed, count(failed));
    }

    fn check_why_it_ended(&self) {
        match &self.summary.ended {
            Ended::Drained => assert!(self.left.is_empty(), "left: {:?}", self.left),
            Ended::Stopped => assert!(self.stopped),
            Ended::NoWorkersLeft => assert!(!self.summary.retired.is_empty()),
            other => panic!("{other:?}"),
        }
    }

    /// Each job's events are its attempts, in their order.
    fn check_jobs_events(&self) {
        let mut told: BTreeMap<usize, Vec<(u32, Kind)>> = BTreeMap::new();
        let mut running: BTreeMap<usize, (WorkerId, u32)> = BTreeMap::new();
        for event in &self.log {
            if let Event::JobStarted { worker, job, attempt } = event {
                let other = running.insert(*job, (*worker, *attempt));
                assert_eq!(other, None, "job {job} starts while it runs");
            } else if let Some((worker, job, kind)) = ending(event) {
                let (by, attempt) = running.remove(&job).expect("a job ends after it started");
                assert_eq!(by, worker, "job {job} ends where it started");
                told.entry(job).or_default().push((attempt, kind));
            }
        }
        assert!(running.is_empty(), "every job that started is said to have ended");
        for (job, told) in told {
            // What was claimed and given back without a start is no event.
            let mut ends = self.books.ends[&job].iter().map(|end| (end.0, end.2));
            assert!(told.iter().all(|told| ends.any(|end| end == *told)), "job {job}: {told:?}");
        }
    }

    /// Each worker does only what it may after what it has been through.
    fn check_health(&self, policy: HealthPolicy) {
        let mut workers: BTreeMap<WorkerId, WorkerHealth> = BTreeMap::new();
        for event in &self.log {
            if let Some((worker, _, kind)) = ending(event) {
                let health = workers.get_mut(&worker).expect("a worker starts first");
                if kind.is_the_workers() {
                    health.record_failure();
                } else if kind == Kind::Finished {
                    health.record_success();
                }
            }
            match event {
                Event::WorkerStarted { worker } => {
                    assert!(workers.insert(*worker, WorkerHealth::new(policy)).is_none());
                }
                Event::JobStarted { worker, .. } => {
                    assert!(workers[worker].is_healthy(), "{worker} gets a job though unhealthy");
                }
                Event::WorkerUnhealthy { worker, health } => {
                    assert_eq!(health, &workers[worker]);
                    assert!(!health.is_healthy());
                }
                Event::WorkerRecovered { worker, health } => {
                    let model = workers.get_mut(worker).unwrap();
                    assert!(model.may_recover(), "{worker} recovers beyond its ration");
                    model.record_recovery(Recovered::Yes);
                    assert_eq!(health, model);
                }
                Event::RecoveryFailed { worker, health } => {
                    let model = workers.get_mut(worker).unwrap();
                    assert!(model.may_recover(), "{worker} recovers beyond its ration");
                    model.record_recovery(Recovered::No);
                    assert_eq!(health, model);
                }
                Event::WorkerRetired { worker, health } => {
                    assert_eq!(workers.remove(worker).as_ref(), Some(health));
                    assert!(!health.is_healthy() && !health.may_recover());
                }
                Event::WorkerStopped { worker } => {
                    let health = workers.remove(worker).expect("a worker leaves once");
                    assert!(health.is_healthy() || self.stopped || health.may_recover());
                }
                _ => {}
            }
        }
        assert!(workers.is_empty(), "every worker is said to have left");
    }
}

/// Whose attempt ended how, if that is what happened.
fn ending(event: &Event<usize, (), String>) -> Option<(WorkerId, usize, Kind)> {
    match event {
        Event::JobFinished { worker, job, .. } => Some((*worker, *job, Kind::Finished)),
        Event::JobFailed { worker, job, error } => Some((*worker, *job, Kind::of_error(error))),
        Event::JobRequeued { worker, job, .. } => Some((*worker, *job, Kind::Requeued)),
        Event::JobReleased { worker, job, error: Some(_) } => Some((*worker, *job, Kind::Released)),
        Event::JobReleased { worker, job, error: None } => Some((*worker, *job, Kind::Cancelled)),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_job_is_lost_and_none_is_done_twice(script in script()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let seen = runtime
            .block_on(async { time::timeout(day, perform(&script)).await })
            .expect("the run ends");
        seen.check(&script);
    }
}
