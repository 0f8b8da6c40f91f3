//! One attempt at a task: an agent's process, the check of its work, and what they came to.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agent_runner_exec::{
    Child, Command, Exit, LogOptions, PARENT_AGENT_VARIABLES, SpawnError, Stdin, Stop, StopLevel,
};
use agent_runner_pool::{Context, Failure, Handler, Recovered, WorkerHealth, WorkerId};
use agent_runner_signals::Format;
use agent_runner_task_store::{Beat, CommandLine, StoreError, Task, TaskStore};
use agent_runner_worktree::Start;

use super::{
    agent_result::AgentResult,
    desk::{self, Desks},
    history::History,
    judge,
    lending::{Grant, Lending},
    limits::Limits,
    outcome::{Outcome, Payer},
    programs::Programs,
    proof::{self, Proof},
    queue::Job,
    reading::{self, Reading},
    shutdown::{Shutdown, Stage},
    site::{Entry, Own, Setting, Shared, Site, Sites},
    supply::Supply,
};
use crate::{
    cli::Retries,
    error::chain_of,
    exit_code,
    profile::{Past, Profile, Profiles, Recipe},
    project::{Project, file_name},
    report::{Event, Reporter},
};

/// How often is looked whether a worktree is free, when others have them all.
const FULL: Duration = Duration::from_millis(500);
/// How long an agent may go on after it said how its work ended.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) message: Option<String>,
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) duration: Duration,
    pub(super) retry_after: Option<Duration>,
    pub(super) log: Option<String>,
    pub(super) credential: Option<String>,
    pub(super) details: BTreeMap<String, serde_json::Value>,
    pub(super) proof: Proof,
}

impl Ended {
    pub(super) fn new(outcome: Outcome, message: impl Into<Option<String>>) -> Self {
        Self {
            outcome,
            message: message.into(),
            exit_code: None,
            signal: None,
            duration: Duration::ZERO,
            retry_after: None,
            log: None,
            credential: None,
            details: BTreeMap::new(),
            proof: Proof::default(),
        }
    }

    /// What is kept of it, under names of which the agent cannot choose this one.
    pub(super) fn details_with_proof(&self) -> BTreeMap<String, serde_json::Value> {
        let mut details = self.details.clone();
        details.insert(proof::DETAIL.to_owned(), self.proof.to_value());
        details
    }

    /// What an agent did, but for what became of it afterwards.
    pub(super) fn but(self, end: Self) -> Self {
        let is_its_fault = !matches!(end.outcome.payer(), Payer::Nobody | Payer::Worker);
        Self {
            exit_code: end.exit_code.or(self.exit_code),
            duration: self.duration + end.duration,
            log: self.log,
            credential: self.credential,
            details: self.details,
            proof: Proof {
                verified: end.proof.verified.or(self.proof.verified),
                survivors: self.proof.survivors + end.proof.survivors,
                ready: self.proof.ready && !is_its_fault,
                ..self.proof
            },
            ..end
        }
    }
}

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

/// What is run, and what is known of it.
struct Orders {
    words: Vec<String>,
    stdin: Stdin,
    format: Format,
    profile: Profile,
}

