//! A job that does nothing, through the pool and through a bare `JoinSet` bounded by a semaphore; and
//! the memory of a million jobs that an iterator makes.

#![expect(clippy::print_stdout, reason = "a benchmark prints its numbers")]

use std::{fs, hint::black_box, sync::Arc, time::Instant};

use agent_runner_pool::{Context, Event, Failure, Pool, Queue};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
    task::{JoinSet, yield_now},
};

const WORKERS: usize = 8;

/// How often a job gives way to others: 0 does nothing at all, 1 makes the scheduler take part.
type Pauses = u32;

fn main() {
    let quick = std::env::args().any(|arg| arg == "--test")
        || std::env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some_and(|quick| quick == "1");
    let (jobs, rounds, many) = if quick { (1_000, 1, 10_000) } else { (100_000, 11, 1_000_000) };

    // First, since the other cases leave memory behind.
    memory(many);
    for (name, runtime) in [("current_thread", current_thread()), ("multi_thread", multi_thread())]
    {
        let case = |case: &str| format!("{case}, {name}");
        let compared = Compared { runtime, jobs, rounds };
        compared.print(&case("no-op job"), "<= 1.5", 0, pool);
        compared.print(&case("job that yields once"), "<= 1.5", 1, pool);
        compared.print(&case("no-op job, events read"), "<= 1.5", 0, events);
    }
}

async fn job(number: u32, pauses: Pauses) -> Result<u32, Failure<std::io::Error>> {
    for _ in 0..pauses {
        yield_now().await;
    }
    Ok(black_box(number))
}

async fn pool(jobs: u32, pauses: Pauses) {
    let pool = Pool::builder().workers(WORKERS).build().expect("the settings are possible");
    let work = move |number: u32, _: Context| job(number, pauses);
    let summary = pool.run(Queue::new(0..jobs), work).await;
    assert_eq!(summary.counts.finished, u64::from(jobs));
}

async fn events(jobs: u32, pauses: Pauses) {
    let pool = Pool::builder().workers(WORKERS).build().expect("the settings are possible");
    let work = move |number: u32, _: Context| job(number, pauses);
    let mut run = pool.start(Queue::new(0..jobs), work);
    let mut finished = 0;
    while let Some(event) = run.next_event().await {
        finished += u32::from(matches!(event, Event::JobFinished { .. }));
    }
    assert_eq!(finished, jobs);
}

/// What everybody writes first: no health, no events, nothing given back.
async fn join_set(jobs: u32, pauses: Pauses) {
    let permits = Arc::new(Semaphore::new(WORKERS));
    let mut tasks = JoinSet::new();
    let mut finished = 0;
    for number in 0..jobs {
        let permit = Arc::clone(&permits).acquire_owned().await.expect("nobody closes it");
        tasks.spawn(async move {
            let result = job(number, pauses).await;
            drop(permit);
            result
        });
        while let Some(result) = tasks.try_join_next() {
            finished += u32::from(result.is_ok_and(|result| result.is_ok()));
        }
    }
    while let Some(result) = tasks.join_next().await {
        finished += u32::from(result.is_ok_and(|result| result.is_ok()));
    }
    assert_eq!(finished, jobs);
}

struct Compared {
    runtime: Runtime,
    jobs: u32,
    rounds: usize,
}

impl Compared {
    fn print<F>(&self, case: &str, goal: &str, pauses: Pauses, ours: fn(u32, Pauses) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (mut our, mut limit) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            our.push(self.time(ours(self.jobs, pauses)));
            limit.push(self.time(join_set(self.jobs, pauses)));
        }
        let (our, limit) = (median(our), median(limit));
        println!(
            r#"{{"bench":"pool","case":"{case}","ours":{our:.3},"limit":{limit:.3},"unit":"us","ratio":{:.2},"goal":"{goal}","jobs":{},"workers":{WORKERS}}}"#,
            our / limit,
            self.jobs
        );
    }

    /// Microseconds a job. The work runs inside the runtime, so that neither side pays for the way from
    /// one thread to another.
    fn time(&self, work: impl Future<Output = ()> + Send + 'static) -> f64 {
        let start = Instant::now();
        let work = self.runtime.spawn(work);
        self.runtime.block_on(work).expect("the work does not panic");
        start.elapsed().as_secs_f64() * 1e6 / f64::from(self.jobs)
    }
}

/// The peak memory of a run over jobs with some text in each, against that of a run over few.
fn memory(many: u32) {
    let runtime = current_thread();
    let run = |jobs: u32| {
        runtime.block_on(async {
            let pool = Pool::builder().workers(WORKERS).build().expect("the settings are possible");
            let prompts = (0..jobs).map(|n| format!("task {n}: {}", "make it so. ".repeat(20)));
            let work = |prompt: String, _: Context| async move {
                job(black_box(prompt).capacity().try_into().unwrap_or(0), 1).await
            };
            let summary = pool.run(Queue::new(prompts), work).await;
            assert_eq!(summary.counts.finished, u64::from(jobs));
        });
        peak_kib()
    };
    let (few, many_kib) = (run(1_000), run(many));
    if let (Some(limit), Some(ours)) = (few, many_kib) {
        println!(
            r#"{{"bench":"pool","case":"memory of many lazy jobs against 1000","ours":{ours},"limit":{limit},"unit":"KiB","ratio":{:.2},"goal":"<= 1.1","jobs":{many}}}"#,
            f64::from(ours) / f64::from(limit)
        );
    }
}

/// The peak resident memory of this process, where the system tells.
fn peak_kib() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime can be made")
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().enable_time().build().expect("a runtime can be made")
}
