//! Whose turn it is to merge.

use crate::{Error, Worktrees, roster::Lock};

/// One's turn to merge, until it is dropped. Nobody else can merge meanwhile, in any process.
#[derive(Debug)]
#[must_use = "the turn is over as soon as it is dropped"]
pub struct Turn(pub(crate) Lock);

impl Worktrees {
    /// Takes one's turn to merge, unless it is somebody else's: for who must not wait without an
    /// end, as [`Worktree::merge`](crate::Worktree::merge) does.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    pub fn try_turn(&self) -> Result<Option<Turn>, Error> {
        Ok(self.inner.roster.try_lock_merges()?.map(Turn))
    }
}
