//! What is known of keys beyond this process: the file that the machine's runs share, and how the
//! keys of the runs stand that are alive.

use std::{
    env, fs, io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use agent_runner_credentials::{KeyRing, Snapshot, StateFile};
use agent_runner_lock::LockDir;
use serde::Serialize;
use serde_json::Value;

use crate::{project::Project, ui::Ui};

/// How often each run and gateway learns what others know of keys, and lets them learn.
pub const EVERY: Duration = Duration::from_secs(1);

/// The file of spent and lost keys, which the runs of this user share; `None` without a home.
pub fn shared_file() -> Option<StateFile> {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let state = folder("XDG_STATE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| folder("HOME").map(|home| home.join(".local/state")))?;
    Some(StateFile::new(state.join("agent-runner/keys.json")))
}

/// Brings a ring and the file up to date with each other. What fails is told and does no harm.
pub fn sync(file: &StateFile, ring: &mut KeyRing, now: SystemTime, ui: &Ui) {
    if ring.is_empty() {
        return;
    }
    match file.sync(ring, now) {
        Ok(synced) if synced.was_corrupt => ui.warn(format_args!(
            "the state of keys in '{}' made no sense, and is begun anew",
            file.path().display()
        )),
        Ok(_) => drop(TOLD.lock().unwrap_or_else(PoisonError::into_inner).take()),
        Err(error) => warn_once(ui, crate::error::chain_of(&error)),
    }
}

/// What was told last, since it would be told every second.
static TOLD: Mutex<Option<String>> = Mutex::new(None);

fn warn_once(ui: &Ui, why: String) {
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.as_ref() != Some(&why) {
        ui.warn(&why);
        *told = Some(why);
    }
}

/// How the keys of a run stand.
#[derive(Debug, Serialize)]
pub struct RunKeys {
    /// The run.
    pub run: String,
    /// As a snapshot of its ring has it.
    #[serde(flatten)]
    pub ring: Value,
}

/// Writes down how the keys of a run stand, for `status`.
pub fn show(project: &Project, run: &str, snapshot: &Snapshot) -> io::Result<()> {
    let (path, folder) = (path_of(project, run), folder(project));
    fs::create_dir_all(folder)?;
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_vec(snapshot)?)?;
    fs::rename(new, path)
}

/// Takes it away again.
pub fn hide(project: &Project, run: &str) {
    // If it cannot be removed: what is left of a run that has ended is not shown.
    drop(fs::remove_file(path_of(project, run)));
}

/// Takes away what runs left that were killed: no lock of theirs is held.
pub fn clear(project: &Project, runs: &LockDir) {
    for (run, path) in files(project) {
        if runs.status(&run).is_ok_and(|lock| !lock.is_held()) {
            // The next run tries again.
            drop(fs::remove_file(path));
        }
    }
}

/// The keys of the runs that are alive.
pub fn of_runs(project: &Project) -> Vec<RunKeys> {
    let mut runs: Vec<_> = files(project)
        .filter(|(_, path)| path.extension().is_some_and(|it| it == "json"))
        .filter_map(|(run, path)| {
            let locks = project.open_run_locks("status").ok()?;
            let is_alive = locks.status(&run).is_ok_and(|lock| lock.is_held());
            let text = is_alive.then(|| fs::read(path).ok())??;
            Some(RunKeys { run, ring: serde_json::from_slice(&text).ok()? })
        })
        .collect();
    runs.sort_by(|a, b| a.run.cmp(&b.run));
    runs
}

/// The runs of which something is written down, and where.
fn files(project: &Project) -> impl Iterator<Item = (String, PathBuf)> {
    let files = fs::read_dir(folder(project)).into_iter().flatten().flatten();
    files.filter_map(|file| {
        let name = file.file_name().into_string().ok()?;
        let run = name.strip_suffix(".json").or_else(|| name.strip_suffix(".new"))?;
        Some((run.to_owned(), file.path()))
    })
}

fn folder(project: &Project) -> PathBuf {
    project.state().join("keys")
}

fn path_of(project: &Project, run: &str) -> PathBuf {
    folder(project).join(format!("{run}.json"))
}
