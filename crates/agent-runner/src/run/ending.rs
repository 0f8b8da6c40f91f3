//! What a run came to: its exit code, and what a person looks for in the morning.

use agent_runner_lock::{AcquireError, LostError};
use agent_runner_pool::{Ended as PoolEnded, SourceError};
use agent_runner_task_store::{Counts, Filter, StoreError, TaskStatus, TaskStore};

use super::{history::History, shutdown::Cause};
use crate::{
    commands::open_statuses,
    error::{Error, Result},
    exit_code::Exit,
    ui::{ERROR, Ui, WARNING, headline},
};

/// So many failed tasks are named.
const SHOWN_FAILURES: usize = 10;

/// Why a run ended, and what that means.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) exit: Exit,
    pub(super) reason: String,
    pub(super) error: Option<Error>,
}

/// Whether anything of the run's selection is not done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    open: bool,
    failed: bool,
}

impl Left {
    /// Counts know all tasks; with tags the selected ones are looked for.
    pub(super) async fn look(
        store: &dyn TaskStore,
        tags: &[String],
        counts: Counts,
    ) -> Result<Self, StoreError> {
        if tags.is_empty() {
            return Ok(Self { open: counts.open() > 0, failed: counts.failed > 0 });
        }
        let any = async |statuses| {
            let filter = Filter { statuses, tags: tags.to_vec() };
            Ok::<_, StoreError>(!store.list(&filter, None, 1).await?.is_empty())
        };
        Ok(Self { open: any(open_statuses()).await?, failed: any(vec![TaskStatus::Failed]).await? })
    }
}

impl Ending {
    /// `limit` is the number of attempts that was allowed, if they were all made.
    pub(super) fn new(
        ended: PoolEnded,
        cause: Option<Cause>,
        limit: Option<u64>,
        left: Left,
    ) -> Self {
        let error = match ended {
            PoolEnded::SourceFailed(error) => explain(error),
            PoolEnded::NoWorkersLeft => Error::message(
                Exit::Left,
                "every worker's agents crashed too often; the tasks that are left are still pending",
            )
            .hint("`agent-runner logs ID` shows what the agents printed; mend the agent and run again"),
            _ => return Self::in_order(cause, limit, left),
        };
        Self { exit: error.exit(), reason: "the run failed".into(), error: Some(error) }
    }

    fn in_order(cause: Option<Cause>, limit: Option<u64>, left: Left) -> Self {
        let (exit, reason) = match cause {
            Some(cause) if left.open => (cause.exit, cause.reason),
            _ if left.open && limit.is_some() => {
                (Exit::Left, "the limit of attempts is reached".into())
            }
            _ if left.failed => (Exit::TasksFailed, "done, some tasks failed".into()),
            _ if left.open => (Exit::Left, "nothing more can be run".into()),
            _ => (Exit::Success, "done".into()),
        };
        Self { exit, reason, error: None }
    }
}

/// Why no task can be taken or recorded any more.
fn explain(error: SourceError) -> Error {
    let error = match error.downcast::<StoreError>() {
        Ok(error) => return Error::from(*error),
        Err(error) => error,
    };
    match error.downcast::<LostError>() {
        Ok(error) => Error::new(Exit::Invalid, *error).hint(
            "did an agent remove it, as `git clean -fdx` does? what was recorded in it is lost: keep the state elsewhere with `--store sqlite:PATH`, and run again",
        ),
        Err(error) => match error.downcast::<AcquireError>() {
            Ok(error) if matches!(*error, AcquireError::DiskFull { .. }) => {
                Error::new(Exit::Invalid, *error)
            }
            Ok(error) => Error::new(Exit::Unexpected, *error),
            Err(error) => Error::message(Exit::Unexpected, error),
        },
    }
}

/// Which tasks are not done, why, and what to do.
pub(super) async fn tell_left(
    ui: &Ui,
    store: &dyn TaskStore,
    exit: Exit,
) -> Result<(), StoreError> {
    if ui.json {
        return Ok(());
    }
    tell_failed(ui, store).await?;
    if exit == Exit::Left { tell_blocked(ui, store).await } else { Ok(()) }
}

async fn tell_failed(ui: &Ui, store: &dyn TaskStore) -> Result<(), StoreError> {
    let filter = Filter { statuses: vec![TaskStatus::Failed], tags: Vec::new() };
    let failed = store.list(&filter, None, SHOWN_FAILURES).await?;
    for task in &failed {
        let why = headline(task.error.as_deref().unwrap_or("no reason was given"), 100);
        let title = headline(&task.spec.title, 48);
        ui.failure(format_args!("  {ERROR}✗{ERROR:#} {} {title}: {why}", task.id));
    }
    if let [first, ..] = &failed[..] {
        ui.failure(format_args!(
            "  see `agent-runner logs {}`, `agent-runner list --status failed`; try again with `agent-runner retry --failed`",
            first.id
        ));
    }
    Ok(())
}

async fn tell_blocked(ui: &Ui, store: &dyn TaskStore) -> Result<(), StoreError> {
    let mut any = false;
    for task in store.delayed(SHOWN_FAILURES).await? {
        if History(store.attempts(&task.id).await?).times_in_the_way() > 0 {
            any = true;
            let why = headline(task.error.as_deref().unwrap_or_default(), 200);
            let title = headline(&task.spec.title, 48);
            ui.failure(format_args!("  {WARNING}⏸{WARNING:#} {} {title}: {why}", task.id));
        }
    }
    if any {
        ui.failure("  put that right and run again: what is done is only merged");
    }
    Ok(())
}
