//! Durable claim + complete beside the same rows through raw SQLite group commit, at several sizes.
//!
//! Each pair of measurements starts from the same file and is taken turn by turn.
#![expect(clippy::print_stdout, reason = "the results are the output")]

use std::{
    collections::VecDeque,
    fs,
    path::Path,
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use agent_runner_task_store::{
    Budget, Claim, ClaimRequest, NewTask, Report, SqliteStore, Takes, TaskId, TaskStore, Verdict,
    Worker,
};
use rusqlite::Connection;
use serde_json::json;
use tokio::{runtime::Runtime, sync::oneshot};

fn main() {
    let quick = std::env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some_and(|on| on == "1")
        || std::env::args().any(|argument| argument == "--test");
    let scale = if quick { Scale::QUICK } else { Scale::FULL };
    let runtime = Runtime::new().expect("a runtime can be built");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let backlogs = [
        Backlog { name: "10k ready", ready: scale.small, finished: 0 },
        Backlog { name: "10k ready, 1M finished", ready: scale.small, finished: scale.large },
        Backlog { name: "1M ready", ready: scale.large, finished: 0 },
    ];
    for backlog in backlogs {
        let template = folder.path().join("template.db");
        runtime.block_on(backlog.fill(&template));
        for workers in [1, 8, 64] {
            compare(&runtime, &scale, backlog.name, &template, workers);
        }
        runtime.block_on(look(backlog.name, &template));
        fs::remove_file(&template).expect("the template is ours");
    }
    crowd(&runtime, &scale, folder.path());
}

/// How much of everything.
struct Scale {
    small: u64,
    large: u64,
    crowd: u64,
    rounds: u32,
    /// Tasks a round for 1, 8 and 64 workers.
    tasks: fn(u32) -> u64,
}

impl Scale {
    const FULL: Self = Self {
        small: 70_000,
        large: 1_000_000,
        crowd: 10_000,
        rounds: 3,
        tasks: |workers| match workers {
            1 => 2_000,
            8 => 20_000,
            _ => 50_000,
        },
    };
    const QUICK: Self = Self { small: 400, large: 1_000, crowd: 1_000, rounds: 1, tasks: |_| 100 };
}

struct Backlog {
    name: &'static str,
    ready: u64,
    finished: u64,
}

impl Backlog {
    /// Makes the file that the measurements start from, and measures adding on the way.
    async fn fill(&self, path: &Path) {
        let store = SqliteStore::open(path).expect("the store opens");
        let total = self.ready + self.finished;
        let (begun, cpu) = (Instant::now(), cpu_time());
        let tasks = (0..total).map(|n| Ok(task(n)));
        store.import(Box::new(tasks)).await.expect("the tasks are good");
        let import = begun.elapsed();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let cpu_us = cpu_since(cpu).as_secs_f64() * 1e6 / total as f64;
        line(&json!({
            "bench": "store", "case": format!("import {total}"), "unit": "tasks/s",
            "ours": round(per_second(total, import)), "cpu_us": round(cpu_us), "goal": ">= 100000",
        }));
        drop(store);
        if self.finished > 0 {
            finish_all(path, self.finished);
        }
    }
}

/// Makes the first tasks of a store finished, faster than by running them.
fn finish_all(path: &Path, finished: u64) {
    let conn = Connection::open(path).expect("the file is there");
    let count = i64::try_from(finished).expect("a small number");
    conn.execute_batch(&format!(
        "BEGIN;
         INSERT INTO worker VALUES (1, 'bench', 'here', 1, 0);
         UPDATE task SET state = 5, attempt = 1, worker = 1, started = 1, finished = 2
         WHERE seq <= {count};
         INSERT INTO attempt SELECT seq, 1, 1, 1, 2, '{{}}' FROM task WHERE seq <= {count};
         UPDATE counter SET tasks = tasks + CASE state WHEN 5 THEN {count} ELSE -{count} END
         WHERE state IN (0, 5);
         COMMIT;
         PRAGMA wal_checkpoint(TRUNCATE);"
    ))
    .expect("the schema is known");
}

fn task(n: u64) -> NewTask {
    NewTask {
        id: TaskId::new(format!("task-{n:07}")).ok(),
        prompt: format!("Fix the flaky test number {n} and explain what was wrong with it"),
        ..NewTask::default()
    }
}

/// What one round of one contender showed.
#[derive(Clone, Copy)]
struct Sample {
    rate: f64,
    worst: Duration,
    cpu_us: f64,
}

fn compare(runtime: &Runtime, scale: &Scale, backlog: &str, template: &Path, workers: u32) {
    let tasks = (scale.tasks)(workers);
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        let path = template.with_file_name("round.db");
        fs::copy(template, &path).expect("there is space");
        let store = Arc::new(SqliteStore::open(&path).expect("the store opens"));
        ours.push(measure(runtime, workers, tasks, &Contender::Ours(store)));
        remove(&path);
        fs::copy(template, &path).expect("there is space");
        let writer = Arc::new(RawWriter::start(&path));
        raw.push(measure(runtime, workers, tasks, &Contender::Raw(writer)));
        remove(&path);
    }
    let (worst, cpu) =
        (median(&ours, |s| s.worst.as_secs_f64() * 1e3), median(&ours, |s| s.cpu_us));
    let (ours, raw_rate) = (median(&ours, |s| s.rate), median(&raw, |s| s.rate));
    line(&json!({
        "bench": "store", "case": format!("claim + complete, {workers} workers, {backlog}"),
        "unit": "us", "ours": round(1e6 / ours), "limit": round(1e6 / raw_rate),
        "ratio": round(raw_rate / ours), "goal": "<= 1.5",
        "tasks_per_s": round(ours), "limit_tasks_per_s": round(raw_rate),
        "cpu_us": round(cpu), "limit_cpu_us": round(median(&raw, |s| s.cpu_us)),
        "worst_wait_ms": round(worst),
        "limit_worst_wait_ms": round(median(&raw, |s| s.worst.as_secs_f64() * 1e3)),
    }));
}

fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", path.display());
        // The log is gone already when the last connection was closed in order.
        fs::remove_file(file).ok();
    }
}

#[derive(Clone)]
enum Contender {
    Ours(Arc<SqliteStore>),
    /// Ours, where a worker may find that all that is left is in the way of what runs.
    Crowd(Arc<SqliteStore>),
    Raw(Arc<RawWriter>),
}

/// Lets `workers` claim and complete `tasks` together.
fn measure(runtime: &Runtime, workers: u32, tasks: u64, contender: &Contender) -> Sample {
    let left = Arc::new(Mutex::new(tasks));
    let (begun, cpu) = (Instant::now(), cpu_time());
    let worst = runtime.block_on(async {
        let mut running = Vec::new();
        for number in 0..workers {
            let (contender, left) = (contender.clone(), Arc::clone(&left));
            running.push(tokio::spawn(async move {
                match contender {
                    Contender::Ours(store) => ours(&store, number, &left).await,
                    Contender::Crowd(store) => until_empty(&store, number, &left).await,
                    Contender::Raw(writer) => raw(&writer, &left).await,
                }
            }));
        }
        let mut worst = Duration::ZERO;
        for worker in running {
            worst = worst.max(worker.await.expect("no worker panics"));
        }
        worst
    });
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let cpu_us = cpu_since(cpu).as_secs_f64() * 1e6 / tasks as f64;
    Sample { rate: per_second(tasks, begun.elapsed()), worst, cpu_us }
}

/// One more task, if there is one.
fn take(left: &Mutex<u64>) -> bool {
    let mut left = left.lock().expect("nobody panics");
    *left = left.saturating_sub(1);
    *left > 0
}

