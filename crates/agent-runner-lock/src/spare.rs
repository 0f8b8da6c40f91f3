//! Open files of locks that were released a moment ago, and what was written to them, so that who
//! acquires the same lock again and again need not open its file and word its record each time.
//!
//! A spare is as good as a file that was opened just now: who locks it checks that the path still
//! names it. Which file it is need not be asked again. But a refusal by a file that lost its name means nothing, so that spares are only
//! tried, never waited for.

use std::{
    collections::VecDeque,
    fs::File,
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{LockInfo, record::Block, sys::FileId};

/// How many files are kept open.
const MAX_SPARES: usize = 16;

/// A record that this process wrote, and the file that it wrote it to.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: FileId,
    pub(crate) info: Arc<LockInfo>,
    pub(crate) block: Block,
}

#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<VecDeque<Spare>>);

#[derive(Debug)]
struct Spare {
    name: String,
    file: File,
    draft: Draft,
    /// A forked child shares our open files, and so our locks: it must not take one for its own.
    pid: u32,
}

impl Spares {
    /// Takes the file of this name, if there is one.
    pub(crate) fn take(&self, name: &str) -> Option<(File, Draft)> {
        let mut spares = self.lock();
        let at = spares.iter().position(|spare| spare.name == name)?;
        let spare = spares.remove(at).filter(|spare| spare.pid == process::id())?;
        Some((spare.file, spare.draft))
    }

    /// Keeps a file that is unlocked and that only this process has.
    pub(crate) fn put(&self, name: &str, file: File, draft: Draft) {
        let mut spares = self.lock();
        if spares.len() == MAX_SPARES {
            spares.pop_front();
        }
        let pid = draft.info.pid;
        spares.push_back(Spare { name: name.to_owned(), file, draft, pid });
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Spare>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(pid: u32) -> Draft {
        let json = serde_json::json!({
            "token": 1, "acquired_at": "2026-11-23T20:05:26Z", "task_id": "42", "holder_id": "run-1",
            "pid": pid, "timeout": null, "host": "a", "boot_id": null, "start_time": null,
            "pid_ns": null, "uid": null, "note": null,
        });
        let info: LockInfo = serde_json::from_value(json).unwrap();
        let id = crate::sys::found(&tempfile::tempfile().unwrap()).unwrap().id;
        Draft { id, block: Block::held(&info), info: Arc::new(info) }
    }

    #[test]
    fn the_oldest_go_first() {
        let spares = Spares::default();
        for name in 0..=MAX_SPARES {
            spares.put(&name.to_string(), tempfile::tempfile().unwrap(), draft(process::id()));
        }
        assert!(spares.take("0").is_none());
        assert!(spares.take("1").is_some());
        assert!(spares.take("1").is_none(), "a spare is taken once");
    }

    #[test]
    fn a_fork_does_not_use_its_parents_files() {
        let spares = Spares::default();
        spares.put("42", tempfile::tempfile().unwrap(), draft(process::id() + 1));
        assert!(spares.take("42").is_none());
    }
}
