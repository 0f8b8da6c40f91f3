//! Ticking the boxes of a checklist when their tasks are done.

use std::{
    collections::{HashMap, HashSet},
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use agent_runner_task_store::{NewTask, StoreError, TaskId, TaskStatus, TaskStore, backlog};
use tokio::sync::mpsc;

use crate::report::Reporter;

/// A Markdown file, and which task each of its boxes is.
#[derive(Debug, Clone)]
pub struct Checklist {
    path: PathBuf,
    boxes: HashMap<String, TaskId>,
}

impl Checklist {
    /// `boxes` are the [names](Self::name_of) of the tasks in the file.
    pub fn new(path: PathBuf, boxes: HashMap<String, TaskId>) -> Self {
        Self { path, boxes }
    }

    /// What makes a task of a file the same task when the file is read again.
    pub fn name_of(task: &NewTask) -> String {
        match (&task.id, &task.key) {
            (Some(id), _) => format!("id {id}"),
            (None, key) => format!("key {}", key.as_deref().unwrap_or_default()),
        }
    }

    /// Ticks the boxes of the tasks in `done`. Only the bytes inside those boxes are written.
    fn tick(&self, done: &HashSet<TaskId>) -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let is_done = |task: &NewTask| {
            self.boxes.get(&Self::name_of(task)).is_some_and(|id| done.contains(id))
        };
        match backlog::tick(&text, is_done) {
            Some(ticked) if ticked.len() == text.len() => write_changes(&mut file, &text, &ticked),
            _ => Ok(()),
        }
    }
}

/// Ticks boxes while a run goes on.
pub(super) struct Ticker {
    store: Arc<dyn TaskStore>,
    checklists: Vec<Checklist>,
    done: HashSet<TaskId>,
    reporter: Arc<Reporter>,
}

impl Ticker {
    pub(super) fn new(
        store: Arc<dyn TaskStore>,
        checklists: Vec<Checklist>,
        reporter: Arc<Reporter>,
    ) -> Self {
        Self { store, checklists, done: HashSet::new(), reporter }
    }

    /// Ticks what was done before, and then each task that comes, until no more can come.
    pub(super) async fn follow(mut self, mut succeeded: mpsc::UnboundedReceiver<TaskId>) {
        if self.checklists.is_empty() {
            return;
        }
        if let Err(error) = self.look_back().await {
            self.reporter.ui().warn(format_args!("could not look for boxes to tick: {error}"));
        }
        let mut batch = Vec::new();
        while succeeded.recv_many(&mut batch, 1_000).await > 0 {
            self.done.extend(batch.drain(..));
            self.tick_all();
        }
    }

    /// A run that was killed may not have ticked what it did.
    async fn look_back(&mut self) -> Result<(), StoreError> {
        for id in self.checklists.iter().flat_map(|list| list.boxes.values()) {
            let task = self.store.get(id).await?;
            if task.is_some_and(|task| task.status == TaskStatus::Succeeded) {
                self.done.insert(id.clone());
            }
        }
        self.tick_all();
        Ok(())
    }

    fn tick_all(&self) {
        for list in &self.checklists {
            if let Err(error) = list.tick(&self.done) {
                self.tell(&list.path, &error);
            }
        }
    }

    fn tell(&self, path: &Path, error: &io::Error) {
        self.reporter
            .ui()
            .warn(format_args!("could not tick boxes in '{}': {error}", path.display()));
    }
}

fn write_changes(file: &mut File, before: &str, after: &str) -> io::Result<()> {
    let changed =
        before.bytes().zip(after.bytes()).enumerate().filter(|(_, (old, new))| old != new);
    for (at, (_, new)) in changed {
        file.seek(SeekFrom::Start(at as u64))?;
        file.write_all(&[new])?;
    }
    Ok(())
}
