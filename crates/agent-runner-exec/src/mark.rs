//! The mark that every process of an attempt carries in its environment.

use std::{
    env,
    ffi::OsString,
    fmt,
    hash::{BuildHasher, RandomState},
    process,
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The environment variable by which every process that an attempt started is known, whichever
/// session or parent it has moved to.
///
/// Its value is a list with `:` between, the outermost runner first, so that a runner inside a
/// runner hides nothing.
pub const MARK_VARIABLE: &str = "AGENT_RUNNER_MARK";

/// One attempt of one runner: `0123456789abcdef-42`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Mark {
    runner: u64,
    attempt: u64,
}

impl Mark {
    /// Makes the mark of the next attempt of this process.
    pub(crate) fn next() -> Self {
        static ATTEMPTS: AtomicU64 = AtomicU64::new(1);
        Self { runner: this_runner(), attempt: ATTEMPTS.fetch_add(1, Ordering::Relaxed) }
    }

    /// The mark of what this runner has started, whichever attempt it may belong to.
    #[cfg(target_os = "linux")]
    pub(crate) fn unassigned() -> Self {
        Self { runner: this_runner(), attempt: 0 }
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn is_of_this_runner(&self) -> bool {
        self.runner == this_runner()
    }

    /// The mark as a number below 2^62: a part of the runner, and the attempt.
    #[cfg(target_os = "linux")]
    pub(crate) fn tag(&self) -> u64 {
        (self.runner & TAG_RUNNER) << 32 | self.attempt & TAG_ATTEMPT
    }

    /// The mark of an attempt of this runner, from its number.
    #[cfg(target_os = "linux")]
    pub(crate) fn from_tag(tag: u64) -> Option<Self> {
        let runner = this_runner();
        let is_ours = tag >> 32 == runner & TAG_RUNNER;
        is_ours.then_some(Self { runner, attempt: tag & TAG_ATTEMPT })
    }

    /// The variable's value for a child: ours after the one that we were given.
    pub(crate) fn to_value(&self) -> OsString {
        let mut value = env::var_os(MARK_VARIABLE).unwrap_or_default();
        if !value.is_empty() {
            value.push(":");
        }
        value.push(self.to_string());
        value
    }

    /// Reads the marks in the text of an environment, as `/proc/PID/environ` shows it.
    #[cfg(target_os = "linux")]
    pub(crate) fn all_in(environ: &[u8]) -> impl Iterator<Item = Self> + '_ {
        environ
            .split(|&byte| byte == 0)
            .filter_map(|entry| entry.strip_prefix(MARK_VARIABLE.as_bytes())?.strip_prefix(b"="))
            .flat_map(|value| value.split(|&byte| byte == b':'))
            .filter_map(|mark| std::str::from_utf8(mark).ok()?.parse().ok())
    }
}

#[cfg(target_os = "linux")]
const TAG_RUNNER: u64 = (1 << 30) - 1;
#[cfg(target_os = "linux")]
const TAG_ATTEMPT: u64 = (1 << 32) - 1;

/// A number that no other process has had: a runner's children must not be taken for another's.
fn this_runner() -> u64 {
    static RUNNER: OnceLock<u64> = OnceLock::new();
    *RUNNER.get_or_init(|| RandomState::new().hash_one(process::id()))
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.runner, self.attempt)
    }
}

impl FromStr for Mark {
    type Err = NotAMark;

    fn from_str(text: &str) -> Result<Self, NotAMark> {
        let (runner, attempt) = text.split_once('-').ok_or(NotAMark)?;
        if runner.len() != 16 || runner.starts_with('+') {
            return Err(NotAMark);
        }
        let runner = u64::from_str_radix(runner, 16).map_err(|_| NotAMark)?;
        let attempt = attempt.parse().map_err(|_| NotAMark)?;
        Ok(Self { runner, attempt })
    }
}

/// The text is no mark.
#[derive(Debug, thiserror::Error)]
#[error("not the mark of an attempt")]
pub(crate) struct NotAMark;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_among_others() {
        let (outer, inner) = (Mark::next(), Mark::next());
        let environ = format!("A=1\0{MARK_VARIABLE}=junk:{outer}:{inner}\0B={}\0", Mark::next());
        assert_eq!(Mark::all_in(environ.as_bytes()).collect::<Vec<_>>(), [outer, inner]);
    }

    #[test]
    fn a_longer_name_is_another_variable() {
        let environ =
            format!("{MARK_VARIABLE}_2={}\0X{MARK_VARIABLE}={}", Mark::next(), Mark::next());
        assert_eq!(Mark::all_in(environ.as_bytes()).count(), 0);
    }

    #[test]
    fn a_tag_names_an_attempt_of_ours_and_of_nobody_else() {
        let mark = Mark::next();
        assert!(mark.tag() < 1 << 62);
        assert_eq!(Mark::from_tag(mark.tag()), Some(mark.clone()));
        let other = Mark { runner: mark.runner ^ 1, ..mark };
        assert_eq!(Mark::from_tag(other.tag()), None);
    }

    #[test]
    fn no_two_attempts_share_a_mark() {
        assert_ne!(Mark::next(), Mark::next());
    }
}
