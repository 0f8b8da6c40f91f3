//! `status`: how many tasks stand where, and what is running.

use agent_runner_task_store::{Counts, RunningTask};

use super::unwritten;
use crate::{
    error::{Error, Result},
    exit_code::Exit,
    key_state,
    life::{Life, Lives},
    project::Project,
    run::waits_to_merge,
    ui::{BOLD, Ui, printable},
    units::show_duration,
    views::{RunningView, StatusView},
};

/// Prints where the tasks stand.
pub async fn status(ui: &Ui, project: &Project) -> Result<Exit> {
    let store = project.existing_store()?;
    let (counts, running) = (store.counts().await?, store.running().await?);
    let lives = Lives::new(project);
    if ui.json {
        let view = StatusView {
            store: &project.store_url(),
            counts,
            total: counts.total(),
            running: running
                .iter()
                .map(|task| RunningView::new(task, lives.look(task), waits(project, &lives, task)))
                .collect(),
            runs: lives.runs(),
            keys: key_state::of_runs(project),
        };
        let json =
            serde_json::to_string(&view).map_err(|error| Error::new(Exit::Unexpected, error))?;
        ui.data(json).map_err(unwritten)?;
    } else {
        print(ui, project, counts, &running, &lives)?;
        print_keys(ui, project)?;
    }
    Ok(Exit::Success)
}

/// The credentials that cannot be used now.
fn print_keys(ui: &Ui, project: &Project) -> Result<()> {
    for run in key_state::of_runs(project) {
        let text = |key: &serde_json::Value, field: &str| {
            key[field].as_str().map(str::to_owned).unwrap_or_default()
        };
        let keys = run.ring["keys"].as_array().into_iter().flatten();
        for key in keys.filter(|key| key["state"] != "ready") {
            let until = key["until"].as_str().map(|until| format!(" until {until}"));
            ui.data(format_args!(
                "  key {} of {} is {}{}: {}",
                text(key, "label"),
                run.run,
                text(key, "state"),
                until.unwrap_or_default(),
                text(key, "reason"),
            ))
            .map_err(unwritten)?;
        }
    }
    Ok(())
}

/// What the program says without a command.
pub async fn welcome(ui: &Ui, project: &Project) -> Result<Exit> {
    if let Ok(store) = project.existing_store() {
        let lives = Lives::new(project);
        print(ui, project, store.counts().await?, &store.running().await?, &lives)?;
        ui.say("\nnext: agent-runner run");
        return Ok(Exit::Success);
    }
    ui.say(format_args!(
        "{BOLD}agent-runner{BOLD:#} works through a backlog of coding-agent tasks, many at once, unattended.

  agent-runner demo      watch a whole run in 15 seconds, no key needed
  agent-runner init      write a configuration and a sample backlog here
  agent-runner doctor    check that everything is in place
  agent-runner --help    all commands"
    ));
    Ok(Exit::Success)
}

fn print(
    ui: &Ui,
    project: &Project,
    counts: Counts,
    running: &[RunningTask],
    lives: &Lives,
) -> Result<()> {
    let rows = [
        ("pending", counts.pending),
        ("waiting", counts.waiting),
        ("running", counts.running),
        ("succeeded", counts.succeeded),
        ("failed", counts.failed),
        ("cancelled", counts.cancelled),
    ];
    for (name, count) in rows {
        ui.data(format_args!("{name:<10} {count:>9}")).map_err(unwritten)?;
    }
    ui.data(format_args!("{BOLD}{:<10} {:>9}{BOLD:#}", "total", counts.total()))
        .map_err(unwritten)?;
    for task in running {
        let (fence, worker) = (&task.fence, &task.worker);
        ui.data(format_args!(
            "  {} attempt {} for {} by {} w{} (pid {} on {}){}",
            fence.task,
            fence.attempt,
            show_duration(task.held_for),
            worker.run,
            worker.number,
            worker.pid,
            worker.host,
            remark(lives.look(task), waits(project, lives, task)),
        ))
        .map_err(unwritten)?;
    }
    for run in lives.runs() {
        if let Some(held) = run.held {
            let line = format_args!(
                "  {} (pid {}) starts no more agents: {}",
                run.run,
                run.pid,
                printable(&held)
            );
            ui.data(line).map_err(unwritten)?;
        }
    }
    Ok(())
}

/// Whether a task's work is done and waits for its turn to merge.
fn waits(project: &Project, lives: &Lives, task: &RunningTask) -> bool {
    let worker = &task.worker;
    lives.look(task) == Life::Working
        && waits_to_merge(&project.state(), &worker.run, worker.number)
}

/// What there is to say of a task at which no agent works, or that nobody looks after.
fn remark(life: Life, waits_to_merge: bool) -> &'static str {
    match life {
        Life::Working if waits_to_merge => ": done, waits for its turn to merge",
        Life::Working => "",
        Life::Orphaned => {
            ": orphaned, its run is gone but its agent still works; `agent-runner run` takes it back"
        }
        Life::Lost => ": lost, its run is gone; `agent-runner run` takes it back",
    }
}
