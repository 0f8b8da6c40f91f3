//! `run`: from a command line to a backlog that is done.

mod admission;
mod agent_result;
mod allowance;
mod attempt;
mod blocked;
mod claims;
mod desk;
mod ending;
mod engine;
mod history;
mod host;
mod judge;
mod keeper;
mod key_keeper;
mod leftovers;
mod lending;
mod limits;
mod locks;
mod needs;
mod outcome;
mod plan;
mod programs;
mod proof;
mod queue;
mod reading;
mod rehearsal;
mod settings;
mod shutdown;
mod signals;
mod site;
mod supply;
mod tally;
mod tick;

pub use agent_result::AgentResult;
pub use desk::waits_to_merge;
pub use engine::{Engine, Summary};
pub use host::name as host_name;
pub use lending::variables_of;
pub use limits::memory_limiter;
pub use outcome::Outcome;
pub use proof::{DETAIL as PROOF, DiffStat, Proof};
pub use rehearsal::claim_and_hold;
pub use settings::Settings;
pub use signals::{Caught, Signals};
pub use supply::Supply;
pub use tick::Checklist;

use agent_runner_task_store::{Filter, TaskStore};

use crate::{
    cli::{self, Empty},
    commands::{Imported, import_backlogs, open_statuses},
    error::{Error, Result},
    exit_code::Exit,
    project::Project,
    report::Reporter,
    ui::Ui,
    units::count,
};

/// Works through the backlog.
pub async fn run(mut ui: Ui, project: &Project, args: &cli::Run) -> Result<Exit> {
    let settings = Settings::new(args, project)?;
    if args.dry_run {
        let backlogs = settings::backlogs(args, project, !project.has_store());
        return plan::show(&ui, project, &settings, &backlogs, args.format.as_deref()).await;
    }
    let supply = Supply::load(project, &ui)?.shared(&ui);
    let store = project.open_store()?;
    let is_empty = store.counts().await?.total() == 0;
    let backlogs = settings::backlogs(args, project, is_empty);
    let imported = import_backlogs(&*store, &backlogs, args.format.as_deref()).await?;
    imported.warn_of_empty(&ui);
    tell_import(&ui, &imported);
    if selects_nothing(&*store, &settings).await? {
        return nothing_to_do(&ui, &settings);
    }
    check_commands(&*store, &settings).await?;
    ui.start_footer();
    let reporter = Reporter::new(ui.clone());
    let mut engine = Engine::new(project, settings, supply, store, reporter)?;
    engine.tick_off(imported.checklists);
    let summary = engine.run().await;
    ui.end_footer();
    Ok(summary?.exit)
}

fn tell_import(ui: &Ui, imported: &Imported) {
    let report = &imported.counted;
    if report.added + report.updated > 0 {
        ui.say(format_args!(
            "{} added, {} updated, {} as before",
            count(report.added, "task"),
            report.updated,
            report.unchanged
        ));
    }
}

/// Whether there is no task at all, or none with the tags that were asked for.
async fn selects_nothing(store: &dyn TaskStore, settings: &Settings) -> Result<bool> {
    if settings.tags.is_empty() {
        return Ok(store.counts().await?.total() == 0);
    }
    let selected = Filter { statuses: Vec::new(), tags: settings.tags.clone() };
    Ok(store.list(&selected, None, 1).await?.is_empty())
}

fn nothing_to_do(ui: &Ui, settings: &Settings) -> Result<Exit> {
    let tags = settings.tags.join("', '");
    let what = match tags.as_str() {
        "" => "nothing to do: there is no task".to_owned(),
        tags => format!("nothing to do: there is no task with the tag '{tags}'"),
    };
    if settings.empty == Empty::Ok {
        ui.say(what);
        return Ok(Exit::Success);
    }
    let error = Error::message(Exit::NothingToDo, what);
    Err(if tags.is_empty() {
        error.hint("name a backlog: `agent-runner run tasks.md -- CMD`, or add a task: `agent-runner add 'fix the login'`")
    } else {
        error.hint("`agent-runner list --json` shows the tags of each task")
    })
}

/// Without a command for the run, the next tasks must bring their own.
async fn check_commands(store: &dyn TaskStore, settings: &Settings) -> Result<()> {
    if settings.recipe.is_some() {
        return Ok(());
    }
    let open = Filter { statuses: open_statuses(), tags: settings.tags.clone() };
    let first = store.list(&open, None, 1).await?;
    if first.iter().all(|task| task.spec.command.is_some()) {
        return Ok(());
    }
    Err(Error::usage("there is no agent: neither the command line nor the configuration nor the tasks name a command")
        .hint("say which: `agent-runner run -- claude -p '{{prompt}}'`, or `command = [...]` in agent-runner.toml"))
}
