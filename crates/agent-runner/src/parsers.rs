//! What reads text from outside, for the fuzz targets. Each says whether it could be read.

use std::path::Path;

use crate::{
    config::Config,
    run::AgentResult,
    template::{CommandTemplate, Quoting},
};

/// What an agent says about its end.
pub fn agent_result(json: &[u8]) -> bool {
    AgentResult::parse(json).is_ok_and(|result| {
        // A wait that cannot be used is none.
        result.retry_after();
        true
    })
}

/// `agent-runner.toml`.
pub fn configuration(text: &str) -> bool {
    Config::parse(text, Path::new("agent-runner.toml")).is_ok()
}

/// The words of a command.
pub fn command(words: &[String]) -> bool {
    CommandTemplate::new(words, Quoting::None).is_ok()
}
