//! Which worktrees there are, who works in them, and whether that one still lives.
//!
//! Each worktree has a lock file, never removed, and a record beside it. The kernel's lock says
//! whether somebody works there; the record says on what. A record that says `Working` while the
//! lock is free is a dead one's, and its work is still to be saved. All choices are made under the
//! lock of the whole roster, which is never held for long.

use std::{
    fs::{self, File, TryLockError},
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{CommitId, Error, git::is_absent, sys};

/// The files in which locks and records are.
#[derive(Debug)]
pub(crate) struct Roster {
    /// In the repository's own folder, where agents have nothing to do.
    pub(crate) state: PathBuf,
    /// Where the worktrees are.
    pub(crate) folder: PathBuf,
}

/// What is known about a worktree.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    /// Who works or worked here.
    pub(crate) tenant: Option<Tenant>,
    /// Whose work still lies here, because he died before it could be saved.
    pub(crate) unsaved: Option<Tenant>,
    /// Why the work of the dead one could not be saved. Nobody else may work here then.
    pub(crate) parked: Option<String>,
}

/// One attempt at a task, as far as its worktree is concerned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tenant {
    pub(crate) task: String,
    pub(crate) attempt: u32,
    #[serde(default)]
    pub(crate) by: Option<String>,
    pub(crate) title: String,
    /// What the task's work is compared with, by name and as it was.
    pub(crate) base_name: String,
    pub(crate) base: CommitId,
    /// Where this attempt began.
    pub(crate) start: Option<CommitId>,
    pub(crate) phase: Phase,
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Its worktree is being made ready; there is nothing of it to save yet.
    Preparing,
    Working,
    /// Its work is saved; what lies in the worktree is to be checked, and nobody's work.
    Merging,
    /// Its work is saved.
    Done,
}

/// A lock of the kernel's, until it is dropped or its process and every git that it was passed on to
/// are gone.
#[derive(Debug)]
pub(crate) struct Lock(pub(crate) File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Not only closed: a program that another thread is about to start may have a copy.
        drop(self.0.unlock());
    }
}

/// A worktree that we hold.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) path: PathBuf,
    pub(crate) lock: Lock,
    pub(crate) record: Record,
    record_path: PathBuf,
}

/// What became of the search for a worktree.
pub(crate) enum Choice {
    Slot(Box<Slot>),
    /// Somebody works on this very task.
    InUse(PathBuf),
    Full,
}

