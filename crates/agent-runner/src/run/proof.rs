//! What proves that an attempt did what it was to do, or shows what is missing.

use std::{collections::BTreeMap, path::Path};

use agent_runner_worktree::{Checkpoint, Diff};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Under this name it is kept among the details of an attempt's report.
pub const DETAIL: &str = "proof";
/// So many names are kept of each list.
const MAX_NAMES: usize = 50;

/// The proof of one attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proof {
    /// Whether the agent said itself that its work has ended; `None` for one that cannot.
    pub terminal_event: Option<bool>,
    /// Whether the check was content; `None` if there was none.
    pub verified: Option<bool>,
    /// What changed; `None` if nobody looked.
    pub diff: Option<DiffStat>,
    /// Processes that were left and could not be ended.
    pub survivors: u32,
    /// Where its work is, if it had a worktree of its own.
    pub work: Option<Work>,
    /// Whether the agent and the check were content, and only the merge is missing.
    pub ready: bool,
    /// Where its work was merged.
    pub merged: Option<Merged>,
    /// Files in which its work does not go together with what others have merged, or in which the
    /// agent itself left conflicts.
    pub conflicts: Vec<String>,
}

/// What changed, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffStat {
    /// Whether anything did. A commit of what was there before is a change, too.
    pub changed: bool,
    /// Files.
    pub files: usize,
    /// Lines that were added.
    pub insertions: u64,
    /// Lines that were removed.
    pub deletions: u64,
}

/// Where the work of an attempt is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The folder in which the agent worked.
    pub folder: String,
    /// The task's branch.
    pub branch: String,
    /// Where the task's work and the target part.
    pub base: String,
    /// All that the task has come to.
    pub commit: String,
    /// New files that are too large to be kept.
    pub left_out: Vec<String>,
    /// Refs of work that is not part of the commit.
    pub aside: Vec<String>,
}

/// Where work was merged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// The branch.
    pub target: String,
    /// The commit of it that has the work.
    pub commit: String,
    /// Whether it was there already: a run was killed before it could record its merge.
    pub already: bool,
}

impl Proof {
    /// That of a recorded attempt.
    pub fn of(details: &BTreeMap<String, Value>) -> Option<Self> {
        details.get(DETAIL).and_then(|proof| Self::deserialize(proof).ok())
    }

    /// As it is kept.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("a proof is plain JSON")
    }

    /// Adds what a checkpoint saved of the work in a folder.
    pub fn see(&mut self, checkpoint: &Checkpoint, folder: &Path, branch: &str) {
        self.diff = Some(DiffStat::of(&checkpoint.diff));
        self.conflicts = names(checkpoint.unmerged.iter().map(|path| path.display()));
        self.work = Some(Work {
            folder: folder.display().to_string(),
            branch: branch.to_owned(),
            base: checkpoint.base.to_string(),
            commit: checkpoint.commit.to_string(),
            left_out: names(checkpoint.left_out.iter().map(|path| path.display())),
            aside: names(&checkpoint.aside),
        });
    }
}

impl DiffStat {
    /// The numbers of a diff.
    pub fn of(diff: &Diff) -> Self {
        Self {
            changed: !diff.is_empty(),
            files: diff.files.len(),
            insertions: diff.insertions(),
            deletions: diff.deletions(),
        }
    }
}

/// As many names as fit, and how many more there are.
pub fn names(all: impl IntoIterator<Item = impl ToString>) -> Vec<String> {
    let mut all: Vec<_> = all.into_iter().map(|name| name.to_string()).collect();
    if all.len() > MAX_NAMES {
        let more = all.len() - MAX_NAMES;
        all.truncate(MAX_NAMES);
        all.push(format!("and {more} more"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let proof = Proof {
            verified: Some(true),
            diff: Some(DiffStat { changed: true, files: 1, insertions: 2, deletions: 0 }),
            conflicts: names(["a", "b"]),
            ..Proof::default()
        };
        let details = BTreeMap::from([(DETAIL.to_owned(), proof.to_value())]);
        assert_eq!(Proof::of(&details), Some(proof));
        let forged = BTreeMap::from([(DETAIL.to_owned(), Value::from("done, trust me"))]);
        assert_eq!(Proof::of(&forged), None);
    }

    #[test]
    fn a_long_list_is_cut() {
        let long = names(0..MAX_NAMES + 3);
        assert_eq!(long.len(), MAX_NAMES + 1);
        assert_eq!(long.last().map(String::as_str), Some("and 3 more"));
        assert_eq!(names(0..MAX_NAMES).len(), MAX_NAMES);
    }
}
