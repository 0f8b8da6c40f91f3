#![doc = include_str!("../README.md")]

mod checkpoint;
mod commit;
mod conflict;
mod diff;
mod error;
mod gc;
mod git;
mod land;
mod landed;
mod list;
mod merge;
mod name;
mod options;
mod replay;
mod repository;
mod roster;
mod snapshot;
mod sys;
mod tree;
mod turn;
mod watched;
mod worktree;
mod worktrees;

pub use crate::{
    checkpoint::Checkpoint,
    commit::CommitId,
    conflict::{Conflict, ConflictedFile, Hunk},
    diff::{Diff, FileDiff},
    error::{Error, GitError, OpenError},
    gc::{GcReport, Kept, KeptBecause},
    git::REPOSITORY_VARIABLES,
    land::Blocked,
    landed::Landed,
    list::{Entry, State},
    merge::{Candidate, History, Merge, Merged},
    options::{Builder, Ignored, Submodules},
    turn::Turn,
    watched::{Sight, Watched},
    worktree::Worktree,
    worktrees::{Acquire, Attempt, Recovered, Start, Worktrees},
};
