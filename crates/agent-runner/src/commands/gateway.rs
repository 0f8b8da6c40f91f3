//! `gateway`: lends the keys to whoever has its token, until it is stopped.

use std::{collections::BTreeMap, convert::Infallible, env, pin::pin, time::Duration};

use agent_runner_credentials::{Credential, SharedRing};
use agent_runner_gateway::{Access, Caller, Gateway, Options, StartError, default_base_url};
use serde::Serialize;

use super::unwritten;
use crate::{
    cli, descriptors,
    error::{Error, Result},
    exit_code::Exit,
    key_state, keys,
    project::Project,
    report::{Event, describe},
    run::variables_of,
    ui::{BOLD, DIM, Ui},
    units::{count, show_duration},
};

/// What a script has to know.
#[derive(Serialize)]
struct Started<'a> {
    address: String,
    token: &'a str,
    metrics_token: &'a str,
    base_urls: BTreeMap<String, String>,
}

/// Runs a gateway until Ctrl-C or SIGTERM.
pub async fn gateway(ui: &Ui, project: &Project, args: &cli::Gateway) -> Result<Exit> {
    let loaded = keys::load(project)?;
    let mut stop = Stop::listen()?;
    for notice in &loaded.notices {
        ui.warn(notice);
    }
    if loaded.credentials.is_empty() {
        return Err(Error::message(Exit::NoKeys, "there are no API keys to lend")
            .hint("`agent-runner help environment` says how to give some"));
    }
    for key in &loaded.credentials {
        if key.base_url.is_none() && default_base_url(&key.provider).is_none() {
            let Credential { label, provider, .. } = key;
            ui.warn(format_args!(
                "key '{label}' cannot be lent: where '{provider}' is has to be told by its `base_url`"
            ));
        }
    }
    let count_of_keys = loaded.credentials.len();
    let ring = keys::ring(project, loaded, ui, |_| {});
    let metrics = token_of("AGENT_RUNNER_METRICS_TOKEN")?
        .unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
    let options = options(project, args, metrics.clone())?;
    share(&ring, ui).await;
    let mut gateway = Gateway::start(ring.clone(), options).await.map_err(not_started)?;
    let caller = Caller::named("gateway");
    let access = match token_of("AGENT_RUNNER_GATEWAY_TOKEN")? {
        Some(token) => gateway.lend_as(caller, &token),
        None => gateway.lend(caller),
    };
    tell(ui, &gateway, &access, &metrics, count_of_keys)?;
    tokio::select! {
        stopped = stop.comes() => stopped?,
        never = keep_shared(&ring, ui) => match never {},
    }
    close(ui, &mut gateway, &mut stop, args.drain).await?;
    share(&ring, ui).await;
    let lines = gateway.usage();
    if !lines.is_empty() {
        ui.say(describe(&Event::KeysUsed { lines }).unwrap_or_default());
    }
    Ok(Exit::Success)
}

/// Lets what is under way end, unless that takes too long or somebody asks once more.
async fn close(ui: &Ui, gateway: &mut Gateway, stop: &mut Stop, most: Duration) -> Result<()> {
    /// What ends by then is not worth a word.
    const QUICK: Duration = Duration::from_millis(200);
    let mut quick = pin!(tokio::time::sleep(QUICK));
    let mut is_told = false;
    let is_whole = {
        let mut closing = pin!(gateway.close(most));
        loop {
            tokio::select! {
                is_whole = &mut closing => break Some(is_whole),
                stopped = stop.comes() => break stopped.map(|()| None)?,
                () = &mut quick, if !is_told => {
                    is_told = true;
                    ui.say(format_args!(
                        "answers are under way: waiting {} for them at most; Ctrl-C again cuts them",
                        show_duration(most)
                    ));
                }
            }
        }
    };
    let is_whole = match is_whole {
        Some(is_whole) => is_whole,
        None => gateway.close(Duration::ZERO).await,
    };
    if !is_whole {
        ui.warn("answers that were under way have been cut");
    }
    Ok(())
}

/// Shares what is known of keys with the runs and gateways of this machine, as long as it lives.
async fn keep_shared(ring: &SharedRing, ui: &Ui) -> Infallible {
    loop {
        tokio::time::sleep(key_state::EVERY).await;
        share(ring, ui).await;
    }
}

async fn share(ring: &SharedRing, ui: &Ui) {
    let Some(file) = key_state::shared_file() else { return };
    let (ring, ui) = (ring.clone(), ui.clone());
    // Files may be slow.
    let sync = move || ring.with(|ring, now| key_state::sync(&file, ring, now, &ui));
    drop(tokio::task::spawn_blocking(sync).await);
}

