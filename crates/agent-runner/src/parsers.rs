//! What reads text from outside, for the fuzz targets. Each says whether it could be read.

use std::path::Path;

use crate::{
    config::Config,
    messages::Events,
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

/// Server-sent events, in pieces of `size` bytes: their data.
pub fn server_sent_events(bytes: &[u8], size: usize) -> Option<Vec<Vec<u8>>> {
    let mut events = Events::default();
    let mut data = Vec::new();
    for piece in bytes.chunks(size.max(1)) {
        events.feed(piece, |event| data.push(event.to_vec())).ok()?;
    }
    Some(data)
}

/// The words of a command.
pub fn command(words: &[String]) -> bool {
    CommandTemplate::new(words, Quoting::None).is_ok()
}
