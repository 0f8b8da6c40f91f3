//! Names of commits.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The full name of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommitId(pub(crate) String);

impl CommitId {
    /// The name, in hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As much of it as people need.
    pub fn short(&self) -> &str {
        self.0.get(..10).unwrap_or(&self.0)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