impl Roster {
    /// Waits for the lock of the whole roster.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        self.lock_file("lock")
    }

    /// Waits for one's turn to merge.
    pub(crate) fn lock_merges(&self) -> Result<Lock, Error> {
        self.lock_file("merge.lock")
    }

    /// One's turn to merge, unless it is somebody else's.
    pub(crate) fn try_lock_merges(&self) -> Result<Option<Lock>, Error> {
        try_lock(&self.state.join("merge.lock"))
    }

    fn lock_file(&self, name: &str) -> Result<Lock, Error> {
        let path = self.state.join(name);
        let file = open(&path)?;
        file.lock().map_err(Error::io(path))?;
        Ok(Lock(file))
    }

    /// The names of all worktrees that ever were, in order.
    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        let path = self.state.join("slots");
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&path).map_err(Error::io(&path))? {
            let name = entry.map_err(Error::io(&path))?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_prefix('w')?.strip_suffix(".lock"));
            numbers.extend(stem.and_then(|number| number.parse::<u32>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers.into_iter().map(|number| format!("w{number}")).collect())
    }

    /// Takes a worktree, unless somebody holds it.
    pub(crate) fn try_slot(&self, name: &str) -> Result<Option<Slot>, Error> {
        let path = self.state.join("slots").join(format!("{name}.lock"));
        let Some(lock) = try_lock(&path)? else { return Ok(None) };
        let record_path = path.with_extension("json");
        let record = read(&record_path)?;
        Ok(Some(Slot { path: self.path(name), lock, record, record_path }))
    }

    /// What is said about a worktree, held or not.
    pub(crate) fn record(&self, name: &str) -> Result<Record, Error> {
        read(&self.state.join("slots").join(format!("{name}.json")))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Takes a worktree for a task: its own if it has one, one that nobody needs, a new one, and
    /// last one whose holder died.
    pub(crate) fn choose(&self, tenant: &Tenant, max: usize) -> Result<Choice, Error> {
        let _roster = self.lock()?;
        let names = self.names()?;
        let (mut idle, mut dead) = (None, None);
        for name in &names {
            let own = self.record(name)?.is_of(&tenant.task);
            let Some(slot) = self.try_slot(name)? else {
                if own {
                    return Ok(Choice::InUse(self.path(name)));
                }
                continue;
            };
            if slot.record.parked.is_some() && !own {
                continue;
            }
            if sys::standing_in(&slot.path).is_some() {
                // A dead one's agent that still works, or a person who looks around.
                if own && slot.is_dead() {
                    return Ok(Choice::InUse(slot.path));
                }
                continue;
            }
            if own {
                return slot.claim(tenant);
            }
            let kind = if slot.is_dead() { &mut dead } else { &mut idle };
            if kind.is_none() {
                *kind = Some(slot);
            }
        }
        if let Some(slot) = idle {
            return slot.claim(tenant);
        }
        if names.len() < max {
            let last = names.last().and_then(|name| name[1..].parse::<u32>().ok()).unwrap_or(0);
            if let Some(slot) = self.try_slot(&format!("w{}", last + 1))? {
                return slot.claim(tenant);
            }
        }
        match dead {
            Some(slot) => slot.claim(tenant),
            None => Ok(Choice::Full),
        }
    }
}

impl Record {
    /// Whether a task's work is or was here.
    pub(crate) fn is_of(&self, task: &str) -> bool {
        [&self.tenant, &self.unsaved].into_iter().flatten().any(|tenant| tenant.task == task)
    }
}

impl Slot {
    /// Whether its last holder died with work in it.
    pub(crate) fn is_dead(&self) -> bool {
        let working = |tenant: &Tenant| tenant.phase == Phase::Working;
        self.record.unsaved.is_some() || self.record.tenant.as_ref().is_some_and(working)
    }

    /// Notes who died here, so that his work is saved before anything else happens.
    pub(crate) fn mark_dead(&mut self) {
        let tenant = self.record.tenant.take_if(|tenant| tenant.phase == Phase::Working);
        if tenant.is_some() {
            self.record.unsaved = tenant;
        }
    }

    fn claim(mut self, tenant: &Tenant) -> Result<Choice, Error> {
        self.mark_dead();
        self.record.tenant = Some(tenant.clone());
        self.write()?;
        Ok(Choice::Slot(Box::new(self)))
    }

    /// Writes the record, whole or not at all.
    pub(crate) fn write(&self) -> Result<(), Error> {
        let path = &self.record_path;
        let draft = path.with_extension("json.new");
        let text =
            serde_json::to_vec(&self.record).map_err(|error| Error::io(path)(error.into()))?;
        File::create(&draft)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_data()))
            .and_then(|()| fs::rename(&draft, path))
            .map_err(Error::io(path))?;
        // After a power cut the record must not be older than the work that it is about. Where a
        // folder cannot be opened, renaming is all there is.
        if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
            drop(folder.sync_all());
        }
        Ok(())
    }
}

fn try_lock(path: &Path) -> Result<Option<Lock>, Error> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(Error::io(path)(source)),
    }
}

fn open(path: &Path) -> Result<File, Error> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).map_err(Error::io(path))
}

/// Reads a record. One that cannot be understood may be about work that is not saved.
fn read(path: &Path) -> Result<Record, Error> {
    match fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_else(|error| Record {
            parked: Some(format!("could not read '{}': {error}", path.display())),
            ..Record::default()
        })),
        Err(error) if is_absent(&error) => Ok(Record::default()),
        Err(error) => Err(Error::io(path)(error)),
    }
}
