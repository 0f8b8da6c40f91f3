//! What changed between two commits, counted.

use std::path::PathBuf;

use crate::{CommitId, Error, git, repository::Repository, sys};

/// What changed between two commits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Diff {
    /// Each file that changed, by its new name.
    pub files: Vec<FileDiff>,
}

/// What changed in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileDiff {
    /// The file, from the top of the repository.
    pub path: PathBuf,
    /// Lines that were added; none for what is not text.
    pub insertions: Option<u64>,
    /// Lines that were removed; none for what is not text.
    pub deletions: Option<u64>,
}

impl Diff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Lines that were added, in all files.
    pub fn insertions(&self) -> u64 {
        self.files.iter().filter_map(|file| file.insertions).sum()
    }

    /// Lines that were removed, in all files.
    pub fn deletions(&self) -> u64 {
        self.files.iter().filter_map(|file| file.deletions).sum()
    }
}

/// Compares two commits.
pub(crate) fn diff(repo: &Repository, from: &CommitId, to: &CommitId) -> Result<Diff, Error> {
    if from == to {
        return Ok(Diff::default());
    }
    let options = ["diff-tree", "-r", "-z", "--numstat", "--no-renames", "--no-ext-diff"];
    let output = repo.git().args(options).args([from.as_str(), to.as_str()]).output()?;
    Ok(Diff { files: git::fields(&output).filter_map(parse).collect() })
}

fn parse(line: &[u8]) -> Option<FileDiff> {
    let mut parts = line.splitn(3, |byte| *byte == b'\t');
    let mut number = || std::str::from_utf8(parts.next()?).ok().map(|text| text.parse().ok());
    let (insertions, deletions) = (number()?, number()?);
    let path = sys::os_string(parts.next()?.to_vec()).into();
    Some(FileDiff { path, insertions, deletions })
}
