//! What an agent may say about its own end, by writing JSON to the file that `AGENT_RUNNER_RESULT`
//! names: the only way in which a plain command can tell a limit from a failure, since its text is
//! never searched.

use std::{fs, io, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use super::outcome::Outcome;

/// A larger file is not read.
const MAX_BYTES: u64 = 64 * 1024;

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentResult {
    /// `succeeded`, `task_failed`, `throttled`, `overloaded`, `quota`, `auth` or `billing`.
    pub outcome: Outcome,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// For `throttled`, `overloaded` and `quota`: how long to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<f64>,
    /// Anything else, kept with the attempt, such as tokens and cost.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub details: serde_json::Map<String, serde_json::Value>,
}

/// Why a result cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentResultError {
    /// The file could not be read.
    #[error("could not read the agent's result")]
    Io(#[from] io::Error),
    /// The file is too large.
    #[error("the agent's result has {bytes} bytes, more than {MAX_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// The file is not what it should be.
    #[error("the agent's result is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// An outcome that an agent cannot know.
    #[error("the agent's result says '{}', which only the runner can say", .0.as_str())]
    NotForAgents(Outcome),
}

impl AgentResult {
    /// Reads the file, and masks these secrets in it; `None` when the agent wrote none.
    pub fn read(path: &Path, secrets: &[String]) -> Result<Option<Self>, AgentResultError> {
        let bytes = match fs::metadata(path) {
            Ok(meta) => meta.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if bytes > MAX_BYTES {
            return Err(AgentResultError::TooLarge { bytes });
        }
        let written = fs::read_to_string(path)?;
        let masked = secrets
            .iter()
            .filter(|secret| !secret.is_empty())
            .fold(written.clone(), |text, secret| text.replace(secret, "***"));
        if masked != written {
            fs::write(path, &masked)?;
        }
        Self::parse(masked.as_bytes()).map(Some)
    }

    /// Reads the content.
    pub fn parse(json: &[u8]) -> Result<Self, AgentResultError> {
        let result: Self = serde_json::from_slice(json)?;
        match result.outcome {
            Outcome::Succeeded
            | Outcome::TaskFailed
            | Outcome::Throttled
            | Outcome::Overloaded
            | Outcome::Quota
            | Outcome::Auth
            | Outcome::Billing => Ok(result),
            other => Err(AgentResultError::NotForAgents(other)),
        }
    }

    /// How long to wait, if it says so in a usable way.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_s.and_then(|s| Duration::try_from_secs_f64(s).ok())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_limit_is_read_with_its_wait() {
        let result = AgentResult::parse(br#"{"outcome":"throttled","retry_after_s":2.5}"#).unwrap();
        assert_eq!(result.outcome, Outcome::Throttled);
        assert_eq!(result.retry_after(), Some(Duration::from_millis(2500)));
    }

    #[test]
    fn what_only_the_runner_knows_is_refused() {
        for outcome in ["cancelled", "stopped", "crashed", "timed_out", "worker_failed"] {
            let json = format!(r#"{{"outcome":"{outcome}"}}"#);
            let error = AgentResult::parse(json.as_bytes()).unwrap_err();
            assert!(matches!(error, AgentResultError::NotForAgents(_)), "{outcome}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), wait in any::<f64>()) {
            drop(AgentResult::parse(&bytes));
            let json = serde_json::json!({ "outcome": "quota", "retry_after_s": wait });
            if let Ok(result) = AgentResult::parse(json.to_string().as_bytes()) {
                prop_assert!(result.retry_after().is_none_or(|wait| wait >= Duration::ZERO));
            }
        }
    }
}
