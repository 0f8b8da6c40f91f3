//! What is run for a task: its agent, and the check of its work.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use agent_runner_exec::{Command, Exit, LogOptions, PARENT_AGENT_VARIABLES, Stdin, Stop};
use agent_runner_pool::Context;
use agent_runner_signals::Format;
use agent_runner_task_store::{CommandLine, Task};

use super::{Attempts, Ended, Files};
use crate::{
    cli::Retries,
    profile::{Past, Profile, Recipe, Told},
    run::{
        agent_result::AgentResult,
        history::History,
        judge,
        lending::Grant,
        outcome::Outcome,
        queue::Job,
        reading::{self, Reading},
        site::Setting,
    },
};

/// How long an agent may go on after it said how its work ended.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is run, and what is known of it.
pub(super) struct Orders {
    words: Vec<String>,
    stdin: Stdin,
    format: Format,
    pub(super) profile: Profile,
}

impl Attempts {
    /// The program and its arguments, and all that depends on which agent it is.
    pub(super) fn orders(
        &self,
        task: &Task,
        history: &History,
        setting: &Setting,
    ) -> Result<Orders, String> {
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

    pub(super) async fn run_agent(
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
        let told = match Told::new(&profile.lent, &environment, |name| env::var(name).ok()) {
            Ok(told) => told,
            Err(reason) => return Ended::new(Outcome::Invalid, reason),
        };
        let words = profile.with_options(words, told.words);
        let (reading, stop) = (Reading::new(format, !profile.resume.is_empty()), Stop::new());
        let mut command = self
            .command_of(&words, &job.claim.task, setting, files)
            .stdin(stdin)
            .envs_remove(&profile.unset)
            .envs(profile.env)
            .envs(environment)
            .envs(told.env)
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
                AgentResult::read(&files.result, &self.supply.secrets()),
                &reading.finish(),
            ),
            Ok((exit, Some(order))) => judge::stopped(&exit, order),
            Err(failure) => failure,
        }
    }

    pub(super) async fn verify(
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
    pub(in crate::run) async fn check(
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
}

pub(in crate::run) fn shell_or_argv(command: &CommandLine) -> Vec<String> {
    match command {
        CommandLine::Shell(line) => vec!["sh".into(), "-c".into(), line.clone()],
        CommandLine::Argv(words) => words.clone(),
    }
}
