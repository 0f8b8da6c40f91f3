//! One attempt at a task: an agent's process, the check of its work, and what they came to.

mod agent;
mod ended;
mod watch;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use agent_runner_pool::{Context, Failure, Handler, Recovered, WorkerHealth, WorkerId};
use agent_runner_task_store::{CommandLine, StoreError, Task, TaskStore};
use agent_runner_worktree::Start;

pub(super) use self::{agent::shell_or_argv, ended::Ended, watch::Order};
use super::{
    desk::{self, Desks},
    history::History,
    judge,
    lending::{Grant, Lending},
    limits::Limits,
    outcome::{Outcome, Payer},
    programs::Programs,
    queue::Job,
    shutdown::{Shutdown, Stage},
    site::{Entry, Own, Shared, Site, Sites},
    supply::Supply,
};
use crate::{
    cli::Retries,
    error::chain_of,
    exit_code,
    profile::{Profiles, Recipe},
    project::{Project, file_name},
    report::{Event, Reporter},
};

/// How often is looked whether a worktree is free, when others have them all.
const FULL: Duration = Duration::from_millis(500);

/// Makes attempts.
pub(super) struct Attempts {
    pub(super) project: Project,
    pub(super) store_url: String,
    /// The run's name.
    pub(super) run: String,
    pub(super) sites: Arc<Sites>,
    /// The run's command; a task may bring its own.
    pub(super) recipe: Option<Recipe>,
    pub(super) profiles: Profiles,
    pub(super) retries: Retries,
    pub(super) store: Arc<dyn TaskStore>,
    pub(super) programs: Programs,
    pub(super) desks: Desks,
    pub(super) verify: Option<CommandLine>,
    pub(super) timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) limits: Limits,
    pub(super) grace: Duration,
    pub(super) supply: Arc<Supply>,
    pub(super) lending: Arc<Lending>,
    pub(super) shutdown: Shutdown,
    pub(super) reporter: Arc<Reporter>,
}

impl Handler<Arc<Job>> for Attempts {
    type Output = Ended;
    type Error = Ended;

    async fn run(&self, job: &Arc<Job>, context: &Context) -> Result<Ended, Failure<Ended>> {
        let mut ended = self.attempt(job, context).await;
        if ended.outcome.payer() == Payer::Nobody && self.shutdown.stage() >= Stage::Terminating {
            ended.retry_after = None;
        }
        match ended.outcome.payer() {
            Payer::Done => Ok(ended),
            Payer::Task | Payer::TaskForGood | Payer::Person => Err(Failure::Job(ended)),
            Payer::Worker => Err(Failure::Worker(ended)),
            Payer::Nobody => Err(Failure::Release(ended)),
        }
    }

    /// The pool has waited. What is left of the agent was ended with it; a new one can be tried.
    async fn recover(&self, _: WorkerId, _: WorkerHealth, _: &Ended) -> Recovered {
        Recovered::Yes
    }
}

/// The files of one attempt.
pub(in crate::run) struct Files {
    log: PathBuf,
    verify_log: PathBuf,
    pub(in crate::run) merge_log: PathBuf,
    task: PathBuf,
    result: PathBuf,
    /// Where the result is kept, if there is one.
    kept_result: PathBuf,
    /// The log's name for people and the store.
    shown_log: String,
}

impl Attempts {
    async fn attempt(&self, job: &Job, context: &Context) -> Ended {
        let task = &job.claim.task;
        let history = match self.history(task).await {
            Ok(history) => history,
            Err(error) => return Ended::new(Outcome::WorkerFailed, chain_of(&error)),
        };
        let mut site = match self.enter(job, context, &history).await {
            Ok(site) => site,
            Err(ended) => return ended,
        };
        let ended = self.attempt_in(&mut site, job, context, &history).await;
        if let Err(error) = site.leave().await {
            let error = chain_of(&error);
            let ui = self.reporter.ui();
            ui.warn(format_args!("what task '{}' left is to be saved later: {error}", task.id));
        }
        ended
    }