/// The files of one attempt.
pub(super) struct Files {
    log: PathBuf,
    verify_log: PathBuf,
    pub(super) merge_log: PathBuf,
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
                    return Err(Ended::in_the_way(Outcome::Locked, what, times));
                }
                Entry::Full => {}
            }
            tokio::select! {
                () = tokio::time::sleep(FULL) => {}
                order = self.ordered(job, context) => return Err(judge::ordered(order)),
            }
        }
    }

    /// The program and its arguments, and all that depends on which agent it is.
    fn orders(&self, task: &Task, history: &History, setting: &Setting) -> Result<Orders, String> {
        if let Some(own) = &task.spec.command {
            let words = shell_or_argv(own);
            let profile = self.profiles.of_command(&words).cloned().unwrap_or_default();
            let stdin = Stdin::Bytes(task.spec.prompt.clone().into_bytes());
            return Ok(Orders { format: profile.format_of(&words), words, stdin, profile });
        }
        let Some(recipe) = &self.recipe else {
            return Err("it has no command of its own, and the run was given none".into());
        };
        let past = self.past(recipe, history, setting);
        let words = recipe.render(task, &past).map_err(|error| error.to_string())?;
        let prompt = || Stdin::Bytes(recipe.prompt(task, &past).into_bytes());
        let stdin = if recipe.uses_fields() { Stdin::Null } else { prompt() };
        Ok(Orders { words, stdin, format: recipe.format, profile: recipe.profile.clone() })
    }

    /// What earlier attempts left to this one.
    fn past(&self, recipe: &Recipe, history: &History, setting: &Setting) -> Past {
        if !recipe.profile.feedback {
            return Past::default();
        }
        let here = recipe.profile.local_sessions.then(|| setting.folder.display().to_string());
        let past = reading::past(history.reports(), here.as_deref());
        match self.retries {
            Retries::Warm => past,
            Retries::Fork => Past { forks: true, ..past },
            Retries::Cold => Past { session: None, ..past },
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

    async fn run_agent(
        &self,
        job: &Job,
        context: &Context,
        orders: Orders,
        setting: &Setting,
        files: &Files,
        grant: &Grant,
    ) -> Ended {
        let Orders { words, stdin, format, profile } = orders;
        let environment = grant.environment();
        let words = match profile.with_lent(words, &environment) {
            Ok(words) => words,
            Err(reason) => return Ended::new(Outcome::Invalid, reason),
        };
        let (reading, stop) = (Reading::new(format, !profile.resume.is_empty()), Stop::new());
        let mut command = self
            .command_of(&words, &job.claim.task, setting, files)
            .stdin(stdin)
            .envs_remove(&profile.unset)
            .envs(profile.env)
            .envs(environment)
            .mask(grant.secret())
            .log(LogOptions { late: true, ..self.limits.log(&files.log) });
        if format != Format::Plain {
            let (reading, stop) = (reading.clone(), stop.clone());
            command = command
                .merge_output(false)
                .listen(move |stream, bytes| reading.take(stream, bytes, &stop));
        }
        let idle = job.claim.task.spec.idle_timeout.or(self.idle_timeout).or(profile.idle_timeout);
        let patience = profile.exit_timeout.unwrap_or(EXIT_TIMEOUT);
        let watched = tokio::select! {
            watched = self.watch(command.idle_timeout(idle), job, context, &stop) => watched,
            never = reading.stop_overdue(patience, &stop) => match never {},
        };
        match watched {
            Ok((exit, None)) => judge::agent(
                &exit,
                AgentResult::read(&files.result, self.supply.secrets()),
                &reading.finish(),
            ),
            Ok((exit, Some(order))) => judge::stopped(&exit, order),
            Err(failure) => failure,
        }
    }

    async fn verify(
        &self,
        job: &Job,
        context: &Context,
        setting: &Setting,
        files: &Files,
        agent: Ended,
    ) -> Ended {
        match self.check(job, context, setting, files, &files.verify_log).await {
            Ok(Some(exit)) => judge::verified(&exit, agent),
            Ok(None) => agent,
            Err(ended) => agent.but(ended),
        }
    }

    /// Runs the check, if there is one.
    pub(super) async fn check(
        &self,
        job: &Job,
        context: &Context,
        setting: &Setting,
        files: &Files,
        log: &Path,
    ) -> Result<Option<Exit>, Ended> {
        let task = &job.claim.task;
        let Some(check) = task.spec.verify.as_ref().or(self.verify.as_ref()) else {
            return Ok(None);
        };
        let command =
            self.command_of(&shell_or_argv(check), task, setting, files).log(self.limits.log(log));
        match self.watch(command, job, context, &Stop::new()).await? {
            (exit, None) => Ok(Some(exit)),
            (exit, Some(order)) => Err(judge::stopped(&exit, order)),
        }
    }

    fn command_of(
        &self,
        words: &[String],
        task: &Task,
        setting: &Setting,
        files: &Files,
    ) -> Command {
        let spec = &task.spec;
        let last_error =
            task.error.as_deref().map(|error| ("AGENT_RUNNER_LAST_ERROR", error.replace('\0', "")));
        // What is not found is an error of the start, which names it.
        let program = self.programs.find(&words[0]).unwrap_or_else(|_| PathBuf::from(&words[0]));
        let command = self.limits.confine(Command::new(program), task, &self.reporter);
        command
            .args(&words[1..])
            .current_dir(&setting.folder)
            .envs_remove(PARENT_AGENT_VARIABLES)
            .envs_remove(setting.unset)
            .envs(setting.variables.iter().cloned())
            .env("AGENT_RUNNER_ROOT", &self.project.root)
            .envs_remove(self.supply.variables())
            .env("AGENT_RUNNER_TASK_ID", task.id.as_str())
            .env("AGENT_RUNNER_ATTEMPT", task.attempt.to_string())
            .env("AGENT_RUNNER_STORE", &self.store_url)
            .env("AGENT_RUNNER_TASK_FILE", &files.task)
            .env("AGENT_RUNNER_RESULT", &files.result)
            .env_remove("AGENT_RUNNER_LAST_ERROR")
            .envs(last_error)
            .mask(self.supply.secrets())
            .merge_output(true)
            .timeout(spec.timeout.or(self.timeout))
            .idle_timeout(spec.idle_timeout.or(self.idle_timeout))
            .grace(self.grace)
    }

    /// Runs a command to its end, or to the end that somebody asked for.
    async fn watch(
        &self,
        mut command: Command,
        job: &Job,
        context: &Context,
        stop: &Stop,
    ) -> Result<(Exit, Option<Order>), Ended> {
        // Before it is there, in case that this process is killed while it starts. A lock that
        // cannot be written is told once.
        drop(job.note(&command.identity().to_string()));
        let child = job
            .start(|| command.spawn())
            .map_err(|error| Ended::new(Outcome::WorkerFailed, error.to_string()))?
            .map_err(|error| not_started(&error))?;
        if let Err(error) = job.note(&child.identity().to_string()) {
            self.reporter
                .ui()
                .warn(format_args!("could not note the agent in the task's lock: {error}"));
        }
        let (exit, order) = self.wait(child, stop, job, context).await;
        let exit = exit.map_err(|error| {
            Ended::new(Outcome::WorkerFailed, format!("could not watch the agent: {error}"))
        })?;
        if let Some(error) = &exit.log_error {
            self.reporter.ui().warn(format_args!("{error}: {}", error.source));
        }
        if exit.survivors > 0 {
            let task = &job.claim.fence.task;
            self.reporter.ui().warn(format_args!(
                "{} processes of task '{task}' could not be ended",
                exit.survivors
            ));
        }
        Ok((exit, order))
    }

    async fn wait(
        &self,
        child: Child,
        stop: &Stop,
        job: &Job,
        context: &Context,
    ) -> (Result<Exit, agent_runner_exec::WaitError>, Option<Order>) {
        let mut order = None;
        let mut exit = std::pin::pin!(child.wait(stop));
        loop {
            let ordered = tokio::select! {
                exit = &mut exit => return (exit, order),
                ordered = self.ordered(job, context), if order.is_none() => ordered,
                () = self.shutdown.reached(Stage::Killing), if order.is_some() && stop.level() < Some(StopLevel::Kill) => {
                    stop.raise(StopLevel::Kill);
                    continue;
                }
            };
            stop.raise(StopLevel::Interrupt);
            order = Some(ordered);
        }
    }

    /// Waits until somebody wants the agent to end.
    pub(super) async fn ordered(&self, job: &Job, context: &Context) -> Order {
        tokio::select! {
            beat = job.held.ended() => match beat {
                Beat::Cancel => Order::Cancel,
                _ => Order::Lost,
            },
            () = self.shutdown.reached(Stage::Terminating) => Order::Stop,
            _ = context.cancelled() => Order::Stop,
        }
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

/// Why an agent was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// A person took the task out.
    Cancel,
    /// The claim is gone.
    Lost,
    /// The run stops.
    Stop,
}

pub(super) fn shell_or_argv(command: &CommandLine) -> Vec<String> {
    match command {
        CommandLine::Shell(line) => vec!["sh".into(), "-c".into(), line.clone()],
        CommandLine::Argv(words) => words.clone(),
    }
}

/// A program that is not there cannot be mended by another worker; a full process table can.
fn not_started(error: &SpawnError) -> Ended {
    let message = crate::error::chain_of(error);
    let outcome = if error.is_transient() { Outcome::WorkerFailed } else { Outcome::Invalid };
    Ended::new(outcome, message)
}
