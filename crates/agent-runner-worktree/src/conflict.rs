//! Two changes that do not go together, told so briefly that an agent can be asked to mend it.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::PathBuf};

use crate::{CommitId, GitError, repository::Repository, sys};

/// More would not help whoever reads it.
const MAX_FILES_SHOWN: usize = 10;
const MAX_HUNKS: usize = 3;
const MAX_LINES: usize = 12;
const MAX_BYTES: usize = 800;
/// Markers are not looked for in anything larger.
const MAX_BLOB: usize = 1 << 20;

/// Why work cannot be moved onto its target. As text it fits into a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The target's branch.
    pub target: String,
    /// The commit that the work does not go together with.
    pub onto: CommitId,
    /// All files that are concerned.
    pub files: Vec<ConflictedFile>,
}

/// A file that both sides changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConflictedFile {
    /// The file, from the top of the repository.
    pub path: PathBuf,
    /// What is wrong in git's words: `contents`, `modify/delete`, `binary`, …
    pub kind: String,
    /// The first places where both sides differ; each side is cut if it is long.
    pub hunks: Vec<Hunk>,
    /// How many places there are.
    pub places: usize,
}

/// A place in a file where both sides differ.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hunk {
    /// What the target has.
    pub target: String,
    /// What the task has.
    pub task: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = &self.target;
        write!(f, "conflict with {target} ({}) in {}", self.onto.short(), self.where_in_short())?;
        for file in self.files.iter().take(MAX_FILES_SHOWN) {
            write!(f, "\n{} ({})", file.path.display(), file.kind)?;
            for hunk in &file.hunks {
                write!(f, "\n  {target} has:")?;
                write_side(f, &hunk.target)?;
                write!(f, "\n  the task has:")?;
                write_side(f, &hunk.task)?;
            }
            let more = file.places - file.hunks.len();
            if more > 0 {
                write!(f, "\n  and {more} more places")?;
            }
        }
        for file in self.files.iter().skip(MAX_FILES_SHOWN) {
            write!(f, "\n{} ({})", file.path.display(), file.kind)?;
        }
        Ok(())
    }
}

impl Conflict {
    fn where_in_short(&self) -> String {
        match &self.files[..] {
            files @ ([_] | [_, _]) => {
                let names = files.iter().map(|file| file.path.display().to_string());
                names.collect::<Vec<_>>().join(", ")
            }
            files => format!("{} files", files.len()),
        }
    }
}

fn write_side(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if text.is_empty() {
        return write!(f, "\n    (nothing)");
    }
    text.lines().try_for_each(|line| write!(f, "\n    {line}"))
}

/// What `git merge-tree -z` says about a merge that failed.
pub(crate) fn parse(repo: &Repository, output: &[u8]) -> Result<Vec<ConflictedFile>, GitError> {
    let mut parts = output.split(|byte| *byte == 0);
    let tree = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let stages = parts.by_ref().take_while(|part| !part.is_empty());
    let mut kinds: BTreeMap<Vec<u8>, Option<String>> = BTreeMap::new();
    for stage in stages {
        if let Some(tab) = stage.iter().position(|byte| *byte == b'\t') {
            kinds.insert(stage[tab + 1..].to_vec(), None);
        }
    }
    while let Some(count) = parts.next().and_then(number) {
        let paths: Vec<&[u8]> = parts.by_ref().take(count).collect();
        let kind = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        let _message = parts.next();
        let kind = kind.strip_prefix("CONFLICT (").and_then(|kind| kind.strip_suffix(')'));
        for path in paths {
            if let (Some(kind), Some(known @ None)) = (kind, kinds.get_mut(path)) {
                *known = Some(kind.to_owned());
            }
        }
    }
    let file = |(path, kind): (Vec<u8>, Option<String>)| {
        let kind = kind.unwrap_or_else(|| "other".to_owned());
        let path = sys::os_string(path);
        let (hunks, places) = if kind == "contents" {
            hunks(&marked(repo, &tree, &path)?)
        } else {
            Default::default()
        };
        Ok(ConflictedFile { path: path.into(), kind, hunks, places })
    };
    kinds.into_iter().map(file).collect()
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The file as git has left it, with its markers; empty if it is not for reading.
fn marked(repo: &Repository, tree: &str, path: &OsString) -> Result<Vec<u8>, GitError> {
    let mut name = OsString::from(tree);
    name.push(":");
    name.push(path);
    let said = repo.git().args(["cat-file".as_ref(), "blob".as_ref(), &*name]).said()?;
    let readable = said.stdout.len() <= MAX_BLOB && !said.stdout.contains(&0);
    Ok(if readable { said.stdout } else { Vec::new() })
}

/// The first places between markers, and how many there are.
fn hunks(file: &[u8]) -> (Vec<Hunk>, usize) {
    enum At {
        Outside,
        Target,
        Task,
    }
    let (mut hunks, mut places) = (Vec::new(), 0);
    let (mut at, mut target, mut task) = (At::Outside, String::new(), String::new());
    for line in String::from_utf8_lossy(file).split_inclusive('\n') {
        match at {
            At::Outside if line.starts_with("<<<<<<< ") => at = At::Target,
            At::Outside => {}
            At::Target if line.trim_end() == "=======" => at = At::Task,
            At::Target => target += line,
            At::Task if line.starts_with(">>>>>>> ") => {
                let [target, task] = [&mut target, &mut task].map(std::mem::take);
                if hunks.len() < MAX_HUNKS {
                    hunks.push(Hunk { target: cut(&target), task: cut(&task) });
                }
                places += 1;
                at = At::Outside;
            }
            At::Task => task += line,
        }
    }
    (hunks, places)
}

fn cut(text: &str) -> String {
    let mut short = String::new();
    for (number, line) in text.lines().enumerate() {
        if number == MAX_LINES || short.len() + line.len() > MAX_BYTES {
            let room = MAX_BYTES.saturating_sub(short.len());
            if number < MAX_LINES {
                short.extend(line.chars().take(room));
            }
            return short + "…";
        }
        short += line;
        short.push('\n');
    }
    short.truncate(short.trim_end().len());
    short
}

#[cfg(test)]
mod tests;
