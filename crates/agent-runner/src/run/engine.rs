//! A run: the pool, the store, the locks, the credentials and the signals, wired together.

use std::{
    process,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use agent_runner_backoff::ExponentialBackoff;
use agent_runner_lock::{Acquire, CleanOptions, LockDir, TaskLock};
use agent_runner_pool::{Ended as PoolEnded, Event as PoolEvent, Pool};
use agent_runner_task_store::{
    ClaimRequest, Counts, Filter, TaskId, TaskStatus, TaskStore, Worker,
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};

use super::{
    allowance::Allowance,
    attempt::{Attempts, Ended},
    claims::Claims,
    host,
    keeper::{self, Rescuer},
    queue::{Job, TaskQueue},
    settings::Settings,
    shutdown::{Cause, Shutdown, Stage, follow_signals},
    supply::Supply,
    tally::Tally,
    tick::{Checklist, Ticker},
};
use crate::{
    error::{Error, OrExit, Result},
    exit_code::Exit,
    project::Project,
    report::{Event, Reporter},
    ui::{ERROR, headline},
};

/// How long a claim lasts without a heartbeat.
const LEASE: Duration = Duration::from_secs(30);
/// How long an attempt may go on after the agent was told to end: more than the agent's own grace.
const ABORT_AFTER: Duration = Duration::from_secs(15);

/// So many failed tasks are named at the end.
const SHOWN_FAILURES: usize = 10;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The exit code.
    pub exit: Exit,
    /// How many tasks stand where.
    pub counts: Counts,
}

/// A run that is ready to start.
pub struct Engine {
    project: Project,
    settings: Settings,
    store: Arc<dyn TaskStore>,
    locks: LockDir,
    runs: LockDir,
    supply: Arc<Supply>,
    reporter: Arc<Reporter>,
    shutdown: Shutdown,
    me: Worker,
    checklists: Vec<Checklist>,
    /// Held as long as this run lives: a run whose lock is free is gone.
    alive: TaskLock,
}

impl Engine {
    /// Takes the run's own lock and loads the credentials.
    pub fn new(
        project: &Project,
        settings: Settings,
        store: Arc<dyn TaskStore>,
        reporter: Reporter,
    ) -> Result<Self> {
        let supply = Supply::load(project, &reporter)?;
        let me = Worker { run: new_name(), host: host::name(), pid: process::id(), number: 0 };
        let locks = project.open_locks(&me.run)?;
        let runs = project.open_run_locks(&me.run)?;
        let alive = match runs.try_acquire(&me.run) {
            Ok(Acquire::Acquired(lock)) => lock,
            Ok(Acquire::Held(holder)) => {
                return Err(Error::message(Exit::Held, format!("run name taken: {holder}")));
            }
            Err(error) => return Err(Error::new(Exit::Invalid, error)),
        };
        Ok(Self {
            project: project.clone(),
            settings,
            store,
            locks,
            runs,
            supply: Arc::new(supply),
            reporter: Arc::new(reporter),
            shutdown: Shutdown::new(),
            me,
            checklists: Vec::new(),
            alive,
        })
    }

    /// What tells the events of this run.
    pub fn reporter(&self) -> Arc<Reporter> {
        Arc::clone(&self.reporter)
    }

    /// Ticks the boxes of these files when their tasks are done.
    pub(super) fn tick_off(&mut self, checklists: Vec<Checklist>) {
        self.checklists = checklists;
    }

    /// Works until nothing is left that this run can do.
    pub async fn run(self) -> Result<Summary> {
        let started = Instant::now();
        // What an agent leaves behind becomes a child of this process, and is found and ended.
        agent_runner_exec::adopt_orphans()
            .or_exit(Exit::Unexpected, || "could not become the parent of orphans".into())?;
        self.refuse_other_hosts().await?;
        let rescuer = self.rescuer();
        rescuer.look().await?;
        let counts = self.store.counts().await?;
        self.tell_start(counts);
        let (done, succeeded) = mpsc::unbounded_channel();
        let tally = Arc::new(Tally::new(counts.total(), self.settings.max_failures));
        let ticker = Ticker::new(
            Arc::clone(&self.store),
            self.checklists.clone(),
            Arc::clone(&self.reporter),
        );
        let ticker = tokio::spawn(ticker.follow(succeeded));
        let claims = Arc::new(Claims::default());
        let mut beside = JoinSet::new();
        beside.spawn(keeper::beat(
            Arc::clone(&self.store),
            Arc::clone(&claims),
            Arc::clone(&self.reporter),
        ));
        beside.spawn(rescuer.watch());
        beside.spawn(draw(Arc::clone(&self.reporter)));
        beside.spawn(signals(
            self.shutdown.clone(),
            self.settings.grace,
            Arc::clone(&self.reporter),
        ));
        let ended = self.work(claims, Arc::clone(&tally), done).await;
        // The last sender is gone with the work: the boxes that are left are ticked now.
        ticker.await.or_exit(Exit::Unexpected, || "could not tick the boxes".into())?;
        beside.shutdown().await;
        let summary = self.finish(ended, &tally, started).await;
        // Nobody is to look for this run any more.
        self.alive
            .release()
            .or_exit(Exit::Unexpected, || "could not release the run's lock".into())?;
        let mut unused = CleanOptions::default();
        unused.retention = Duration::ZERO;
        unused.keep_died = true;
        for folder in [&self.locks, &self.runs] {
            // What cannot be removed now is removed by the next run or by `locks clean`.
            drop(folder.clean_stale(&unused));
        }
        summary
    }

