//! `keys`: which credentials were found and how they stand; never the secrets.

use std::time::SystemTime;

use agent_runner_credentials::{KeyRing, KeySnapshot, KeyState};

use super::{keys_test, unwritten};
use crate::{
    cli::Keys,
    error::{Error, Result},
    exit_code::Exit,
    key_state, keys,
    project::Project,
    ui::{BOLD, Ui},
    units::{count, show_duration},
};

/// Lists, tests or resets the credentials.
pub async fn keys(ui: &Ui, project: &Project, command: &Keys) -> Result<Exit> {
    let loaded = keys::load(project)?;
    for notice in &loaded.notices {
        ui.warn(notice);
    }
    if let Keys::Test = command {
        return keys_test::test(ui, loaded.credentials).await;
    }
    let (mut ring, now) = (KeyRing::new(loaded.credentials), SystemTime::now());
    let file = key_state::shared_file();
    if let Some(file) = &file {
        key_state::sync(file, &mut ring, now, ui);
    }
    match command {
        Keys::List | Keys::Test => list(ui, &ring.snapshot(now).keys, now),
        Keys::Reset { labels } => {
            let count = reset(&mut ring, labels, now)?;
            if let Some(file) = &file {
                key_state::sync(file, &mut ring, now, ui);
            }
            ui.say(count);
            Ok(Exit::Success)
        }
    }
}

fn reset(ring: &mut KeyRing, labels: &[String], now: SystemTime) -> Result<String> {
    let all: Vec<_> = ring.credentials().map(|credential| credential.label.clone()).collect();
    if let Some(unknown) = labels.iter().find(|label| !all.contains(label)) {
        let error = Error::message(Exit::Invalid, format!("no credential is called '{unknown}'"));
        return Err(error.hint("`agent-runner keys list` shows what they are called"));
    }
    let labels = if labels.is_empty() { &all } else { labels };
    for label in labels {
        ring.reset(label, now);
    }
    Ok(format!("{} can be used again", count(labels.len() as u64, "credential")))
}

fn list(ui: &Ui, keys: &[KeySnapshot], now: SystemTime) -> Result<Exit> {
    if ui.json {
        for key in keys {
            let json =
                serde_json::to_string(key).map_err(|error| Error::new(Exit::Unexpected, error))?;
            ui.data(json).map_err(unwritten)?;
        }
        return Ok(Exit::Success);
    }
    if keys.is_empty() {
        ui.say("no credentials: agents use their own login. `agent-runner help environment` says how to give some");
        return Ok(Exit::Success);
    }
    ui.data(format_args!(
        "{BOLD}{:<24} {:<12} {:<16} {:<24} BASE URL{BOLD:#}",
        "LABEL", "PROVIDER", "KEY", "STATE"
    ))
    .map_err(unwritten)?;
    for key in keys {
        let url = key.base_url.as_deref().unwrap_or("-");
        let state = state_of(key, now);
        let (label, provider, secret) = (&key.label, &key.provider, &key.key);
        ui.data(format_args!("{label:<24} {provider:<12} {secret:<16} {state:<24} {url}"))
            .map_err(unwritten)?;
    }
    if keys.iter().any(|key| key.state != KeyState::Ready) {
        ui.say("hint: `agent-runner keys reset LABEL` says that a credential can be used again");
    }
    Ok(Exit::Success)
}

/// Where a key stands, and for how long.
pub(super) fn state_of(key: &KeySnapshot, now: SystemTime) -> String {
    match key.until.and_then(|until| until.duration_since(now).ok()) {
        Some(left) => format!("{} for {}", key.state, show_duration(left)),
        None => key.state.to_string(),
    }
}
