//! A run: the pool, the store, the locks, the credentials and the signals, wired together.

use std::{
    collections::{HashMap, HashSet},
    panic, process,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use agent_runner_backoff::ExponentialBackoff;
use agent_runner_lock::{Acquire, CleanOptions, LockDir, TaskLock};
use agent_runner_pool::{Ended as PoolEnded, Event as PoolEvent, Pool};
use agent_runner_task_store::{ClaimRequest, Counts, Takes, TaskId, TaskStore, Worker};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};

use super::{
    admission::Admission,
    allowance::Allowance,
    attempt::{Attempts, Ended},
    blocked::Blocked,
    claims::Claims,
    desk::{self, Desks},
    ending::{self, Ending, Left},
    host,
    keeper::{self, Rescuer},
    key_keeper::KeyKeeper,
    lending::Lending,
    limits::Limits,
    needs::Agents,
    programs::Programs,
    queue::{Job, TaskQueue},
    settings::Settings,
    shutdown::{Shutdown, Stage},
    signals,
    site::Sites,
    supply::Supply,
    tally::Tally,
    tick::{Checklist, Ticker},
};
use crate::{
    error::{Error, OrExit, Result},
    exit_code::Exit,
    key_state,
    project::Project,
    report::{Event, Reporter},
};

/// How long a claim lasts without a heartbeat.
const LEASE: Duration = Duration::from_secs(30);
/// How long an agent has, at most, between SIGINT, SIGTERM and SIGKILL.
const AGENT_GRACE: Duration = Duration::from_secs(10);
/// How long an attempt may take, when its agent has ended, to save the work and to be recorded.
const ABORT_MARGIN: Duration = Duration::from_secs(10);

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
    sites: Arc<Sites>,
    store: Arc<dyn TaskStore>,
    locks: LockDir,
    runs: LockDir,
    supply: Arc<Supply>,
    lending: Arc<Lending>,
    reporter: Arc<Reporter>,
    shutdown: Shutdown,
    me: Worker,
    checklists: Vec<Checklist>,
    /// Held as long as this run lives: a run whose lock is free is gone.
    alive: Arc<TaskLock>,
}

