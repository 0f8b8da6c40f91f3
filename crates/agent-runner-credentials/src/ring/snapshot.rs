//! How the keys stand, for people and reports.

use std::{fmt, time::SystemTime};

use serde::{Serialize, Serializer};

use crate::time::rfc3339;

/// All keys of a ring at one time. In JSON, times are in RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// The keys, in the ring's order.
    pub keys: Vec<KeySnapshot>,
    /// When a key is ready; `None` if all are out.
    #[serde(serialize_with = "time")]
    pub next_ready: Option<SystemTime>,
}

/// One key at one time. It has no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeySnapshot {
    /// Its name.
    pub label: String,
    /// Whose key it is.
    pub provider: String,
    /// Where it stands.
    pub state: KeyState,
    /// Since when it has not been ready.
    #[serde(serialize_with = "time")]
    pub since: Option<SystemTime>,
    /// When it is ready again.
    #[serde(serialize_with = "time")]
    pub until: Option<SystemTime>,
    /// Why it was refused last; nothing after a success.
    pub reason: Option<String>,
    /// Its last characters, such as `…a1b2`, if it is long enough to show them.
    pub key: String,
    /// Where requests go, without user, password and query.
    pub base_url: Option<String>,
    /// The model it is used with.
    pub model: Option<String>,
    /// How often it was lent.
    pub lent: u64,
    /// How many successes were reported.
    pub succeeded: u64,
    /// How many rejections were reported.
    pub rejected: u64,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Can be lent.
    Ready,
    /// Refused for a short time.
    Resting,
    /// Without quota until it starts anew.
    Spent,
    /// Of no use before a person has done something.
    Out,
}

impl KeyState {
    /// The name in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Resting => "resting",
            Self::Spent => "spent",
            Self::Out => "out",
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn time<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}
