//! Open files of locks that were released a moment ago, so that who acquires the same lock again and
//! again need not open its file each time.
//!
//! A spare is as good as a file that was opened just now: who locks it checks that the path still
//! names it. But a refusal by a file that lost its name means nothing, so that spares are only
//! tried, never waited for.

use std::{
    collections::VecDeque,
    fs::File,
    process,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many files are kept open.
const MAX_SPARES: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<VecDeque<Spare>>);

#[derive(Debug)]
struct Spare {
    name: String,
    file: File,
    /// A forked child shares our open files, and so our locks: it must not take one for its own.
    pid: u32,
}

impl Spares {
    /// Takes the file of this name, if there is one.
    pub(crate) fn take(&self, name: &str) -> Option<File> {
        let mut spares = self.lock();
        let at = spares.iter().position(|spare| spare.name == name)?;
        spares.remove(at).filter(|spare| spare.pid == process::id()).map(|spare| spare.file)
    }

    /// Keeps a file that is unlocked and that only this process has.
    pub(crate) fn put(&self, name: &str, file: File, pid: u32) {
        let mut spares = self.lock();
        if spares.len() == MAX_SPARES {
            spares.pop_front();
        }
        spares.push_back(Spare { name: name.to_owned(), file, pid });
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Spare>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first() {
        let spares = Spares::default();
        for name in 0..=MAX_SPARES {
            spares.put(&name.to_string(), tempfile::tempfile().unwrap(), process::id());
        }
        assert!(spares.take("0").is_none());
        assert!(spares.take("1").is_some());
        assert!(spares.take("1").is_none(), "a spare is taken once");
    }

    #[test]
    fn a_fork_does_not_use_its_parents_files() {
        let spares = Spares::default();
        spares.put("42", tempfile::tempfile().unwrap(), process::id() + 1);
        assert!(spares.take("42").is_none());
    }
}
