//! What an attempt may take of the machine, and what it took.

use std::{collections::BTreeMap, path::Path, sync::Once};

use agent_runner_exec::{CgroupError, Cgroups, Command, Exit, LogOptions};
use agent_runner_task_store::Task;
use serde_json::{Value, json};

use super::{lending, proof, settings::Settings};
use crate::{report::Reporter, ui::Ui};

/// Where the figures of an agent's process are kept with its attempt.
pub(super) const PROCESS: &str = "process";

/// Where those of its check are kept.
pub(super) const CHECK: &str = "check";

/// The limits of a run.
pub(super) struct Limits {
    memory: Option<u64>,
    log: Option<u64>,
    cgroups: Result<Cgroups, CgroupError>,
    /// A group for each attempt, also for one without a memory limit.
    always: bool,
    told: Once,
}

impl Limits {
    pub(super) fn new(settings: &Settings) -> Self {
        let (memory, log) = (settings.memory, settings.log_limit);
        let (cgroups, always) = (Cgroups::find(), settings.cgroups);
        if let Ok(cgroups) = &cgroups {
            cgroups.sweep();
        }
        Self { memory, log, cgroups, always, told: Once::new() }
    }

    /// Puts a command within the limits of its task.
    pub(super) fn confine(&self, command: Command, task: &Task, reporter: &Reporter) -> Command {
        let memory = task.spec.memory.or(self.memory);
        if memory.is_some() {
            self.told.call_once(|| tell_who_limits(reporter.ui(), &self.cgroups));
        }
        let cgroups = self.cgroups.as_ref().ok().filter(|_| self.always || memory.is_some());
        command.memory_limit(memory).cgroups(cgroups.cloned())
    }

    pub(super) fn log(&self, path: &Path) -> LogOptions {
        let mut options = LogOptions::new(path);
        if let Some(limit) = self.log {
            options.limit_bytes = limit;
            options.tail_bytes = options.tail_bytes.min(limit / 2);
        }
        options
    }
}

fn tell_who_limits(ui: &Ui, cgroups: &Result<Cgroups, CgroupError>) {
    if let Err(why) = memory_limiter(cgroups) {
        ui.warn(format_args!(
            "memory is limited by looking at it four times a second, not by the kernel: {why}"
        ));
    }
}

/// The control group in which the kernel limits memory; else why it cannot.
pub fn memory_limiter(cgroups: &Result<Cgroups, CgroupError>) -> Result<&Path, String> {
    match cgroups {
        Ok(cgroups) if cgroups.has_memory() => Ok(cgroups.path()),
        Ok(cgroups) => {
            Err(format!("control group '{}' has no memory controller", cgroups.path().display()))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The figures of a process that has ended.
pub(super) fn figures(exit: &Exit) -> Value {
    let usage = &exit.usage;
    let known = [
        ("cpu_user_s", usage.user.map(|time| json!(time.as_secs_f64()))),
        ("cpu_system_s", usage.system.map(|time| json!(time.as_secs_f64()))),
        ("peak_memory_bytes", usage.peak_memory.map(|bytes| json!(bytes))),
        ("output_bytes", Some(json!(exit.stdout_bytes + exit.stderr_bytes))),
        ("left_out_bytes", exit.is_truncated().then(|| json!(exit.left_out_bytes))),
        ("leftovers", Some(json!(exit.leftovers))),
        ("survivors", Some(json!(exit.survivors))),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(known.collect())
}

/// Whether the agent said anything that is kept: the rest we know without it.
pub(super) fn has_words(details: &BTreeMap<String, Value>) -> bool {
    details
        .keys()
        .any(|name| ![PROCESS, CHECK, lending::DETAIL, proof::DETAIL].contains(&name.as_str()))
}
