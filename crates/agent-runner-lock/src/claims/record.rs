//! The record of a claim: that of a lock, and the resources.

use std::{fs::File, io, thread};

use serde::{Deserialize, Serialize};

use crate::{
    LockInfo, Resource,
    record::{self, Block},
    resource::joined,
    sys,
};

/// The longest record. It has room for some 200 patterns, which others compare with their own while
/// everybody waits.
pub(crate) const MAX_LEN: usize = 8 * record::LEN;

/// How often to read a record that a note may be written to just now.
const READS: u32 = 4;

/// What the record of a claim says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClaimRecord {
    #[serde(flatten)]
    pub(crate) info: LockInfo,
    pub(crate) resources: Vec<Resource>,
}

impl ClaimRecord {
    /// The record as it is written; `None` if it has no room.
    pub(crate) fn block(&self) -> Option<Block> {
        Block::long(self, MAX_LEN)
    }
}

/// Whether one record has room for these resources, whoever claims them.
pub(crate) fn has_room_for(resources: &[Resource]) -> bool {
    let text = serde_json::to_vec(resources).expect("a resource has nothing that JSON cannot say");
    text.len() <= MAX_LEN - record::LEN
}

/// What a record says in place of a key: the resources, as far as a key has room.
pub(crate) fn key(resources: &[Resource]) -> String {
    let mut key = joined(resources);
    if key.len() > crate::name::MAX_KEY {
        let end = crate::name::MAX_KEY - '…'.len_utf8();
        let end = (0..=end).rev().find(|at| key.is_char_boundary(*at));
        key.truncate(end.unwrap_or(0));
        key.push('…');
    }
    key
}

/// Reads the record of a claim that is held; `None` if it cannot be read.
pub(crate) fn read(file: &File) -> io::Result<Option<ClaimRecord>> {
    let mut block = vec![0; MAX_LEN];
    for _ in 0..READS {
        if let Some(claim) = record::parse_held(sys::read_block(file, &mut block)?) {
            return Ok(Some(claim));
        }
        thread::yield_now();
    }
    Ok(None)
}
