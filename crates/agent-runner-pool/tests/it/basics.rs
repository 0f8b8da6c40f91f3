//! What the README promises, one by one.

use std::time::Duration;

use agent_runner_pool::{
    Context, Ended, Event, Failure, HealthPolicy, Pool, Queue, Recovered, with_recovery,
};

type Outcome<T> = Result<T, Failure<String>>;

#[tokio::test(start_paused = true)]
async fn works_through_a_list() {
    let pool = Pool::builder().workers(3).build().unwrap();
    let summary = pool
        .run(Queue::new(1..=100), |n: u32, _: Context| async move {
            if n.is_multiple_of(10) { Err(Failure::Job(format!("{n} is round"))) } else { Ok(n) }
        })
        .await;
    assert!(matches!(summary.ended, Ended::Drained));
    assert_eq!((summary.counts.finished, summary.counts.failed), (90, 10));
}

#[tokio::test(start_paused = true)]
async fn when_no_worker_is_left_the_jobs_are_still_there() {
    let pool = Pool::builder().workers(2).max_requeues(u32::MAX).build().unwrap();
    let queue = Queue::new(0..10_u32);
    let broken = |_: u32, _: Context| async { Outcome::<()>::Err(Failure::Worker("gone".into())) };
    let summary = pool
        .run(queue.clone(), with_recovery(broken, |_, _, _: &String| async { Recovered::No }))
        .await;
    assert!(matches!(summary.ended, Ended::NoWorkersLeft), "{summary:?}");
    assert_eq!(summary.retired.len(), 2);
    let mut left: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
    left.sort_unstable();
    assert_eq!(left, (0..10).collect::<Vec<_>>(), "no job is lost or failed");
}

#[tokio::test(start_paused = true)]
async fn cancelling_gives_running_jobs_back() {
    let policy = HealthPolicy { max_consecutive_failures: 1, ..HealthPolicy::default() };
    let pool = Pool::builder().workers(2).health(policy).build().unwrap();
    let queue = Queue::new(0..10_u32);
    let mut run = pool.start(queue.clone(), |_: u32, _: Context| async {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Outcome::Ok(())
    });
    let mut released = 0;
    while let Some(event) = run.next_event().await {
        match event {
            Event::JobStarted { .. } => run.cancel(),
            Event::JobReleased { error: None, .. } => released += 1,
            _ => {}
        }
    }
    let summary = run.join().await;
    assert!(matches!(summary.ended, Ended::Stopped));
    assert_eq!(summary.counts.released, released);
    assert_eq!(std::iter::from_fn(|| queue.pop()).count(), 10);
}