impl Engine {
    /// Takes the run's own lock.
    pub fn new(
        project: &Project,
        settings: Settings,
        supply: Supply,
        store: Arc<dyn TaskStore>,
        reporter: Reporter,
    ) -> Result<Self> {
        let sites = Sites::open(project, &settings.isolation)?;
        let me = Worker { run: host::new_run(), host: host::name(), pid: process::id(), number: 0 };
        let locks = project.open_locks(&me.run)?;
        let runs = project.open_run_locks(&me.run)?;
        let alive = match runs.try_acquire(&me.run) {
            Ok(Acquire::Acquired(lock)) => lock,
            Ok(Acquire::Held(holder)) => {
                return Err(Error::message(Exit::Held, format!("run name taken: {holder}")));
            }
            Err(error) => return Err(Error::new(Exit::Invalid, error)),
        };
        let supply = Arc::new(supply);
        let lending =
            Lending::new(Arc::clone(&supply), Arc::clone(&store), settings.lending.clone());
        Ok(Self {
            project: project.clone(),
            settings,
            sites: Arc::new(sites),
            store,
            locks,
            runs,
            supply,
            lending: Arc::new(lending),
            reporter: Arc::new(reporter),
            shutdown: Shutdown::new(),
            me,
            checklists: Vec::new(),
            alive: Arc::new(alive),
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
        agent_runner_exec::adopt_orphans().map_err(|error| host::no_parent(&error))?;
        self.refuse_other_hosts().await?;
        self.lending.prepare().await?;
        let mut rescuer = self.rescuer();
        rescuer.look().await?;
        self.sites.recover(&self.reporter).await?;
        let counts = self.store.counts().await?;
        let signals = signals::follow(self.shutdown.clone(), self.settings.grace, self.reporter())
            .or_exit(Exit::Unexpected, || "could not follow signals".into())?;
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
        let mut beside = self.beside(Arc::clone(&claims), rescuer);
        beside.spawn(signals);
        let keys = self.key_keeper();
        beside.spawn(keys.clone().keep());
        let ended = self.work(claims, Arc::clone(&tally), done).await;
        // The last sender is gone with the work: the boxes that are left are ticked now.
        ticker.await.or_exit(Exit::Unexpected, || "could not tick the boxes".into())?;
        beside.shutdown().await;
        keys.end();
        let summary = self.finish(ended, &tally, started).await;
        if summary.is_err() {
            // Claims that could not be given back are found by this lock, which is not released.
            std::mem::forget(self.alive);
            return summary;
        }
        // Nobody is to look for this run any more. Whoever else has it is about to let go of it.
        if let Some(alive) = Arc::into_inner(self.alive) {
            alive
                .release()
                .or_exit(Exit::Unexpected, || "could not release the run's lock".into())?;
        }
        clean(&self.locks, &self.runs, summary.as_ref().is_ok_and(|it| it.counts.running > 0));
        key_state::clear(&self.project, &self.runs);
        summary
    }

    fn key_keeper(&self) -> KeyKeeper {
        KeyKeeper {
            supply: Arc::clone(&self.supply),
            project: self.project.clone(),
            run: self.me.run.clone(),
            reporter: Arc::clone(&self.reporter),
        }
    }

    /// What goes on beside the work, for as long as it does.
    fn beside(&self, claims: Arc<Claims>, rescuer: Rescuer) -> JoinSet<()> {
        let reporter = || Arc::clone(&self.reporter);
        let mut beside = JoinSet::new();
        beside.spawn(keeper::beat(Arc::clone(&self.store), claims, reporter()));
        beside.spawn(rescuer.watch());
        beside.spawn(draw(reporter()));
        beside
    }

    async fn work(
        &self,
        claims: Arc<Claims>,
        tally: Arc<Tally>,
        done: mpsc::UnboundedSender<TaskId>,
    ) -> PoolEnded {
        let backoff = self.backoff();
        let queue = self.queue(claims, tally, done);
        let attempts = self.attempts();
        let pool = Pool::builder()
            .workers(self.settings.admission.jobs as usize)
            .waits(move || backoff.delays())
            .grace(abort_after(self.agent_grace()))
            .build()
            .expect("the number of workers was checked");
        let mut run = pool.start(queue, attempts);
        let control = run.control();
        let draining = self.shutdown.clone();
        let stop = tokio::spawn(async move {
            draining.reached(Stage::Draining).await;
            control.stop();
        });
        // On a worker of the runtime: to wake this thread for each event would cost more than most
        // of what is done for a task.
        let reporter = self.reporter();
        let work = tokio::spawn(async move {
            while let Some(event) = run.next_event().await {
                tell_worker(&reporter, &event);
            }
            run.join().await.ended
        });
        let ended = work.await.unwrap_or_else(|error| panic::resume_unwind(error.into_panic()));
        stop.abort();
        ended
    }

    fn agent_grace(&self) -> Duration {
        self.settings.grace.min(AGENT_GRACE)
    }

    fn backoff(&self) -> ExponentialBackoff {
        ExponentialBackoff::new()
            .with_base(self.settings.retry_delay)
            .with_max(self.settings.max_retry_delay)
    }

    fn queue(
        &self,
        claims: Arc<Claims>,
        tally: Arc<Tally>,
        done: mpsc::UnboundedSender<TaskId>,
    ) -> TaskQueue {
        TaskQueue {
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
                takes: Takes::default(),
            },
            backoff: self.backoff(),
            orphans: self.settings.orphans,
            blocked: Blocked::default(),
            agents: Agents::new(self.settings.recipe.as_ref(), &self.settings.profiles),
            wait_for_keys: self.settings.wait_for_keys,
            allowance: Allowance::new(self.settings.limit),
            admission: Admission::new(
                self.settings.admission,
                self.reporter(),
                Arc::clone(&self.alive),
            ),
            turn: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
        }
    }

    fn attempts(&self) -> Attempts {
        Attempts {
            project: self.project.clone(),
            store_url: self.project.store_url(),
            run: self.me.run.clone(),
            sites: Arc::clone(&self.sites),
            recipe: self.settings.recipe.clone(),
            profiles: self.settings.profiles.clone(),
            retries: self.settings.retries,
            store: Arc::clone(&self.store),
            programs: Programs::default(),
            desks: Desks::new(&self.project.state(), &self.me.run),
            verify: self.settings.verify.clone(),
            timeout: self.settings.timeout,
            idle_timeout: self.settings.idle_timeout,
            limits: Limits::new(&self.settings),
            grace: self.agent_grace(),
            supply: Arc::clone(&self.supply),
            lending: Arc::clone(&self.lending),
            shutdown: self.shutdown.clone(),
            reporter: Arc::clone(&self.reporter),
        }
    }

    fn tell_start(&self, counts: Counts) {
        self.reporter.tell(&Event::RunStarted {
            run: self.me.run.clone(),
            store: self.project.store_url(),
            jobs: self.settings.admission.jobs,
            keys: self.supply.len(),
            counts,
        });
    }

    fn rescuer(&self) -> Rescuer {
        Rescuer {
            store: Arc::clone(&self.store),
            locks: self.locks.clone(),
            runs: self.runs.clone(),
            run: self.me.run.clone(),
            host: self.me.host.clone(),
            orphans: self.settings.orphans,
            adopted: HashSet::new(),
            dead: HashMap::new(),
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
        if counts.running == 0 {
            desk::clear(&self.project.state(), &self.runs);
        }
        let attempts = tally.attempts.load(Ordering::Relaxed);
        let ending = Ending::new(
            ended,
            self.shutdown.cause(),
            self.settings.limit.filter(|&limit| attempts >= limit),
            Left::look(&*self.store, &self.settings.tags, counts).await?,
        );
        let used = self.lending.usage();
        if !used.is_empty() {
            self.reporter.tell(&Event::KeysUsed { lines: used });
        }
        self.reporter.tell(&Event::RunFinished {
            exit_code: ending.exit.code(),
            reason: ending.reason,
            counts,
            attempts,
            succeeded: tally.succeeded.load(Ordering::Relaxed),
            failed: tally.failed.load(Ordering::Relaxed),
            duration_s: started.elapsed().as_secs_f64(),
        });
        ending::tell_left(self.reporter.ui(), &*self.store, ending.exit).await?;
        match ending.error {
            Some(error) => Err(error),
            None => Ok(Summary { exit: ending.exit, counts }),
        }
    }
}

/// What the pool says about workers; the jobs' own ends are told where they are recorded.
fn tell_worker(reporter: &Reporter, event: &PoolEvent<Arc<Job>, Ended, Ended>) {
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
    reporter.tell(&told);
}

/// Removes the files of locks that nobody holds. What cannot be removed now is removed by the next
/// run or by `locks clean`.
///
/// Those of tasks are kept for an hour: where thousands of files were just removed, ext4 is slow to
/// make others for minutes, and the next run would pay for it. Those of killed runs prove that they
/// are gone, as long as a task is theirs: when none `is_claimed`, they are of no use.
fn clean(locks: &LockDir, runs: &LockDir, is_claimed: bool) {
    let mut unused = CleanOptions::default();
    unused.keep_died = true;
    drop(locks.clean_stale(&unused));
    unused.keep_died = is_claimed;
    unused.retention = Duration::ZERO;
    drop(runs.clean_stale(&unused));
}

/// Keeps the clock in the footer going.
async fn draw(reporter: Arc<Reporter>) {
    let mut every = tokio::time::interval(Duration::from_millis(500));
    loop {
        every.tick().await;
        reporter.tick();
    }
}

/// How long an attempt may go on after its agent was told to end: the agent has one grace after
/// SIGINT and one after SIGTERM, and who ends by SIGTERM must not be given up before that.
const fn abort_after(agent_grace: Duration) -> Duration {
    agent_grace.saturating_mul(2).saturating_add(ABORT_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_not_given_up_within_its_two_graces() {
        for grace in [Duration::ZERO, Duration::from_secs(1), AGENT_GRACE] {
            assert!(abort_after(grace) > 2 * grace, "{grace:?}");
        }
    }
}
