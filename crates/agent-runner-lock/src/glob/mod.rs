//! Patterns of paths, and whether two of them can mean the same file.

mod chars;
mod program;
mod syntax;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use self::program::Program;

/// A pattern of paths in a folder, such as `src/auth/**` or `crates/*/src/**/*.{rs,toml}`.
///
/// | in a pattern | stands for |
/// |---|---|
/// | `?` | one character, but not `/` |
/// | `*` | any number of characters without `/`, none included |
/// | `[a-z_]`, `[!a-z]` or `[^a-z]` | one character that is in the list, or that is not; never `/` |
/// | `{a,b/c}` | one of these, each of which may be any pattern |
/// | `**` between slashes, or at an end | any number of folders; at the end, all that is in the folder |
/// | `\*` | the sign itself; so for all of `*?[]{}!^-,\` |
///
/// Paths are relative, with `/` on every system, and no `.` or `..` in them; `./` before a pattern
/// and `/` after it mean nothing, and `.` alone is all there is. Case counts.
///
/// **A pattern claims what it matches and everything in it**, as in a `.gitignore`: `src/auth` is
/// the file of that name, or the folder with all its files. So `src/*` claims all of `src`; for the
/// files beside each other, say which: `src/*.rs`.
///
/// # Examples
///
/// ```
/// use agent_runner_lock::Glob;
///
/// let login = Glob::new("src/auth/**")?;
/// assert!(login.matches("src/auth/login.rs"));
/// assert!(login.overlaps(&Glob::new("src/**/*.rs")?));
/// assert!(!login.overlaps(&Glob::new("src/author.rs")?));
/// # Ok::<(), agent_runner_lock::GlobError>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob {
    pattern: String,
    program: Program,
}

impl Glob {
    /// The longest pattern in bytes, with its braces written out: `{a,b}c` is `ac` and `bc`.
    pub const MAX_LEN: usize = 1024;

    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn new(pattern: impl Into<String>) -> Result<Self, GlobError> {
        let given = pattern.into();
        let pattern = if given == "." { "**" } else { tidy(&given) };
        match syntax::read(pattern) {
            Ok(alternatives) => {
                Ok(Self { pattern: pattern.to_owned(), program: Program::new(&alternatives) })
            }
            Err(problem) => Err(GlobError { pattern: given, problem }),
        }
    }

    /// The pattern of one path, in which no sign has a meaning: `app/[id]/page.tsx`.
    ///
    /// # Errors
    ///
    /// As [`Glob::new`].
    pub fn literal(path: &str) -> Result<Self, GlobError> {
        let mut pattern = String::with_capacity(path.len());
        for sign in path.chars() {
            if syntax::has_meaning(sign) {
                pattern.push('\\');
            }
            pattern.push(sign);
        }
        Self::new(pattern)
    }

    /// Whether there is a path that both claim.
    ///
    /// The answer is exact, and takes at most the product of the patterns' lengths in steps: both
    /// are read as machines that read a path, and a search looks for a path which brings both to
    /// their end (Rabin and Scott, "Finite Automata and Their Decision Problems").
    pub fn overlaps(&self, other: &Self) -> bool {
        self.program.meets(&other.program)
    }

    /// Whether it claims a path: matches it, or a folder that it is in.
    pub fn matches(&self, path: &str) -> bool {
        self.program.meets(&Program::of_path(tidy(path)))
    }

    /// The pattern.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }
}

/// Whether two texts are patterns that can mean the same path.
///
/// A text that is no pattern could mean anything, so that it overlaps with all.
pub fn paths_overlap(a: &str, b: &str) -> bool {
    match (Glob::new(a), Glob::new(b)) {
        (Ok(a), Ok(b)) => a.overlaps(&b),
        _ => true,
    }
}

/// A pattern or path without what means nothing.
fn tidy(text: &str) -> &str {
    let text = text.strip_prefix("./").unwrap_or(text);
    text.strip_suffix('/').unwrap_or(text)
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for Glob {}

impl std::hash::Hash for Glob {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.pattern.hash(state);
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Glob").field(&self.pattern).finish()
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.pattern)
    }
}

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(pattern: &str) -> Result<Self, GlobError> {
        Self::new(pattern)
    }
}

impl TryFrom<String> for Glob {
    type Error = GlobError;

    fn try_from(pattern: String) -> Result<Self, GlobError> {
        Self::new(pattern)
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.pattern
    }
}

/// Why a text is not a pattern of paths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path pattern {pattern:?} {problem}")]
pub struct GlobError {
    pattern: String,
    problem: &'static str,
}

#[cfg(test)]
mod tests;
