//! `keys list`: which credentials were found; never the secrets.

use std::time::SystemTime;

use agent_runner_credentials::KeyRing;

use super::unwritten;
use crate::{
    error::{Error, Result},
    exit_code::Exit,
    keys,
    project::Project,
    ui::{BOLD, Ui},
};

/// Lists the credentials.
pub fn keys(ui: &Ui, project: &Project) -> Result<Exit> {
    let loaded = keys::load(project)?;
    for notice in &loaded.notices {
        ui.warn(notice);
    }
    let snapshot = KeyRing::new(loaded.credentials).snapshot(SystemTime::now());
    if ui.json {
        for key in &snapshot.keys {
            let json =
                serde_json::to_string(key).map_err(|error| Error::new(Exit::Unexpected, error))?;
            ui.data(json).map_err(unwritten)?;
        }
        return Ok(Exit::Success);
    }
    if snapshot.keys.is_empty() {
        ui.say("no credentials: agents use their own login. `agent-runner help environment` says how to give some");
        return Ok(Exit::Success);
    }
    ui.data(format_args!(
        "{BOLD}{:<24} {:<12} {:<16} BASE URL{BOLD:#}",
        "LABEL", "PROVIDER", "KEY"
    ))
    .map_err(unwritten)?;
    for key in &snapshot.keys {
        let url = key.base_url.as_deref().unwrap_or("-");
        ui.data(format_args!("{:<24} {:<12} {:<16} {url}", key.label, key.provider, key.key))
            .map_err(unwritten)?;
    }
    Ok(Exit::Success)
}