    async fn work(
        &self,
        claims: Arc<Claims>,
        tally: Arc<Tally>,
        done: mpsc::UnboundedSender<TaskId>,
    ) -> PoolEnded {
        let backoff = ExponentialBackoff::new()
            .with_base(self.settings.retry_delay)
            .with_max(self.settings.max_retry_delay);
        let queue = TaskQueue {
            store: Arc::clone(&self.store),
            locks: self.locks.clone(),
            claims,
            supply: Arc::clone(&self.supply),
            reporter: Arc::clone(&self.reporter),
            shutdown: self.shutdown.clone(),
            tally,
            done,
            request: ClaimRequest {
                worker: self.me.clone(),
                lease: LEASE,
                budget: self.settings.budget,
                tags: self.settings.tags.clone(),
            },
            backoff,
            wait_for_keys: self.settings.wait_for_keys,
            allowance: Allowance::new(self.settings.limit),
            turn: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
        };
        let attempts = Attempts {
            project: self.project.clone(),
            store_url: self.project.store_url(),
            command: self.settings.command.clone(),
            verify: self.settings.verify.clone(),
            timeout: self.settings.timeout,
            idle_timeout: self.settings.idle_timeout,
            grace: self.settings.grace.min(Duration::from_secs(10)),
            supply: Arc::clone(&self.supply),
            shutdown: self.shutdown.clone(),
            reporter: Arc::clone(&self.reporter),
        };
        let pool = Pool::builder()
            .workers(self.settings.jobs as usize)
            .waits(move || backoff.delays())
            .grace(ABORT_AFTER)
            .build()
            .expect("the number of workers was checked");
        let mut run = pool.start(queue, attempts);
        let control = run.control();
        let draining = self.shutdown.clone();
        let stop = tokio::spawn(async move {
            draining.reached(Stage::Draining).await;
            control.stop();
        });
        while let Some(event) = run.next_event().await {
            self.tell_worker(&event);
        }
        stop.abort();
        run.join().await.ended
    }

    fn tell_start(&self, counts: Counts) {
        self.reporter.tell(&Event::RunStarted {
            run: self.me.run.clone(),
            store: self.project.store_url(),
            jobs: self.settings.jobs,
            keys: self.supply.len(),
            counts,
        });
    }

    /// What the pool says about workers; the jobs' own ends are told where they are recorded.
    fn tell_worker(&self, event: &PoolEvent<Arc<Job>, Ended, Ended>) {
        let told = match event {
            PoolEvent::WorkerRecovered { worker, health } => Event::WorkerRecovered {
                worker: worker.number(),
                recoveries: health.recovery_attempts(),
                reason: "its agent crashed".into(),
            },
            PoolEvent::WorkerRetired { worker, .. } => Event::WorkerRetired {
                worker: worker.number(),
                reason: "its agents crashed too often".into(),
            },
            _ => return,
        };
        self.reporter.tell(&told);
    }

    fn rescuer(&self) -> Rescuer {
        Rescuer {
            store: Arc::clone(&self.store),
            locks: self.locks.clone(),
            runs: self.runs.clone(),
            run: self.me.run.clone(),
            host: self.me.host.clone(),
            reporter: Arc::clone(&self.reporter),
        }
    }

    /// An SQLite file is for one machine: its locks do not reach another.
    async fn refuse_other_hosts(&self) -> Result<()> {
        let running = self.store.running().await?;
        let Some(other) = running
            .iter()
            .find(|task| task.worker.host != self.me.host && !task.lease_left.is_zero())
        else {
            return Ok(());
        };
        let worker = &other.worker;
        Err(Error::message(
            Exit::Held,
            format!(
                "the store is in use by run {} (pid {}) on host {}, for {}",
                worker.run,
                worker.pid,
                worker.host,
                crate::units::show_duration(other.held_for),
            ),
        )
        .hint("an SQLite store serves the runs of one machine; wait for that run, or use a store of its own here"))
    }

