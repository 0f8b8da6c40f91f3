//! Control groups, for those who may make them.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::sys;

/// A place below our own control group (version 2) in which each attempt gets a group of its own.
///
/// A group knows all that was started in it, whatever it did since; it is killed as one, counts
/// processor time exactly, and can limit memory. Clones are the same place.
///
/// # Examples
///
/// ```no_run
/// use agent_runner_exec::{Cgroups, Command};
///
/// let mut command = Command::new("make").memory_limit(4 << 30);
/// match Cgroups::find() {
///     Ok(cgroups) => command = command.cgroups(cgroups),
///     Err(error) => eprintln!("without control groups: {error}"),
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Cgroups(pub(crate) sys::Place);

impl Cgroups {
    /// Finds the place, and changes nothing.
    ///
    /// # Errors
    ///
    /// Fails where we may not make groups, which is usual: as a user without a delegated group
    /// (`systemd-run --user --scope -p Delegate=yes` gives one), in a container, or as root in a
    /// group that belongs to systemd.
    pub fn find() -> Result<Self, CgroupError> {
        sys::Place::find().map(Self)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.folder()
    }

    /// Removes the groups that runners left here which were killed. One in which a process lives,
    /// or whose runner lives, stays.
    ///
    /// What cannot be removed stays too; it costs the kernel some memory and harms nobody.
    pub fn sweep(&self) {
        self.0.sweep();
    }

    /// Whether the kernel offers to limit memory here.
    ///
    /// A limit can still be refused, if other processes are in our group. Then, as without a group,
    /// we look at the tree's memory ourselves.
    pub fn has_memory(&self) -> bool {
        self.0.has_memory()
    }
}

/// Why there is no place for control groups.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CgroupError {
    /// There is no hierarchy of version 2, or not our part of it.
    #[error("no control groups of version 2 are mounted")]
    NotMounted,
    /// We may not write there.
    #[error("control group '{}' is not ours to write", path.display())]
    NotWritable {
        /// The group, or the file in it.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// We may write there, but it is systemd's.
    #[error("control group '{}' is not delegated", path.display())]
    NotDelegated {
        /// The group.
        path: PathBuf,
    },
}
