//! What a lock's record says of its holder.

use std::{
    borrow::Cow,
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::time::{Span, format_utc, parse_utc};

/// What the holder of a lock wrote about itself.
///
/// It is for people and for reports. Whether the lock is held, only the kernel knows; see
/// [`LockState`](crate::LockState).
///
/// The JSON names are those of the lock file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockInfo {
    /// A number that is higher for every later holder of the key. Send it along with what the
    /// holder writes elsewhere, and refuse writes with a lower one.
    pub token: u64,
    /// When it was acquired, by the holder's clock.
    #[serde(with = "utc")]
    pub acquired_at: SystemTime,
    /// The key.
    #[serde(rename = "task_id")]
    pub key: String,
    /// The holder's name for itself.
    pub holder_id: String,
    /// The holder's process, as it is numbered in its own PID namespace.
    pub pid: u32,
    /// How long the holder meant to hold it at most. Nothing happens when the time is over, but
    /// that the lock is reported as overdue.
    #[serde(with = "seconds")]
    pub timeout: Option<Duration>,
    /// The holder's machine.
    pub host: String,
    /// The start of that machine, where it has a number.
    pub boot_id: Option<String>,
    /// The start of the process, in clock ticks since the machine's start; tells two processes
    /// with the same number apart.
    pub start_time: Option<u64>,
    /// The PID namespace in which `pid` counts.
    pub pid_ns: Option<u64>,
    /// The user that the process acts as, where users have numbers.
    pub uid: Option<u32>,
    /// A word of the holder to those who find the record; see
    /// [`TaskLock::set_note`](crate::TaskLock::set_note).
    pub note: Option<String>,
    /// In a lease directory: how the lock is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseInfo>,
}

/// What the record of a lock in a lease directory says of its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeaseInfo {
    /// After what time without a sign of life others may take the lock, in milliseconds.
    #[serde(rename = "ttl_ms", with = "millis")]
    pub ttl: Duration,
    /// How often it was renewed: the sign of life.
    pub renewals: u64,
}

impl LockInfo {
    /// How long ago it was acquired, by this machine's wall clock. Zero if that was set back.
    pub fn age(&self) -> Duration {
        self.acquired_at.elapsed().unwrap_or_default()
    }

    /// Whether its age is over its timeout.
    pub fn is_overdue(&self) -> bool {
        self.timeout.is_some_and(|timeout| self.age() > timeout)
    }
}

impl fmt::Display for LockInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, pid {} on host {}", self.holder_id, self.pid, self.host)?;
        write!(f, ", for {}", Span(self.age()))
    }
}

mod utc {
    //! A time as RFC 3339 text.

    use super::{Cow, Deserialize, SystemTime, format_utc, parse_utc};

    pub(super) fn serialize<S: serde::Serializer>(
        time: &SystemTime,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format_utc(*time))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<SystemTime, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        parse_utc(&text).ok_or_else(|| serde::de::Error::custom("not a time in UTC"))
    }
}

mod millis {
    //! A span as whole milliseconds.

    use super::{Deserialize, Duration};

    pub(super) fn serialize<S: serde::Serializer>(
        span: &Duration,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

mod seconds {
    //! A span as seconds: a whole number where it is one.

    use super::{Deserialize, Duration};

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: serde::Serializer>(
        span: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match span {
            None => to.serialize_none(),
            Some(span) if span.subsec_nanos() == 0 => to.serialize_u64(span.as_secs()),
            Some(span) => to.serialize_f64(span.as_secs_f64()),
        }
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(from)?;
        seconds.map(Duration::try_from_secs_f64).transpose().map_err(serde::de::Error::custom)
    }
}