    async fn finish(&self, ended: PoolEnded, tally: &Tally, started: Instant) -> Result<Summary> {
        let counts = self.store.counts().await?;
        let attempts = tally.attempts.load(Ordering::Relaxed);
        let limit = self.settings.limit.filter(|&limit| attempts >= limit);
        let (exit, reason, error) = verdict(ended, self.shutdown.cause(), limit, counts);
        self.reporter.tell(&Event::RunFinished {
            exit_code: exit.code(),
            reason,
            counts,
            attempts,
            succeeded: tally.succeeded.load(Ordering::Relaxed),
            failed: tally.failed.load(Ordering::Relaxed),
            duration_s: started.elapsed().as_secs_f64(),
        });
        self.tell_failed().await?;
        match error {
            Some(error) => Err(error),
            None => Ok(Summary { exit, counts }),
        }
    }

    /// What a person looks for in the morning: which tasks failed, why, and what to do.
    async fn tell_failed(&self) -> Result<()> {
        let ui = self.reporter.ui();
        if ui.json {
            return Ok(());
        }
        let filter = Filter { statuses: vec![TaskStatus::Failed], tags: Vec::new() };
        let failed = self.store.list(&filter, None, SHOWN_FAILURES).await?;
        for task in &failed {
            let why = headline(task.error.as_deref().unwrap_or("no reason was given"), 100);
            ui.failure(format_args!(
                "  {ERROR}✗{ERROR:#} {} {}: {why}",
                task.id,
                headline(&task.spec.title, 48)
            ));
        }
        if let [first, ..] = &failed[..] {
            ui.failure(format_args!(
                "  see `agent-runner logs {}`, `agent-runner list --status failed`; try again with `agent-runner retry --failed`",
                first.id
            ));
        }
        Ok(())
    }
}

fn verdict(
    ended: PoolEnded,
    cause: Option<Cause>,
    limit: Option<u64>,
    counts: Counts,
) -> (Exit, String, Option<Error>) {
    match ended {
        PoolEnded::SourceFailed(error) => {
            let error = match error.downcast::<agent_runner_task_store::StoreError>() {
                Ok(error) => Error::from(*error),
                Err(error) => Error::message(Exit::Unexpected, error),
            };
            (error.exit(), "the store failed".into(), Some(error))
        }
        PoolEnded::NoWorkersLeft => {
            let error = Error::message(Exit::Left, "every worker's agents crashed too often; the tasks that are left are still pending")
                .hint("`agent-runner logs ID` shows what the agents printed; mend the agent and run again");
            (Exit::Left, "no worker is left".into(), Some(error))
        }
        _ => {
            let (exit, reason) = match cause {
                Some(cause) if counts.open() > 0 => (cause.exit, cause.reason),
                _ if limit.is_some() && counts.open() > 0 => {
                    (Exit::Left, "the limit of attempts is reached".into())
                }
                _ if counts.failed > 0 => (Exit::TasksFailed, "done, some tasks failed".into()),
                _ if counts.open() > 0 => (Exit::Left, "nothing more can be run".into()),
                _ => (Exit::Success, "done".into()),
            };
            (exit, reason, None)
        }
    }
}

/// Keeps the clock in the footer going.
async fn draw(reporter: Arc<Reporter>) {
    let mut every = tokio::time::interval(Duration::from_millis(500));
    loop {
        every.tick().await;
        reporter.tick();
    }
}

/// Follows the signals, and says each time what happens next.
async fn signals(shutdown: Shutdown, grace: Duration, reporter: Arc<Reporter>) {
    let told = shutdown.clone();
    let tell = async {
        loop {
            let stage = told.stage();
            told.left(stage).await;
            tell_stage(&told, grace, &reporter);
        }
    };
    tokio::select! {
        result = follow_signals(shutdown, grace) => {
            if let Err(error) = result {
                reporter.ui().warn(format_args!("cannot follow signals: {error}"));
            }
        }
        () = tell => {}
    }
}

fn tell_stage(shutdown: &Shutdown, grace: Duration, reporter: &Reporter) {
    let Some(cause) = shutdown.cause() else { return };
    let next = match shutdown.stage() {
        Stage::Running => return,
        Stage::Draining => format!(
            "no new tasks; agents may finish for {}; again to end them",
            crate::units::show_duration(grace)
        ),
        Stage::Terminating => "ending the agents; again to kill them".into(),
        Stage::Killing => "killing the agents".into(),
    };
    reporter.tell(&Event::Stopping { reason: cause.reason, next });
}

/// A name that no other run has: the time, so that names sort, and some chance.
fn new_name() -> String {
    let now = jiff::Timestamp::now().strftime("%m%d-%H%M%S");
    format!("{now}-{:04x}", rand::random::<u16>())
}
