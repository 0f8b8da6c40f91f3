#![doc = include_str!("../README.md")]

mod cgroup;
mod child;
mod command;
mod error;
mod exit;
mod identity;
mod launch;
mod mark;
mod meter;
mod orphan;
mod output;
mod parent;
mod program;
mod stop;
mod sys;
mod tree;

pub use self::{
    cgroup::{CgroupError, Cgroups},
    child::Child,
    command::{Command, LogOptions, Stdin},
    error::{SpawnError, WaitError},
    exit::{End, Exit, LogError, Usage},
    identity::{ParseIdentityError, ProcessIdentity},
    mark::MARK_VARIABLE,
    orphan::{Ended, adopt_orphans, end_orphan, orphan_lives},
    output::Stream,
    parent::PARENT_AGENT_VARIABLES,
    program::find_program,
    stop::{Stop, StopLevel},
};
