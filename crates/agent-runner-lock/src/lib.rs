#![doc = include_str!("../README.md")]

mod acquire;
mod clean;
mod dir;
mod error;
mod floor;
mod glob;
mod guard;
mod info;
mod inherit;
mod line;
mod list;
mod name;
mod registry;
mod status;
mod sys;
mod time;
mod wait;

#[doc(hidden)]
pub mod record;

pub use crate::{
    acquire::Acquire,
    clean::{CleanOptions, CleanReport},
    dir::{LockDir, LockDirBuilder, NetworkFs},
    error::{AcquireError, KeyError, LostError, NoteError, OpenError, ReleaseError, ScanError},
    glob::{Glob, GlobError, paths_overlap},
    guard::TaskLock,
    info::LockInfo,
    inherit::ChildCommand,
    status::{LockState, LockStatus},
};
