//! The mutexes of a lease directory, each for a sixteenth of the keys.

use std::io;

use crate::sys::{self, Folder, Locked};

const PREFIX: &str = ".mutex-";

/// A mutex that is locked until this is dropped.
#[derive(Debug)]
#[must_use = "the mutex is unlocked as soon as this is dropped"]
pub(crate) struct Shard {
    name: String,
    _locked: Option<Locked>,
}

impl Shard {
    /// Locks nothing, for a strict directory.
    pub(crate) const fn not_needed() -> Self {
        Self { name: String::new(), _locked: None }
    }

    /// Locks out those who break a lock; `None` if one does just now.
    pub(crate) fn shared(folder: &Folder, key_file: &str) -> io::Result<Option<Self>> {
        Self::lock(folder, key_file, Locked::try_shared)
    }

    /// Locks out everybody; `None` if there is somebody.
    pub(crate) fn exclusive(folder: &Folder, key_file: &str) -> io::Result<Option<Self>> {
        Self::lock(folder, key_file, Locked::try_new)
    }

    fn lock(
        folder: &Folder,
        key_file: &str,
        lock: impl FnOnce(std::fs::File) -> io::Result<Result<Locked, std::fs::File>>,
    ) -> io::Result<Option<Self>> {
        let name = name_of(key_file);
        let locked = lock(folder.open_or_create(&name)?)?.ok();
        Ok(locked.map(|locked| Self { name, _locked: Some(locked) }))
    }

    /// Puts a new file with this content in the place of another one. Only for who has the mutex
    /// alone.
    pub(crate) fn replace(&self, folder: &Folder, name: &str, content: &[u8]) -> io::Result<()> {
        let new = format!("{}.new", self.name);
        match folder.remove(&new) {
            // What a breaker left that was killed.
            Ok(()) => {}
            Err(error) if sys::absent_or_other(&error) => {}
            Err(error) => return Err(error),
        }
        sys::write_block(&folder.open_or_create(&new)?, content)?;
        folder.rename(&new, name)
    }
}

/// Whether a file is a mutex, or what a killed breaker left.
pub(crate) fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
}

fn name_of(key_file: &str) -> String {
    let mixed = key_file.bytes().fold(0_u32, |mixed, byte| mixed * 31 % 0xffff + u32::from(byte));
    format!("{PREFIX}{:x}", mixed % 16)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_spread_over_all_mutexes() {
        let names: HashSet<String> =
            (0..200).map(|key| name_of(&format!("task-{key}.lock"))).collect();
        assert_eq!(names.len(), 16);
        assert!(names.iter().all(|name| is_ours(name) && name.len() == PREFIX.len() + 1));
    }

    #[test]
    fn who_shares_a_mutex_keeps_breakers_out() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::open(folder.path()).unwrap();
        let name = "task-42.lock";
        let one = Shard::shared(&folder, name).unwrap().expect("nobody has it");
        let two = Shard::shared(&folder, name).unwrap().expect("it is shared");
        assert!(Shard::exclusive(&folder, name).unwrap().is_none());
        drop((one, two));
        let breaker = Shard::exclusive(&folder, name).unwrap().expect("nobody has it");
        assert!(Shard::shared(&folder, name).unwrap().is_none());
        drop(breaker);
    }
}
