#![doc = include_str!("../README.md")]

mod acquire;
mod check;
mod claims;
mod clean;
mod dir;
mod error;
mod floor;
mod glob;
mod guard;
mod info;
mod inherit;
mod lease;
mod line;
mod list;
mod loss;
mod mode;
mod name;
mod overdue;
mod registry;
mod resource;
mod spare;
mod status;
mod sys;
mod takeover;
mod time;
mod wait;
mod watch;

#[doc(hidden)]
pub mod record;

#[doc = include_str!("../docs/comparison.md")]
pub mod comparison {}

pub use crate::{
    acquire::Acquire,
    claims::{AcquireAll, ClaimStatus, ResourceLock},
    clean::{CleanOptions, CleanReport},
    dir::{LockDir, LockDirBuilder, NetworkFs},
    error::{
        AcquireError, KeyError, LostError, NoProof, NoteError, OpenError, ReleaseError, ScanError,
        TakeoverError,
    },
    glob::{Glob, GlobError, paths_overlap},
    guard::TaskLock,
    info::{LeaseInfo, LockInfo},
    inherit::ChildCommand,
    loss::LostReason,
    mode::LockMode,
    resource::{Resource, ResourceError},
    status::{LockState, LockStatus},
    takeover::Takeover,
};
