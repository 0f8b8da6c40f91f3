//! By what rules the locks of a folder are taken from their holders.

use std::{fmt, path::Path, time::Duration};

use crate::{OpenError, lease::Leases, sys, time::Span};

/// What ends the locks of a folder, other than a release and the death of the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LockMode {
    /// Nothing.
    #[default]
    Strict,
    /// That the holder shows no sign of life for a while; see [`LockDirBuilder::lease`](crate::LockDirBuilder::lease).
    Lease {
        /// How long.
        ttl: Duration,
    },
}

impl LockMode {
    /// The shortest lease.
    const SHORTEST: Duration = Duration::from_millis(100);

    /// What a lease directory needs to know, if such a lease is possible.
    pub(crate) fn leases(self, path: &Path) -> Result<Option<Leases>, OpenError> {
        let Self::Lease { ttl } = self else { return Ok(None) };
        let refused = |why| Err(OpenError::Lease { path: path.into(), ttl, why });
        if ttl < Self::SHORTEST || ttl.subsec_nanos() % 1_000_000 != 0 {
            refused("it takes whole milliseconds, and at least 100")
        } else if !sys::CAN_REMOVE_HELD {
            refused("on this system a file that is locked keeps its name")
        } else {
            Ok(Some(Leases::new(ttl)))
        }
    }

    /// The mode as a folder's file says it.
    pub(crate) fn word(self) -> String {
        match self {
            Self::Strict => "strict".to_owned(),
            Self::Lease { ttl } => format!("lease {} ms", ttl.as_millis()),
        }
    }

    /// The reverse of [`LockMode::word`].
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let word = word.trim();
        if word == "strict" {
            return Some(Self::Strict);
        }
        let millis = word.strip_prefix("lease ")?.strip_suffix(" ms")?.parse().ok()?;
        Some(Self::Lease { ttl: Duration::from_millis(millis) })
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strict => f.write_str("strict"),
            Self::Lease { ttl } => write!(f, "{} lease", Span(*ttl)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_that_is_written_can_be_read() {
        for mode in [LockMode::Strict, LockMode::Lease { ttl: Duration::from_millis(30_500) }] {
            assert_eq!(LockMode::parse(&mode.word()), Some(mode));
        }
        for other in ["", "lease", "lease ms", "lease 5 s", "strict 2"] {
            assert_eq!(LockMode::parse(other), None, "{other}");
        }
    }
}