fn options(project: &Project, args: &cli::Gateway, metrics_token: String) -> Result<Options> {
    let config = &project.config;
    let mut options = Options::default();
    options.listen = args.listen;
    options.connections = descriptors::clients(descriptors::raise(), options.connections);
    options.hold = args.hold.unwrap_or(options.hold);
    options.budget = args.budget.or(config.budget).unwrap_or_default();
    options.prices = config.prices.clone();
    options.metrics_token = Some(metrics_token);
    if options.budget.usd.is_some() && options.prices.0.is_empty() {
        return Err(Error::invalid(
            "a budget in dollars needs prices, and the configuration has none",
        )
        .hint("add `[prices.claude-opus]` with `input` and `output` in dollars a million tokens"));
    }
    Ok(options)
}

/// A token that somebody gave. One that is short could be guessed.
fn token_of(variable: &str) -> Result<Option<String>> {
    const SHORTEST: usize = 16;
    let token = env::var(variable).ok().filter(|token| !token.is_empty());
    match token {
        Some(token) if token.len() < SHORTEST || !token.bytes().all(|b| b.is_ascii_graphic()) => {
            Err(Error::usage(format!(
                "{variable} is no token: it needs {SHORTEST} or more characters, without spaces"
            )))
        }
        token => Ok(token),
    }
}

fn not_started(error: StartError) -> Error {
    match error {
        StartError::Network(error) => keys::unreached(error),
        StartError::NotLoopback(_) => Error::usage(error),
        StartError::Listen { .. } => Error::new(Exit::Held, error)
            .hint("is one running already? `--listen 127.0.0.1:0` takes a free port"),
        _ => Error::new(Exit::Unexpected, error),
    }
}

fn tell(ui: &Ui, gateway: &Gateway, access: &Access, metrics: &str, keys: usize) -> Result<()> {
    let base_urls: BTreeMap<_, _> =
        gateway.providers().map(|name| (name.to_owned(), gateway.base_url(name))).collect();
    let address = format!("http://{}", gateway.address());
    if ui.json {
        let started = Started { address, token: access.token(), metrics_token: metrics, base_urls };
        let json =
            serde_json::to_string(&started).map_err(|error| Error::new(Exit::Unexpected, error))?;
        return ui.data(json).map_err(unwritten);
    }
    let keys = count(keys as u64, "key");
    ui.say(format_args!(
        "{BOLD}lending {keys} on {address}{BOLD:#}; Ctrl-C stops it. In another shell:\n"
    ));
    for (provider, url) in &base_urls {
        for (name, value) in variables_of(provider, url, access.token()) {
            ui.data(format_args!("export {name}={value}")).map_err(unwritten)?;
        }
    }
    ui.say(format_args!("\n{DIM}claude, gemini and SDKs look at these by themselves; codex needs"));
    if let Some(url) = base_urls.get("openai") {
        ui.say(format_args!(
            "  codex -c model_provider=gateway -c 'model_providers.gateway={{name=\"gateway\",base_url=\"{url}\",env_key=\"OPENAI_API_KEY\",wire_api=\"responses\"}}'"
        ));
    }
    ui.say(format_args!(
        "numbers: curl -H 'authorization: Bearer {metrics}' {address}/metrics{DIM:#}"
    ));
    Ok(())
}

/// The word to stop, which is heard from when this is made.
struct Stop {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stop {
    fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let unexpected = |error| Error::new(Exit::Unexpected, anyhow::Error::new(error));
        let interrupt = signal(SignalKind::interrupt()).map_err(unexpected)?;
        let terminate = signal(SignalKind::terminate()).map_err(unexpected)?;
        Ok(Self { interrupt, terminate })
    }

    /// Waits for it, once more each time.
    async fn comes(&mut self) -> Result<()> {
        tokio::select! {
            _ = self.interrupt.recv() => Ok(()),
            _ = self.terminate.recv() => Ok(()),
        }
    }
}

#[cfg(not(unix))]
impl Stop {
    #[expect(clippy::unnecessary_wraps, reason = "it fails elsewhere")]
    const fn listen() -> Result<Self> {
        Ok(Self {})
    }

    /// Waits for it, once more each time.
    async fn comes(&mut self) -> Result<()> {
        let stopped = tokio::signal::ctrl_c().await;
        stopped.map_err(|error| Error::new(Exit::Unexpected, anyhow::Error::new(error)))
    }
}
