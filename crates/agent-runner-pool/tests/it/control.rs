//! A run that is watched and steered from outside.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use agent_runner_pool::{
    Context, Ended, Event, Failure, HealthPolicy, Pool, Queue, Recovered, WorkerHealth, WorkerId,
    with_recovery,
};
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

type Outcome = Result<(), Failure<&'static str>>;

async fn takes_a_second(_: usize, _: Context) -> Outcome {
    sleep(SECOND).await;
    Ok(())
}

async fn takes_an_hour(_: usize, _: Context) -> Outcome {
    sleep(HOUR).await;
    Ok(())
}

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).grace(5 * SECOND).build().unwrap()
}

fn left(queue: &Queue<usize>) -> usize {
    std::iter::from_fn(|| queue.pop()).count()
}

#[tokio::test(start_paused = true)]
async fn stop_lets_running_jobs_finish() {
    let queue = Queue::new(0..10);
    let run = pool(3).start(queue.clone(), takes_a_second);
    sleep(SECOND / 2).await;
    run.stop();
    let summary = run.join().await;
    assert!(matches!(summary.ended, Ended::Stopped));
    assert_eq!((summary.counts.finished, left(&queue)), (3, 7));
}

#[tokio::test(start_paused = true)]
async fn cancel_gives_running_jobs_back_after_the_grace() {
    let queue = Queue::new(0..10);
    let start = Instant::now();
    let run = pool(3).start(queue.clone(), takes_an_hour);
    sleep(SECOND).await;
    run.cancel();
    let summary = run.join().await;
    assert_eq!((summary.counts.released, left(&queue)), (3, 10));
    assert_eq!(start.elapsed(), 6 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_grace_overtakes_a_longer_one() {
    let start = Instant::now();
    let run = pool(3).start(Queue::new(0..10), takes_an_hour);
    sleep(SECOND).await;
    run.abort_after(Duration::MAX);
    run.cancel();
    run.abort_after(2 * SECOND);
    run.join().await;
    assert_eq!(start.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_run_gives_its_jobs_back() {
    let queue = Queue::new(0..10);
    let work = pool(3);
    let run = work.run(queue.clone(), takes_an_hour);
    assert!(timeout(SECOND, run).await.is_err());
    sleep(6 * SECOND).await;
    assert_eq!(left(&queue), 10);
}

#[tokio::test(start_paused = true)]
async fn workers_come_and_go_while_it_runs() {
    let queue = Queue::new(0..1000);
    let mut run = pool(2).start(queue, takes_a_second);
    let control = run.control();
    let reader = tokio::spawn(async move {
        while run.next_event().await.is_some() {}
        run.join().await
    });
    let running = async || {
        sleep(3 * SECOND / 2).await;
        control.snapshot().counts.running
    };
    assert_eq!(running().await, 2);
    control.set_workers(5);
    assert_eq!(running().await, 5);
    control.set_workers(1);
    control.set_workers(3);
    assert_eq!(running().await, 3);
    control.set_workers(0);
    assert_eq!(running().await, 0, "none is a pause");
    sleep(HOUR).await;
    assert!(control.snapshot().workers.is_empty());
    control.set_workers(4);
    assert_eq!(running().await, 4);
    control.stop();
    assert!(matches!(reader.await.unwrap().ended, Ended::Stopped));
}

#[tokio::test(start_paused = true)]
async fn there_are_never_more_workers_than_wanted() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, peak) = (Arc::clone(&now), Arc::clone(&most));
    let run = pool(4).start(Queue::new(0..200), move |_: usize, _: Context| {
        let (now, most) = (Arc::clone(&count), Arc::clone(&peak));
        async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            sleep(SECOND).await;
            now.fetch_sub(1, SeqCst);
            Outcome::Ok(())
        }
    });
    let control = run.control();
    let whole = tokio::spawn(run.join());
    for workers in [1, 4, 2, 4, 0, 4] {
        sleep(SECOND / 4).await;
        control.set_workers(workers);
    }
    assert_eq!(whole.await.unwrap().counts.finished, 200);
    assert_eq!(most.load(SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn asking_for_workers_replaces_those_that_retired() {
    let fragile = HealthPolicy { max_consecutive_failures: 1, max_recovery_attempts: 0 };
    let pool = Pool::builder().workers(2).health(fragile).build().unwrap();
    // Worker 0 fails at once; the other one takes its time.
    let work = |_: usize, cx: Context| async move {
        if cx.worker() == WorkerId::new(0) {
            return Err(Failure::Worker("broken"));
        }
        takes_a_second(0, cx).await
    };
    let recover = |_: WorkerId, _: WorkerHealth, _: &&str| async { Recovered::No };
    let mut run = pool.start(Queue::new(0..10), with_recovery(work, recover));
    let mut started = Vec::new();
    while let Some(event) = run.next_event().await {
        match event {
            Event::WorkerStarted { worker } => started.push(worker.number()),
            Event::WorkerRetired { worker, .. } => {
                assert_eq!(worker.number(), 0);
                run.set_workers(2);
            }
            _ => {}
        }
    }
    assert_eq!(started, [0, 1, 2]);
    assert_eq!(run.join().await.counts.finished, 10);
}

#[tokio::test(start_paused = true)]
async fn workers_wait_for_pushes_until_the_queue_is_closed() {
    let queue = Queue::new([]).keep_open();
    let mut run = pool(3).start(queue.clone(), takes_a_second);
    let mut finished = 0;
    sleep(HOUR).await;
    queue.push(1);
    while let Some(event) = run.next_event().await {
        if matches!(event, Event::JobFinished { .. }) {
            finished += 1;
            match finished {
                1..5 => queue.push(finished),
                _ => queue.close(),
            }
        }
    }
    let summary = run.join().await;
    assert!(matches!(summary.ended, Ended::Drained));
    assert_eq!(summary.counts.finished, 5);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_worker_takes_over_from_one_that_retires() {
    let fragile = HealthPolicy { max_consecutive_failures: 1, max_recovery_attempts: 0 };
    let pool = Pool::builder().workers(2).health(fragile).build().unwrap();
    let queue = Queue::new([1]).keep_open();
    let mut run = pool.start(queue.clone(), |_: usize, cx: Context| async move {
        sleep(SECOND).await;
        if cx.attempt() == 1 { Err(Failure::Worker("broken")) } else { Ok(()) }
    });
    let finished = async {
        while let Some(event) = run.next_event().await {
            if matches!(event, Event::JobFinished { .. }) {
                return;
            }
        }
        panic!("the job is not done");
    };
    timeout(3 * SECOND, finished).await.expect("the other worker is told of the job");
    queue.close();
    assert_eq!(run.join().await.retired.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_has_to_read_the_events() {
    let pool = Pool::builder().event_buffer(1).build().unwrap();
    let run = pool.start(Queue::new(0..1000), takes_a_second);
    assert_eq!(run.join().await.counts.finished, 1000);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_slows_the_workers_and_misses_nothing() {
    let pool = Pool::builder().workers(3).event_buffer(2).build().unwrap();
    let mut run = pool.start(Queue::new(0..100), takes_a_second);
    sleep(HOUR).await;
    let begun = run.snapshot().counts;
    assert!(begun.finished + begun.running <= 5, "nobody reads, nobody works: {begun:?}");
    let mut finished = 0;
    while let Some(event) = run.next_event().await {
        finished += usize::from(matches!(event, Event::JobFinished { .. }));
    }
    assert_eq!(finished, 100);
}
