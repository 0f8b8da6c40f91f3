//! Runs a script, with a source that keeps the books.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use agent_runner_pool::{
    Assignment, Context, End, Event, Failure, Handler, Pool, Queue, Recovered, Run, Source,
    SourceError, Stop, Summary, Then, WorkerHealth, WorkerId,
};
use tokio::time::{Instant, sleep};

use super::{
    model::Kind,
    script::{Act, Op, Script},
};

const TIMEOUT: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(2);
pub(crate) const MAX_REQUEUES: u32 = 2;

/// Everything that can be seen of a run from outside.
pub(crate) struct Seen {
    pub(crate) books: Books,
    pub(crate) left: Vec<usize>,
    pub(crate) jobs: usize,
    pub(crate) log: Vec<Event<usize, (), String>>,
    pub(crate) summary: Summary,
    pub(crate) cancelled: bool,
    pub(crate) stopped: bool,
    /// How long it went on after the last possible moment for a cancelled job.
    pub(crate) overtime: Duration,
}

pub(crate) async fn perform(script: &Script) -> Seen {
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

/// A queue that keeps the books, and complains at once.
pub(crate) struct Audited {
    pub(crate) queue: Queue<usize>,
    pub(crate) books: Arc<Mutex<Books>>,
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) out: BTreeMap<usize, WorkerId>,
    pub(crate) begun: BTreeSet<(usize, u32)>,
    pub(crate) ends: BTreeMap<usize, Vec<(u32, u32, Kind)>>,
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

    pub(crate) fn is_ended(&self, job: usize) -> bool {
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

pub(crate) struct Actor {
    pub(crate) script: Script,
    pub(crate) books: Arc<Mutex<Books>>,
    pub(crate) recoveries: Mutex<std::vec::IntoIter<Option<Recovered>>>,
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