fn request(number: u32) -> ClaimRequest {
    ClaimRequest {
        worker: Worker { run: "bench".into(), host: "here".into(), pid: 1, number },
        lease: Duration::from_secs(60),
        budget: Budget::default(),
        tags: vec![],
        takes: Takes::default(),
    }
}

async fn ours(store: &SqliteStore, number: u32, left: &Mutex<u64>) -> Duration {
    let request = request(number);
    let mut claim = store.claim(&request).await.expect("claiming works").expect("enough tasks");
    let mut worst = Duration::ZERO;
    while take(left) {
        let report = Report::new(Verdict::Succeeded, "succeeded");
        let asked = Instant::now();
        let done = store.finish(&claim.fence, report, Some(&request)).await;
        worst = worst.max(asked.elapsed());
        claim = done.expect("the claim is held").next.expect("enough tasks");
    }
    worst
}

async fn raw(writer: &RawWriter, left: &Mutex<u64>) -> Duration {
    let mut seq = writer.call(None).await;
    let mut worst = Duration::ZERO;
    while take(left) {
        let asked = Instant::now();
        seq = writer.call(Some(seq)).await;
        worst = worst.max(asked.elapsed());
    }
    worst
}

/// The least that SQLite must do for the same rows: no fences, no dependencies, no delays, no
/// counters; one thread, one transaction for all that wait.
struct RawWriter {
    jobs: Option<mpsc::Sender<RawJob>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for RawWriter {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the statements are good");
        }
    }
}

struct RawJob {
    finish: Option<i64>,
    reply: oneshot::Sender<i64>,
}

impl RawWriter {
    fn start(path: &Path) -> Self {
        let conn = Connection::open(path).expect("the file is there");
        conn.execute_batch(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;
             PRAGMA wal_autocheckpoint = 4000;",
        )
        .expect("settings are known");
        let (sender, jobs) = mpsc::channel::<RawJob>();
        let thread = std::thread::spawn(move || {
            while let Ok(first) = jobs.recv() {
                let mut batch = VecDeque::from([first]);
                batch.extend(jobs.try_iter().take(255));
                serve(&conn, batch).expect("the statements are good");
            }
        });
        Self { jobs: Some(sender), thread: Some(thread) }
    }

    async fn call(&self, finish: Option<i64>) -> i64 {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().expect("it is there until it is dropped");
        jobs.send(RawJob { finish, reply }).expect("the writer lives");
        answer.await.expect("the writer lives")
    }
}

fn serve(conn: &Connection, batch: VecDeque<RawJob>) -> rusqlite::Result<()> {
    let report = r#"{"verdict":{"kind":"succeeded"},"outcome":"succeeded","message":null}"#;
    conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut replies = Vec::with_capacity(batch.len());
    for job in batch {
        if let Some(seq) = job.finish {
            conn.prepare_cached("UPDATE task SET state = 5, finished = 1 WHERE seq = ?1")?
                .execute([seq])?;
            conn.prepare_cached("INSERT INTO attempt VALUES (?1, 1, 1, 1, 1, ?2)")?
                .execute((seq, report))?;
        }
        let claimed: i64 = conn
            .prepare_cached(
                "UPDATE task SET state = 4, attempt = attempt + 1, nonce = 1, worker = 1,
                     started = 1, lease = 1, lease_until = 1, allowed_attempts = 1,
                     allowed_recoveries = 1
                 WHERE seq = (SELECT seq FROM task INDEXED BY task_ready WHERE state = 0
                              ORDER BY priority DESC, seq LIMIT 1)
                 RETURNING seq",
            )?
            .query_row([], |row| row.get(0))?;
        conn.prepare_cached("SELECT content FROM spec WHERE seq = ?1")?
            .query_row([claimed], |row| row.get::<_, String>(0))?;
        replies.push((job.reply, claimed));
    }
    conn.prepare_cached("COMMIT")?.execute([])?;
    for (reply, claimed) in replies {
        // A worker that has gone wants no answer.
        reply.send(claimed).ok();
    }
    Ok(())
}

