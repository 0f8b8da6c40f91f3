//! What becomes of a job and of its worker, one kind of end at a time.

use std::{sync::Arc, time::Duration};

use agent_runner_pool::{
    BuildError, Cancelled, Context, Ended, Event, Failure, Handler, HealthPolicy, JobError, Pool,
    PoolBuilder, Queue, Recovered, WorkerHealth, WorkerId, with_recovery,
};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

type Outcome = Result<u32, Failure<&'static str>>;

fn one_worker() -> PoolBuilder {
    Pool::builder().workers(1)
}

/// Runs two jobs on one worker, and says why the first one failed. The second has to get done.
async fn failure_of<H>(pool: PoolBuilder, handler: H) -> Arc<JobError<&'static str>>
where
    H: Handler<u32, Output = u32, Error = &'static str>,
{
    let mut run = pool.build().unwrap().start(Queue::new(0..2), handler);
    let mut failure = None;
    while let Some(event) = run.next_event().await {
        if let Event::JobFailed { job: 0, error, .. } = event {
            failure = Some(error);
        }
    }
    let summary = run.join().await;
    assert_eq!(summary.counts.finished, 1, "the worker goes on: {summary:?}");
    failure.expect("the first job fails")
}

async fn never() -> Outcome {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_job_is_told() {
    let failed = failure_of(one_worker(), |job: u32, _: Context| async move {
        if job == 0 { Err(Failure::Job("no")) } else { Ok(job) }
    });
    assert!(matches!(*failed.await, JobError::Failed("no")));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_the_jobs_failure_wherever_it_happens() {
    let late = |job: u32, _: Context| async move {
        sleep(SECOND).await;
        assert!(job > 0, "job {job} breaks");
        Outcome::Ok(job)
    };
    let at_once = |job: u32, _: Context| {
        assert!(job > 0, "job {job} breaks");
        async move { Outcome::Ok(job) }
    };
    for failure in [failure_of(one_worker(), late).await, failure_of(one_worker(), at_once).await] {
        assert_eq!(failure.to_string(), "the job panicked: job 0 breaks");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_ignores_its_timeout_is_dropped_after_the_grace() {
    struct PanicsWhenDropped;
    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("dropped"));
        }
    }
    let start = Instant::now();
    let pool = one_worker().timeout(5 * SECOND).grace(2 * SECOND);
    let failure = failure_of(pool, |job: u32, _: Context| async move {
        if job == 0 {
            let _guard = PanicsWhenDropped;
            return never().await;
        }
        Ok(job)
    });
    assert!(matches!(*failure.await, JobError::TimedOut { after } if after == 5 * SECOND));
    assert_eq!(start.elapsed(), 7 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_job_hears_of_its_timeout_and_may_still_get_done() {
    let work = |_: u32, cx: Context| async move {
        assert_eq!(cx.time_left(), Some(5 * SECOND));
        assert_eq!(cx.cancelled().await, Cancelled::TimedOut);
        sleep(SECOND).await;
        Outcome::Ok(1)
    };
    let pool = one_worker().timeout(5 * SECOND).build().unwrap();
    assert_eq!(pool.run(Queue::new([0]), work).await.counts.finished, 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_may_have_a_timeout_of_its_own() {
    struct Sleeper;
    impl Handler<u32> for Sleeper {
        type Output = u32;
        type Error = &'static str;

        async fn run(&self, job: &u32, _: &Context) -> Outcome {
            if *job == 0 { never().await } else { Ok(*job) }
        }

        fn timeout(&self, job: &u32) -> Option<Duration> {
            (*job == 0).then_some(SECOND)
        }
    }
    let failure = failure_of(one_worker().timeout(60 * SECOND), Sleeper).await;
    assert!(matches!(*failure, JobError::TimedOut { after } if after == SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_limit_goes_back_and_costs_nobody() {
    let work = |job: u32, cx: Context| async move {
        if cx.attempt() <= 10 { Err(Failure::Release("429")) } else { Outcome::Ok(job) }
    };
    let start = Instant::now();
    let summary = one_worker().build().unwrap().run(Queue::new([7]), work).await;
    assert_eq!((summary.counts.released, summary.counts.finished), (10, 1));
    assert!(summary.retired.is_empty());
    assert_eq!(start.elapsed(), 10 * SECOND, "the worker rested each time");
}

#[tokio::test(start_paused = true)]
async fn three_failures_in_a_row_lead_to_recovery_with_waits() {
    let start = Instant::now();
    let work = |job: u32, cx: Context| async move {
        if cx.attempt() <= 3 { Err(Failure::Worker("crash")) } else { Outcome::Ok(job) }
    };
    let recover = move |worker: WorkerId, health: WorkerHealth, error: &&'static str| {
        assert_eq!((worker.number(), *error), (0, "crash"));
        assert_eq!(health.consecutive_failures(), 3);
        let (attempt, waited) = (health.recovery_attempts(), start.elapsed());
        async move {
            assert_eq!(waited.as_secs(), [1, 3, 7][attempt as usize], "1 s, then 2 s, then 4 s");
            if attempt == 2 { Recovered::Yes } else { Recovered::No }
        }
    };
    let pool = one_worker().build().unwrap();
    let summary = pool.run(Queue::new([0]), with_recovery(work, recover)).await;
    assert_eq!((summary.counts.requeued, summary.counts.finished), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_breaks_every_worker_is_given_up() {
    let failure = failure_of(one_worker().max_requeues(2), |job: u32, _: Context| async move {
        if job == 0 { Err(Failure::Worker("crash")) } else { Ok(job) }
    });
    assert!(
        matches!(*failure.await, JobError::GivenUp { times: 3, ref last } if **last == "crash")
    );
}

#[tokio::test(start_paused = true)]
async fn when_no_worker_is_left_the_jobs_are_still_there() {
    let broken = |_: u32, _: Context| async { Outcome::Err(Failure::Worker("gone")) };
    let hopeless = |_: WorkerId, _: WorkerHealth, _: &&str| async { Recovered::No };
    let queue = Queue::new(0..10);
    let pool = Pool::builder().workers(2).max_requeues(u32::MAX).build().unwrap();
    let summary = pool.run(queue.clone(), with_recovery(broken, hopeless)).await;
    assert!(matches!(summary.ended, Ended::NoWorkersLeft), "{summary:?}");
    assert!(summary.retired.iter().all(|(_, health)| health.recovery_attempts() == 5));
    let mut left: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
    left.sort_unstable();
    assert_eq!(left, (0..10).collect::<Vec<_>>(), "no job is lost or failed");
}

#[test]
fn impossible_settings_are_refused() {
    let refused = |pool: PoolBuilder| pool.build().unwrap_err();
    let never_well = HealthPolicy { max_consecutive_failures: 0, ..HealthPolicy::default() };
    let settings = [
        (Pool::builder().workers(0), "workers"),
        (Pool::builder().workers(usize::MAX), "workers"),
        (Pool::builder().event_buffer(0), "event_buffer"),
        (Pool::builder().health(never_well), "max_consecutive_failures"),
    ];
    for (pool, name) in settings {
        assert!(matches!(refused(pool), BuildError::OutOfRange { setting, .. } if setting == name));
    }
    assert_eq!(refused(Pool::builder().timeout(Duration::ZERO)), BuildError::NoTime);
}