    /// The site is entered; what is missing is the work.
    async fn attempt_in(
        &self,
        site: &mut Site,
        job: &Job,
        context: &Context,
        history: &History,
    ) -> Ended {
        if let Some(done) = site.done_before(history) {
            self.tell_start(job, context, None);
            return done;
        }
        let files = match self.prepare(&job.claim.task, context.worker()) {
            Ok(files) => files,
            Err(error) => {
                let message = format!("could not give the task to its agent: {error}");
                return Ended::new(Outcome::WorkerFailed, message);
            }
        };
        let mut ended = match site.ready_before(history) {
            Some(ready) => {
                self.tell_start(job, context, None);
                site.keep(ready).await
            }
            None => self.work(site, job, context, &files, history).await,
        };
        if let Site::Own(own) = site
            && ended.outcome == Outcome::Succeeded
            && self.sites.merges
        {
            ended = self.merge(own, job, context, &files, history, ended).await;
        }
        if let Err(error) = desk::keep(&files.result, &files.kept_result) {
            self.reporter.ui().warn(format_args!("could not keep an agent's result: {error}"));
        }
        ended.log = files.log.exists().then_some(files.shown_log);
        ended
    }

    /// The agent and the check.
    async fn work(
        &self,
        site: &mut Site,
        job: &Job,
        context: &Context,
        files: &Files,
        history: &History,
    ) -> Ended {
        let setting = site.setting();
        let orders = match self.orders(&job.claim.task, history, &setting) {
            Ok(orders) => orders,
            Err(reason) => return Ended::new(Outcome::Invalid, reason),
        };
        let grant = match self.lending.grant(&job.claim.task, &orders.profile).await {
            Ok(grant) => grant,
            Err(ended) => return ended,
        };
        self.tell_start(job, context, grant.label());
        let ended = self.run_agent(job, context, orders, &setting, files, &grant).await;
        let mut ended = site.keep(ended).await;
        if ended.outcome == Outcome::Succeeded {
            let checked = self.verify(job, context, &setting, files, ended).await;
            ended = site.forget_check(checked).await;
        }
        ended.credential = grant.label();
        self.settle(grant, &mut ended);
        ended
    }

    /// What is known of earlier attempts, where it matters.
    async fn history(&self, task: &Task) -> Result<History, StoreError> {
        if task.attempt < 2 {
            return Ok(History::default());
        }
        Ok(History(self.store.attempts(&task.id).await?))
    }

    /// Gets a site to work in.
    async fn enter(&self, job: &Job, context: &Context, history: &History) -> Result<Site, Ended> {
        let task = &job.claim.task;
        let Some(worktrees) = self.sites.worktrees() else {
            let expect_diff = task.spec.expect_diff;
            let shared = Shared::enter(&self.sites, &self.project.root, expect_diff).await?;
            return Ok(Site::Shared(shared));
        };
        let is_cold = history.is_empty() || self.retries == Retries::Cold;
        let start = if is_cold { Start::Cold } else { Start::Warm };
        loop {
            match Own::enter(&self.sites, worktrees, task, &self.run, start).await? {
                Entry::Entered(own) => return Ok(Site::Own(own)),
                Entry::InTheWay(what) => {
                    let times = history.times_in_the_way();
                    return Err(Ended::in_the_way(Outcome::WorktreeBlocked, what, times));
                }
                Entry::Full => {}
            }
            tokio::select! {
                () = tokio::time::sleep(FULL) => {}
                order = self.ordered(job, context) => return Err(judge::ordered(order)),
            }
        }
    }

    /// Names the files of an attempt, and lays the task on the worker's desk.
    fn prepare(&self, task: &Task, worker: WorkerId) -> io::Result<Files> {
        let folder = self.project.log_folder(&task.id);
        let attempt = task.attempt;
        let desk = self.desks.lay(worker, task)?;
        Ok(Files {
            log: folder.join(format!("{attempt}.log")),
            verify_log: folder.join(format!("{attempt}.verify.log")),
            merge_log: folder.join(format!("{attempt}.merge.log")),
            kept_result: folder.join(format!("{attempt}.result.json")),
            task: desk.task,
            result: desk.result,
            shown_log: format!("logs/{}/{attempt}.log", file_name(&task.id)),
        })
    }

    fn tell_start(&self, job: &Job, context: &Context, credential: Option<String>) {
        self.reporter.tell(&Event::TaskStarted {
            task: job.claim.fence.task.clone(),
            title: job.claim.task.spec.title.clone(),
            attempt: job.claim.fence.attempt,
            worker: context.worker().number(),
            credential,
        });
    }

    /// Takes back what was lent, with what it came to.
    fn settle(&self, grant: Grant, ended: &mut Ended) {
        if grant.account(ended) {
            let reason = "the budget of the run is spent";
            self.shutdown.advance(Stage::Draining, exit_code::Exit::Left, reason);
        }
        let settled = self.lending.settle(grant, ended);
        if let Some(event) = settled.event {
            self.reporter.tell(&event);
        }
        ended.retry_after = settled.retry_after;
    }
}