/// Tasks that all touch one of 100 patterns, in ten folders: each folder's own overlaps the nine in
/// it. The limit is the same tasks without.
fn crowd(runtime: &Runtime, scale: &Scale, folder: &Path) {
    let (mut touching, mut free) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        let tasks = (0..scale.crowd).map(|n| NewTask { touches: vec![pattern(n)], ..task(n) });
        touching.push(drain(runtime, folder, tasks.collect()));
        free.push(drain(runtime, folder, (0..scale.crowd).map(task).collect()));
    }
    let (ours, limit) = (median(&touching, |s| s.rate), median(&free, |s| s.rate));
    line(&json!({
        "bench": "store", "case": "claim + complete, 8 workers, 100 patterns that overlap",
        "unit": "us", "ours": round(1e6 / ours), "limit": round(1e6 / limit),
        "ratio": round(limit / ours), "goal": "<= 2",
        "tasks_per_s": round(ours), "limit_tasks_per_s": round(limit),
        "cpu_us": round(median(&touching, |s| s.cpu_us)),
        "limit_cpu_us": round(median(&free, |s| s.cpu_us)),
        "worst_wait_ms": round(median(&touching, |s| s.worst.as_secs_f64() * 1e3)),
        "limit_worst_wait_ms": round(median(&free, |s| s.worst.as_secs_f64() * 1e3)),
    }));
}

fn pattern(n: u64) -> String {
    let (folder, file) = (n / 10 % 10, n % 10);
    if file == 0 { format!("src/{folder}/**") } else { format!("src/{folder}/{file}") }
}

fn overlap(one: &str, other: &str) -> bool {
    let holds = |outer: &str, inner: &str| {
        outer.strip_suffix("**").is_some_and(|folder| inner.starts_with(folder))
    };
    one == other || holds(one, other) || holds(other, one)
}

/// Has 8 workers do all of some tasks.
fn drain(runtime: &Runtime, folder: &Path, tasks: Vec<NewTask>) -> Sample {
    let path = folder.join("crowd.db");
    let store = SqliteStore::options().overlap(overlap).open(&path).expect("the store opens");
    let store = Arc::new(store);
    let total = tasks.len() as u64;
    runtime.block_on(store.add(tasks)).expect("the tasks are good");
    let sample = measure(runtime, 8, total, &Contender::Crowd(store));
    remove(&path);
    sample
}

async fn until_empty(store: &SqliteStore, number: u32, left: &Mutex<u64>) -> Duration {
    let request = request(number);
    let mut worst = Duration::ZERO;
    let mut claim = None;
    loop {
        let asked = Instant::now();
        claim = match claim {
            None if *left.lock().expect("nobody panics") == 0 => return worst,
            None => store.claim(&request).await.expect("claiming works"),
            Some(Claim { fence, .. }) => {
                let report = Report::new(Verdict::Succeeded, "succeeded");
                let done = store.finish(&fence, report, Some(&request)).await;
                *left.lock().expect("nobody panics") -= 1;
                done.expect("the claim is held").next
            }
        };
        worst = worst.max(asked.elapsed());
    }
}

/// How long it takes to look at a store.
async fn look(backlog: &str, template: &Path) {
    let store = SqliteStore::open(template).expect("the store opens");
    let mut times = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        store.counts().await.expect("counting works");
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    let counts = median(&times, |time| *time);
    line(&json!({
        "bench": "store", "case": format!("counts, {backlog}"), "unit": "us",
        "ours": round(counts), "goal": "<= 20000",
    }));
}

fn median<T>(of: &[T], by: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = of.iter().map(by).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn line(value: &serde_json::Value) {
    println!("{value}");
}

fn cpu_since(before: Duration) -> Duration {
    cpu_time().saturating_sub(before)
}

/// The processor time that this process has used, where the system says so.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
