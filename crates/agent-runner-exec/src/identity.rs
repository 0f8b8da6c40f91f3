//! Which process it was, for those who come after.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::mark::Mark;

/// Names one process so that no other can be taken for it, also after its number was given to
/// another process, a reboot, or the death of its parent.
///
/// As text it is one line of at most 120 bytes, made to be kept in a note beside what the
/// process works on, and read by [`end_orphan`](crate::end_orphan) after a crash.
///
/// # Examples
///
/// ```
/// use agent_runner_exec::ProcessIdentity;
///
/// let text = "pid=4242 start=118731 boot=0e3ad41e6b3c4c0b9c1f8f0c1d2e3f40 mark=8c5f2e7d90ab1234-7";
/// let identity: ProcessIdentity = text.parse()?;
/// assert_eq!(identity.pid(), 4242);
/// assert_eq!(identity.to_string(), text);
/// # Ok::<(), agent_runner_exec::ParseIdentityError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProcessIdentity {
    pid: u32,
    start_time: u64,
    boot_id: String,
    mark: Mark,
}

impl ProcessIdentity {
    pub(crate) fn new(pid: u32, start_time: u64, boot_id: &str, mark: Mark) -> Self {
        Self { pid, start_time, boot_id: boot_id.to_owned(), mark }
    }

    /// The number of the process, and of the process group that it leads. 0 before it is started:
    /// then only its mark names it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When it started, in clock ticks after the boot: field 22 of `/proc/PID/stat`. 0 where that
    /// is not known.
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// The boot in which it ran, as 32 hexadecimal digits. All 0 where that is not known.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn mark(&self) -> &Mark {
        &self.mark
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, start_time, boot_id, mark } = self;
        write!(f, "pid={pid} start={start_time} boot={boot_id} mark={mark}")
    }
}

impl FromStr for ProcessIdentity {
    type Err = ParseIdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseIdentityError { text: text.to_owned() })
    }
}

impl TryFrom<String> for ProcessIdentity {
    type Error = ParseIdentityError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ProcessIdentity> for String {
    fn from(identity: ProcessIdentity) -> Self {
        identity.to_string()
    }
}

/// The text is not what a [`ProcessIdentity`] writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} does not name a process")]
pub struct ParseIdentityError {
    text: String,
}

fn parse(text: &str) -> Option<ProcessIdentity> {
    let mut words = text.split(' ');
    let mut field = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
    let pid: u32 = field("pid")?.parse().ok().filter(|&pid| i32::try_from(pid).is_ok())?;
    let start_time = field("start")?.parse().ok().filter(|&start| pid > 0 || start == 0)?;
    let boot_id = field("boot")?;
    let mark = field("mark")?.parse().ok()?;
    let is_boot_id = boot_id.len() == 32 && boot_id.bytes().all(|b| b.is_ascii_hexdigit());
    (is_boot_id && words.next().is_none())
        .then(|| ProcessIdentity::new(pid, start_time, boot_id, mark))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_brings_back_the_same_identity(
            (pid, start) in prop_oneof![Just((0, 0)), (1..=4_194_304_u32, any::<u64>())],
            boot in "[0-9a-f]{32}",
            mark in "[0-9a-f]{16}-[1-9][0-9]{0,9}",
        ) {
            let identity = ProcessIdentity::new(pid, start, &boot, mark.parse()?);
            let text = identity.to_string();
            prop_assert!(text.len() <= 120, "{} bytes", text.len());
            prop_assert_eq!(text.parse::<ProcessIdentity>()?, identity.clone());
            let json = serde_json::to_string(&identity)?;
            prop_assert_eq!(serde_json::from_str::<ProcessIdentity>(&json)?, identity);
        }

        #[test]
        fn no_text_panics(text in ".{0,200}") {
            drop(text.parse::<ProcessIdentity>());
        }
    }

    #[test]
    fn what_could_name_everything_names_nothing() {
        let boot = "0".repeat(32);
        for text in [
            String::new(),
            format!("pid=0 start=1 boot={boot} mark=0123456789abcdef-1"),
            format!("pid=-1 start=1 boot={boot} mark=0123456789abcdef-1"),
            format!("pid=4294967295 start=1 boot={boot} mark=0123456789abcdef-1"),
            format!("pid=7 start=1 boot={boot} mark="),
            format!("pid=7 start=1 boot={boot} mark=0123456789abcdef-1 more"),
            "pid=7 start=1 boot=abc mark=0123456789abcdef-1".to_owned(),
        ] {
            assert!(text.parse::<ProcessIdentity>().is_err(), "{text:?} was taken");
        }
    }
}
