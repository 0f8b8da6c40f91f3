//! `logs`: what an agent printed.

mod harmless;

use std::{
    fs::File,
    io::{self, IsTerminal},
    path::PathBuf,
};

use agent_runner_task_store::TaskId;

use self::harmless::Harmless;
use super::{no_such_task, parse_id, unwritten};
use crate::{
    cli::Logs,
    error::{Error, OrExit, Result},
    exit_code::Exit,
    project::Project,
    ui::Ui,
};

/// Prints the log of an attempt as it is; on a terminal, what could do more than colour it is shown,
/// not obeyed.
pub async fn logs(ui: &Ui, project: &Project, args: Logs) -> Result<Exit> {
    let id = parse_id(&args.id)?;
    let store = project.existing_store()?;
    let task = store.get(&id).await?.ok_or_else(|| no_such_task(&id))?;
    if task.attempt == 0 {
        return Err(Error::usage(format!("task '{id}' has not been started yet")));
    }
    let number = args.attempt.unwrap_or(task.attempt);
    if number == 0 || number > task.attempt {
        let have = task.attempt;
        return Err(Error::usage(format!(
            "there is no attempt {number} at task '{id}': it has {have}"
        )));
    }
    let path = path_of(project, &id, number);
    if args.path {
        ui.data(path.display()).map_err(unwritten)?;
        return Ok(Exit::Success);
    }
    let log = File::open(&path);
    if log.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        let attempts = store.attempts(&id).await?;
        let attempt = attempts.iter().find(|attempt| attempt.number == number);
        if attempt.and_then(|it| it.report.as_ref()).is_none_or(|report| report.log.is_none()) {
            let silent =
                format!("the agent of attempt {number} at task '{id}' has printed nothing");
            match check_of(project, &id, number) {
                Some(check) => {
                    ui.say(format_args!("{silent}; its check has: {}", check.display()));
                }
                None => ui.say(silent),
            }
            return Ok(Exit::Success);
        }
    }
    let mut log = log.or_invalid(|| format!("could not read log '{}'", path.display()))?;
    let mut stdout = io::stdout().lock();
    let copied = if stdout.is_terminal() {
        io::copy(&mut log, &mut Harmless::new(stdout))
    } else {
        io::copy(&mut log, &mut stdout)
    };
    match copied {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unwritten(error)),
        _ => Ok(Exit::Success),
    }
}

/// What the last check of an attempt printed, if it did: where the work was to land, or before.
fn check_of(project: &Project, id: &TaskId, number: u32) -> Option<PathBuf> {
    let log = |what| project.log_folder(id).join(format!("{number}.{what}.log"));
    let printed = |path: &PathBuf| path.metadata().is_ok_and(|it| it.len() > 0);
    [log("merge"), log("verify")].into_iter().find(printed)
}

/// Where an attempt's log is.
fn path_of(project: &Project, id: &TaskId, number: u32) -> PathBuf {
    project.log_folder(id).join(format!("{number}.log"))
}
