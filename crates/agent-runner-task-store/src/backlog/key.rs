//! What was seen of a backlog so far, in about 13 bytes a task: the ids, so that none comes twice,
//! and the contents of tasks without an id, so that each gets a key.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::Write as _,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
};

use serde_json::Value;

use crate::{NewTask, TaskId};

#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Random, so that a false alarm (one in 37 million backlogs of a million tasks) passes when
    /// it is tried again.
    hash: RandomState,
    lines: HashMap<Print, u32, BuildHasherDefault<AsItIs>>,
    counts: HashMap<Print, u32, BuildHasherDefault<AsItIs>>,
}

impl Seen {
    /// Notes an id, or returns the line at which it was used before.
    pub(super) fn id(&mut self, id: &TaskId, line: usize) -> Result<(), usize> {
        match self.lines.entry(Print::new(self.hash.hash_one(id.as_str()))) {
            Entry::Occupied(first) => Err(*first.get() as usize),
            Entry::Vacant(free) => {
                free.insert(u32::try_from(line).unwrap_or(u32::MAX));
                Ok(())
            }
        }
    }

    /// The key of a task: a hash of what is to be done and, for one that says the same as one
    /// before it, how many did.
    ///
    /// How it is done (priority, timeouts, tags …) is left out, so that changing it does not make
    /// another task. So is whether boxes of a checklist in the prompt are ticked.
    pub(super) fn key(&mut self, task: &NewTask) -> String {
        let hash = content(task);
        let head = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
        let count = self.counts.entry(Print::new(u64::from_le_bytes(*head))).or_default();
        *count += 1;
        let mut key = hash.to_hex()[..32].to_owned();
        if *count > 1 {
            write!(key, "-{count}").expect("a string takes all");
        }
        key
    }
}

fn content(task: &NewTask) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    if task.prompt.contains("[x]") || task.prompt.contains("[X]") {
        part(task.prompt.replace("[x]", "[ ]").replace("[X]", "[ ]").as_bytes());
    } else {
        part(task.prompt.as_bytes());
    }
    if let Some(command) = &task.command {
        part(&serde_json::to_vec(command).expect("text can be written as JSON"));
    }
    if task.payload != Value::Null {
        part(b"payload");
        part(&serde_json::to_vec(&task.payload).expect("JSON can be written as JSON"));
    }
    hasher.finalize()
}

/// A 64-bit hash, aligned so that a map needs no padding.
#[derive(Debug, PartialEq, Eq)]
struct Print([u32; 2]);

impl Print {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
    fn new(hash: u64) -> Self {
        Self([hash as u32, (hash >> 32) as u32])
    }
}

impl Hash for Print {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from(self.0[0]) | u64::from(self.0[1]) << 32);
    }
}

/// The hasher of what is a hash already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
