//! What somebody waits for, on the board, so that who comes later does not go ahead.
//!
//! A wish is a claim's file under another name. It is in the way of who wants the same and came
//! later, and like a claim it is over when its lock is free. It excludes nobody from anything that
//! it is not given: that still takes a claim.

use std::{process, sync::Arc};

use super::folder::ClaimsFolder;
use crate::{LockInfo, sys::Locked};

/// A place in the line of all processes, given up when it is dropped.
#[derive(Debug)]
pub(super) struct Wish {
    claims: Arc<ClaimsFolder>,
    name: String,
    token: u64,
    /// The process that waits. A forked child has another number.
    pid: u32,
    locked: Option<Locked>,
}

impl Wish {
    pub(super) fn new(
        claims: Arc<ClaimsFolder>,
        name: String,
        info: &LockInfo,
        locked: Locked,
    ) -> Self {
        Self { claims, name, token: info.token, pid: info.pid, locked: Some(locked) }
    }

    /// A number that is higher than those of all who came before.
    pub(super) fn token(&self) -> u64 {
        self.token
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        let Some(locked) = self.locked.take() else { return };
        if self.pid != process::id() {
            return locked.abandon();
        }
        drop(locked);
        // If it stays, whoever looks next removes it.
        self.claims.remove(&self.name).ok();
    }
}
