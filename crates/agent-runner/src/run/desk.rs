//! The files by which a worker and its agent speak while it works.
//!
//! They belong to the worker and are used again for its next attempt: on ext4 a new file costs more
//! than starting a small program. What is worth keeping is moved to the attempt's logs.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use agent_runner_lock::LockDir;
use agent_runner_pool::WorkerId;
use agent_runner_task_store::Task;

use crate::views::TaskView;

/// The desks of a run's workers. They are gone with it.
#[derive(Debug)]
pub(super) struct Desks(PathBuf);

/// What an agent is given.
#[derive(Debug)]
pub(super) struct Desk {
    /// The task as JSON.
    pub(super) task: PathBuf,
    /// What it may write. There is nothing yet.
    pub(super) result: PathBuf,
}

impl Desks {
    pub(super) fn new(state: &Path, run: &str) -> Self {
        Self(state.join("desks").join(run))
    }

    /// Lays a task on the desk of a worker.
    pub(super) fn lay(&self, worker: WorkerId, task: &Task) -> io::Result<Desk> {
        let file = |name: &str| self.0.join(format!("{}.{name}.json", worker.number()));
        let desk = Desk { task: file("task"), result: file("result") };
        // What the agent before wrote was kept, or was not asked for.
        remove(&desk.result)?;
        let json = serde_json::to_vec(&TaskView::from(task))?;
        match write_over(&desk.task, &json) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&self.0)?;
                write_over(&desk.task, &json)?;
            }
            written => written?,
        }
        Ok(desk)
    }

    /// Says to `status` that a worker waits for its turn to merge, until that is dropped. A note
    /// that cannot be written is not missed by anybody at work.
    pub(super) fn waits_to_merge(&self, worker: WorkerId) -> MergeNote {
        let note = merge_note(&self.0, worker.number());
        drop(fs::write(&note, ""));
        MergeNote(note)
    }
}

/// A note on a worker's desk: the work is done, and waits for its turn to merge.
#[derive(Debug)]
pub(super) struct MergeNote(PathBuf);

impl Drop for MergeNote {
    fn drop(&mut self) {
        drop(remove(&self.0));
    }
}

/// Whether a worker of a run waits for its turn to merge.
pub fn waits_to_merge(state: &Path, run: &str, worker: u32) -> bool {
    merge_note(&state.join("desks").join(run), worker).exists()
}

fn merge_note(desks: &Path, worker: u32) -> PathBuf {
    desks.join(format!("{worker}.merge"))
}

/// Removes the desks of runs that are gone. No agent of theirs is at work any more.
pub(super) fn clear(state: &Path, runs: &LockDir) {
    for entry in fs::read_dir(state.join("desks")).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_gone =
            name.to_str().and_then(|run| runs.status(run).ok()).is_some_and(|it| !it.is_held());
        if is_gone {
            // The next run tries again.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

impl Drop for Desks {
    fn drop(&mut self) {
        // What cannot be removed harms nobody: no other run has this name.
        drop(fs::remove_dir_all(&self.0));
        drop(self.0.parent().map(fs::remove_dir));
    }
}

/// Moves a result, if there is one, to where it is kept.
pub(super) fn keep(result: &Path, kept: &Path) -> io::Result<()> {
    if !result.exists() {
        return Ok(());
    }
    fs::create_dir_all(kept.parent().unwrap_or(Path::new("")))?;
    fs::rename(result, kept)
}

/// Makes a file's content this, in its place: a file that is emptied first is slow to close.
fn write_over(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.write_all(content)?;
    let len = content.len() as u64;
    if file.metadata()?.len() > len { file.set_len(len) } else { Ok(()) }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_over_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for content in ["", "a long text", "short", "longer again"] {
            write_over(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_result_is_moved_once() {
        let folder = tempfile::tempdir().unwrap();
        let (result, kept) = (folder.path().join("result"), folder.path().join("a/b/kept"));
        keep(&result, &kept).unwrap();
        assert!(!kept.exists());
        fs::write(&result, "{}").unwrap();
        keep(&result, &kept).unwrap();
        keep(&result, &kept).unwrap();
        assert_eq!((kept.exists(), result.exists()), (true, false));
    }
}
