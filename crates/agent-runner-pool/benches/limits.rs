//! A job that does nothing, through the pool and through a bare `JoinSet` bounded by a semaphore; and
//! the memory of a million jobs that an iterator makes.

#![expect(clippy::print_stdout, reason = "a benchmark prints its numbers")]

use std::{
    fs,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use agent_runner_pool::{Context, Event, Failure, Pool, Queue};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
    task::JoinSet,
};

const WORKERS: usize = 8;

fn main() {
    let quick = std::env::args().any(|arg| arg == "--test")
        || std::env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some_and(|quick| quick == "1");
    let (jobs, rounds, many) = if quick { (1_000, 1, 10_000) } else { (100_000, 11, 1_000_000) };

    // First, since the other cases leave memory behind.
    memory(many);
    for (name, runtime) in [("current_thread", current_thread()), ("multi_thread", multi_thread())]
    {
        compare(&format!("no-op job, {name}"), "<= 1.5", &runtime, jobs, rounds, pool);
        compare(
            &format!("no-op job with events read, {name}"),
            "-",
            &runtime,
            jobs,
            rounds,
            events,
        );
    }
}

async fn job(number: u64) -> Result<u64, Failure<std::io::Error>> {
    Ok(black_box(number))
}

async fn pool(jobs: u64) {
    let pool = Pool::builder().workers(WORKERS).build().expect("the settings are possible");
    let summary = pool.run(Queue::new(0..jobs), |number: u64, _: Context| job(number)).await;
    assert_eq!(summary.counts.finished, jobs);
}

async fn events(jobs: u64) {
    let pool = Pool::builder().workers(WORKERS).build().expect("the settings are possible");
    let mut run = pool.start(Queue::new(0..jobs), |number: u64, _: Context| job(number));
    let mut finished = 0;
    while let Some(event) = run.next_event().await {
        finished += u64::from(matches!(event, Event::JobFinished { .. }));
    }
    assert_eq!(finished, jobs);
}

/// What everybody writes first: no health, no events, nothing given back.
async fn join_set(jobs: u64) {
    let permits = Arc::new(Semaphore::new(WORKERS));
    let mut tasks = JoinSet::new();
    let mut finished = 0;
    for number in 0..jobs {
        let permit = Arc::clone(&permits).acquire_owned().await.expect("nobody closes it");
        tasks.spawn(async move {
            let result = job(number).await;
            drop(permit);
            result
        });
        while let Some(result) = tasks.try_join_next() {
            finished += u64::from(result.is_ok());
        }
    }
    while let Some(result) = tasks.join_next().await {
        finished += u64::from(result.is_ok());
    }
    assert_eq!(finished, jobs);
}

fn compare<F: Future<Output = ()> + Send + 'static>(
    case: &str,
    goal: &str,
    runtime: &Runtime,
    jobs: u64,
    rounds: usize,
    ours: fn(u64) -> F,
) {
    let (mut our, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        our.push(time(runtime, ours(jobs)));
        limit.push(time(runtime, join_set(jobs)));
    }
    let each = |times: Vec<Duration>| median(times).as_secs_f64() * 1e6 / jobs as f64;
    let (our, limit) = (each(our), each(limit));
    println!(
        r#"{{"bench":"pool","case":"{case}","ours":{our:.3},"limit":{limit:.3},"unit":"us","ratio":{:.2},"goal":"{goal}","jobs":{jobs},"workers":{WORKERS}}}"#,
        our / limit
    );
}

/// The peak memory of a run over jobs with some text in each, against that of a run over few.
fn memory(many: u64) {
    let runtime = current_thread();
    let run = |jobs: u64| {
        runtime.block_on(async {
            let pool = Pool::builder().workers(WORKERS).build().expect("the settings are possible");
            let prompts = (0..jobs).map(|n| format!("task {n}: {}", "make it so. ".repeat(20)));
            let work = |prompt: String, _: Context| job(prompt.len() as u64);
            assert_eq!(pool.run(Queue::new(prompts), work).await.counts.finished, jobs);
        });
        peak_kib()
    };
    let (few, many_kib) = (run(1_000), run(many));
    if let (Some(limit), Some(ours)) = (few, many_kib) {
        println!(
            r#"{{"bench":"pool","case":"memory of many lazy jobs against 1000","ours":{ours},"limit":{limit},"unit":"KiB","ratio":{:.2},"goal":"<= 1.1","jobs":{many}}}"#,
            ours as f64 / limit as f64
        );
    }
}

/// The peak resident memory of this process, where the system tells.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn time(runtime: &Runtime, work: impl Future<Output = ()> + Send + 'static) -> Duration {
    let start = Instant::now();
    // From inside, so that neither side pays for the way from one thread to another.
    runtime.block_on(async { tokio::spawn(work).await.expect("the work does not panic") });
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime can be made")
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().enable_time().build().expect("a runtime can be made")
}
