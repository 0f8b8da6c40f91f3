//! Sources other than the queue, good ones and bad ones.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use agent_runner_pool::{
    Assignment, Context, End, Ended, Failure, Pool, Queue, Source, SourceError, Stop, Then,
    WorkerId,
};
use tokio::time::sleep;

/// A store that fuses the settling of a job with the next claim, and may fail at either.
struct Store {
    jobs: Mutex<Vec<u32>>,
    settled: Mutex<Vec<u32>>,
    calls_of_next: AtomicUsize,
    trouble: Trouble,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    NextFails,
    SettleFails,
    NextPanics,
}

impl Store {
    fn new(jobs: u32, trouble: Trouble) -> Arc<Self> {
        Arc::new(Self {
            jobs: Mutex::new((0..jobs).rev().collect()),
            settled: Mutex::default(),
            calls_of_next: AtomicUsize::new(0),
            trouble,
        })
    }

    fn claim(&self) -> Option<Assignment<u32>> {
        self.jobs.lock().unwrap().pop().map(Assignment::new)
    }
}

struct Shared(Arc<Store>);

impl Source<(), &'static str> for Shared {
    type Job = u32;

    async fn next(&self, _: WorkerId, _: &Stop) -> Result<Option<Assignment<u32>>, SourceError> {
        let calls = self.0.calls_of_next.fetch_add(1, SeqCst) + 1;
        match self.0.trouble {
            Trouble::NextFails if calls == 3 => Err("the disk is full".into()),
            Trouble::NextPanics if calls == 3 => panic!("a bug in the store"),
            _ => Ok(self.0.claim()),
        }
    }

    async fn settle(
        &self,
        _: WorkerId,
        assignment: Assignment<u32>,
        end: &End<(), &'static str>,
        then: Then,
    ) -> Result<Option<Assignment<u32>>, SourceError> {
        if self.0.trouble == Trouble::SettleFails && assignment.job == 3 {
            return Err("the disk is full".into());
        }
        match end {
            End::Finished(()) => self.0.settled.lock().unwrap().push(assignment.job),
            // A claim that came while the run was being stopped.
            End::Cancelled => self.0.jobs.lock().unwrap().push(assignment.job),
            end => panic!("{end:?}"),
        }
        let fused = self.0.trouble == Trouble::None && then == Then::Next;
        Ok(if fused { self.0.claim() } else { None })
    }
}

async fn work(job: u32, _: Context) -> Result<(), Failure<&'static str>> {
    sleep(Duration::from_secs(u64::from(job + 1))).await;
    Ok(())
}

fn pool() -> Pool {
    Pool::builder().workers(2).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_fused_claim_saves_the_calls() {
    let store = Store::new(20, Trouble::None);
    let summary = pool().run(Shared(Arc::clone(&store)), work).await;
    assert_eq!(summary.counts.finished, 20);
    assert_eq!(store.calls_of_next.load(SeqCst), 4, "one at the start and one at the end of each");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_ends_the_run_and_says_why() {
    for (trouble, settled) in [(Trouble::NextFails, 2), (Trouble::SettleFails, 3)] {
        let store = Store::new(20, trouble);
        let summary = pool().run(Shared(Arc::clone(&store)), work).await;
        let Ended::SourceFailed(error) = summary.ended else { panic!("{summary:?}") };
        assert_eq!(error.to_string(), "the disk is full");
        assert!(store.settled.lock().unwrap().len() >= settled, "the other worker finished");
        assert!(!store.jobs.lock().unwrap().is_empty(), "and took nothing more");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_source_reaches_the_caller() {
    let store = Store::new(20, Trouble::NextPanics);
    let source = Shared(Arc::clone(&store));
    let run = tokio::spawn(async move { pool().run(source, work).await });
    assert!(run.await.unwrap_err().is_panic());
    assert_eq!(store.settled.lock().unwrap().len(), 2, "the other worker finished its job");
}

#[tokio::test(start_paused = true)]
async fn an_iterator_is_only_asked_for_what_is_wanted() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let jobs = (0..u32::MAX).inspect(move |_| {
        count.fetch_add(1, SeqCst);
    });
    let run = pool().start(Queue::new(jobs), |_: u32, cx: Context| work(0, cx));
    sleep(Duration::from_millis(500)).await;
    assert_eq!(asked.load(SeqCst), 2, "one job a worker");
    run.cancel();
    run.join().await;
}

#[test]
fn it_works_on_many_threads() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let work = move |job: u32, cx: Context| {
        let log = Arc::clone(&log);
        async move {
            tokio::task::yield_now().await;
            if job.is_multiple_of(3) && cx.attempt() == 1 {
                return Err(Failure::Release("later"));
            }
            log.lock().unwrap().push(job);
            Ok(())
        }
    };
    let pool = Pool::builder().workers(8).build().unwrap();
    let queue = Queue::new(0..20_000).rest(Duration::ZERO);
    let summary = runtime.unwrap().block_on(pool.run(queue, work));
    assert_eq!(summary.counts.finished, 20_000);
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_unstable();
    assert_eq!(seen, (0..20_000).collect::<Vec<_>>(), "each job is done once");
}
