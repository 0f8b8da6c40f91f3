//! Three ways in which a simple pool loses work. Each is shown with that pool first, so that the test
//! is known to see the loss, and then with ours.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use agent_runner_pool::{
    Context, Ended, Event, Failure, HealthPolicy, Pool, Queue, Recovered, WorkerId, with_recovery,
};
use tokio::{
    sync::{Notify, oneshot},
    task::JoinSet,
    time::{sleep, timeout},
};

/// What a job does on a worker: it fails when the worker is broken.
#[derive(Clone, Copy)]
struct Job {
    takes: Duration,
    /// The worker that fails under it, and how often.
    broken: Option<(u32, u32)>,
}

impl Job {
    async fn run(self, worker: u32, attempt: u32) -> Result<u32, String> {
        sleep(self.takes).await;
        match self.broken {
            Some((broken, times)) if worker == broken && attempt <= times => {
                Err(format!("worker {worker} is broken"))
            }
            _ => Ok(worker),
        }
    }
}

/// The simple pool: a queue that workers leave when it is empty for a second, a recovery that decides
/// over the job, and a list of results at the end.
mod simple {
    use super::*;

    #[derive(Default)]
    struct Tasks {
        queue: Mutex<VecDeque<(Job, u32)>>,
        put: Notify,
    }

    impl Tasks {
        async fn get(&self) -> (Job, u32) {
            loop {
                let put = self.put.notified();
                if let Some(task) = self.queue.lock().unwrap().pop_front() {
                    return task;
                }
                put.await;
            }
        }

        fn put(&self, job: Job, attempt: u32) {
            self.queue.lock().unwrap().push_back((job, attempt));
            self.put.notify_one();
        }
    }

    pub(crate) async fn run(
        jobs: &[Job],
        workers: u32,
        recover: fn(u32) -> bool,
    ) -> Vec<Result<u32, String>> {
        let tasks = Arc::new(Tasks::default());
        for &job in jobs {
            tasks.put(job, 1);
        }
        let results = Arc::new(Mutex::new(Vec::new()));
        let mut crew = JoinSet::new();
        for worker in 0..workers {
            let (tasks, results) = (Arc::clone(&tasks), Arc::clone(&results));
            crew.spawn(async move {
                let mut recoveries = 0;
                while let Ok((job, attempt)) = timeout(Duration::from_secs(1), tasks.get()).await {
                    let result = job.run(worker, attempt).await;
                    if result.is_err() && recoveries < 5 {
                        recoveries += 1;
                        if recover(recoveries) {
                            tasks.put(job, attempt + 1);
                            continue;
                        }
                    }
                    results.lock().unwrap().push(result);
                }
            });
        }
        crew.join_all().await;
        std::mem::take(&mut *results.lock().unwrap())
    }
}

/// Ours, with the same jobs and the same recovery.
async fn ours(jobs: &[Job], workers: usize, recover: fn(u32) -> bool) -> Vec<Result<u32, String>> {
    let run = |job: Job, cx: Context| async move {
        job.run(cx.worker().number(), cx.attempt()).await.map_err(Failure::Worker)
    };
    let handler = with_recovery(run, move |_: WorkerId, health, _: &String| {
        let health: agent_runner_pool::WorkerHealth = health;
        let recovered = recover(health.recovery_attempts() + 1);
        async move { if recovered { Recovered::Yes } else { Recovered::No } }
    });
    let each = HealthPolicy { max_consecutive_failures: 1, ..HealthPolicy::default() };
    let pool = Pool::builder().workers(workers).health(each).build().unwrap();
    let mut run = pool.start(Queue::new(jobs.to_vec()), handler);
    let mut results = Vec::new();
    while let Some(event) = run.next_event().await {
        match event {
            Event::JobFinished { output, .. } => results.push(Ok(output)),
            Event::JobFailed { error, .. } => results.push(Err(error.to_string())),
            _ => {}
        }
    }
    assert!(matches!(run.join().await.ended, Ended::Drained));
    results
}

#[tokio::test(start_paused = true)]
async fn a_worker_waits_while_another_may_give_its_job_back() {
    // Worker 0 takes the only job, is broken for good, and believes that it has recovered.
    let job = Job { takes: Duration::from_secs(5), broken: Some((0, u32::MAX)) };

    let simple = simple::run(&[job], 2, |_| true).await;
    assert!(simple[0].is_err(), "control: worker 1 left after a second: {simple:?}");

    let ours = ours(&[job], 2, |_| true).await;
    assert_eq!(ours, [Ok(1)], "worker 1 was there to take the job over");
}

#[tokio::test(start_paused = true)]
async fn a_failed_recovery_does_not_fail_the_job() {
    let job = Job { takes: Duration::from_millis(10), broken: Some((0, 1)) };

    let simple = simple::run(&[job], 1, |attempt| attempt > 1).await;
    assert!(simple[0].is_err(), "control: the job pays for the recovery: {simple:?}");

    let ours = ours(&[job], 1, |attempt| attempt > 1).await;
    assert_eq!(ours, [Ok(0)], "recovery was tried again, and then the job");
}

#[tokio::test(start_paused = true)]
async fn results_are_seen_when_they_are_there() {
    let short = Job { takes: Duration::from_secs(1), broken: None };
    let long = Job { takes: Duration::from_secs(3600), broken: None };
    let minute = Duration::from_secs(60);

    let simple = timeout(minute, simple::run(&[short, long], 2, |_| true)).await;
    assert!(simple.is_err(), "control: after a minute there is nothing to see");

    let (seen, first) = oneshot::channel();
    let pool = Pool::builder().workers(2).build().unwrap();
    let mut run = pool.start(Queue::new([short, long]), |job: Job, _: Context| async move {
        job.run(0, 1).await.map_err(Failure::Job)
    });
    let reader = tokio::spawn(async move {
        while let Some(event) = run.next_event().await {
            if let Event::JobFinished { output, .. } = event {
                return seen.send(output);
            }
        }
        Ok(())
    });
    assert_eq!(timeout(minute, first).await, Ok(Ok(0)), "the short job's result is out");
    reader.await.unwrap().unwrap();
}
