//! `keys test`: whether providers take the keys.

use std::time::Duration;

use agent_runner_credentials::{Credential, Form, KeyRing, KeyState, SharedRing};
use agent_runner_gateway::{Caller, Gateway, Network, Options};
use reqwest::Client;
use serde::Serialize;

use super::unwritten;
use crate::{
    error::{Error, Result},
    exit_code::Exit,
    keys::{network, unreached},
    ui::{BOLD, ERROR, GOOD, Ui, headline},
};

/// How long a provider may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a provider said of a key.
#[derive(Serialize)]
struct Tested {
    label: String,
    provider: String,
    /// Whether it can be used now.
    ok: bool,
    /// Where the key stands after that.
    state: KeyState,
    /// Why it cannot be used.
    reason: Option<String>,
}

/// Asks for the list of models with each key, in the way that requests of agents are sent.
pub(super) async fn test(ui: &Ui, credentials: Vec<Credential>) -> Result<Exit> {
    // Only an agent itself can try its account.
    let credentials: Vec<_> =
        credentials.into_iter().filter(|credential| credential.form == Form::ApiKey).collect();
    if credentials.is_empty() {
        return Err(Error::message(Exit::NoKeys, "there are no keys to test")
            .hint("`agent-runner help environment` says how to give some"));
    }
    let network = network()?;
    let client = network.client().map_err(unreached)?;
    let mut tests = tokio::task::JoinSet::new();
    for (place, credential) in credentials.into_iter().enumerate() {
        let (network, client) = (network.clone(), client.clone());
        tests.spawn(async move { (place, ask(credential, network, &client).await) });
    }
    let mut all = tests.join_all().await;
    all.sort_by_key(|(place, _)| *place);
    let all = all.into_iter().map(|(_, tested)| tested).collect::<Result<Vec<_>>>()?;
    for tested in &all {
        tell(ui, tested)?;
    }
    Ok(if all.iter().any(|tested| tested.ok) { Exit::Success } else { Exit::NoKeys })
}

/// One key, through a gateway of its own.
async fn ask(credential: Credential, network: Network, client: &Client) -> Result<Tested> {
    let unexpected =
        |error: &dyn std::fmt::Display| Error::message(Exit::Unexpected, error.to_string());
    let (label, provider) = (credential.label.clone(), credential.provider.clone());
    let ring = SharedRing::new(KeyRing::new([credential]));
    let mut options = Options::default();
    (options.hold, options.first_byte) = (Duration::ZERO, PATIENCE);
    options.network = Some(network);
    let gateway =
        Gateway::start(ring.clone(), options).await.map_err(|error| unexpected(&error))?;
    let access = gateway.lend(Caller::named("keys test"));
    let request = match provider.as_str() {
        "gemini" => client
            .get(format!("{}/v1beta/models?pageSize=1", gateway.base_url(&provider)))
            .header("x-goog-api-key", access.token()),
        "anthropic" => client
            .get(format!("{}/v1/models?limit=1", gateway.base_url(&provider)))
            .header("anthropic-version", "2023-06-01")
            .header("x-api-key", access.token()),
        _ => client
            .get(format!("{}/models", gateway.base_url(&provider)))
            .bearer_auth(access.token()),
    };
    let response = request.send().await.map_err(|error| unexpected(&error))?;
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    let key = ring.snapshot().keys.remove(0);
    Ok(Tested {
        label,
        provider,
        ok: status.is_success() && key.state == KeyState::Ready,
        state: key.state,
        reason: (!status.is_success()).then(|| key.reason.unwrap_or_else(|| message(&text))),
    })
}

/// What an error says, for people.
fn message(body: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let said = json.pointer("/error/message").and_then(serde_json::Value::as_str);
    said.map_or_else(|| headline(body, 200), |said| said.replace("agent-runner: ", ""))
}

fn tell(ui: &Ui, tested: &Tested) -> Result<()> {
    if ui.json {
        let json =
            serde_json::to_string(tested).map_err(|error| Error::new(Exit::Unexpected, error))?;
        return ui.data(json).map_err(unwritten);
    }
    let (style, glyph) = if tested.ok { (GOOD, "✓") } else { (ERROR, "✗") };
    let why = match &tested.reason {
        Some(reason) => format!("{}: {}", tested.state.as_str(), headline(reason, 400)),
        None => "taken".to_owned(),
    };
    ui.data(format_args!(
        "{style}{glyph}{style:#} {BOLD}{:<24}{BOLD:#} {:<12} {why}",
        tested.label, tested.provider
    ))
    .map_err(unwritten)
}
