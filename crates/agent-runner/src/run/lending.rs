//! How an attempt gets at its provider: with a token for the gateway, or with keys of its own.

use std::{env, sync::Arc, time::Duration};

use agent_runner_credentials::Rejection;
use agent_runner_gateway::{
    Access, Budget, Caller, Gateway, Line, Options, Prices, Spent, Stopped,
};
use agent_runner_task_store::{Attempt, Task, TaskStore};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{
    attempt::Ended,
    needs::needs,
    outcome::Outcome,
    supply::{Lent, Needs, Settled, Supply},
};
use crate::{
    cli::GatewayMode,
    descriptors,
    error::{Error, Result},
    exit_code::Exit,
    keys::{network, unreached},
    profile::Profile,
};

/// Where an attempt's details keep what went through the gateway.
pub(super) const DETAIL: &str = "gateway";

/// How long the gateway holds a request of a run that does not wait for keys: enough to spread
/// requests over a rate.
const PACE: Duration = Duration::from_secs(1);

/// When keys are lent request by request, and what may be spent.
#[derive(Debug, Default, Clone)]
pub struct LendingOptions {
    pub(super) mode: GatewayMode,
    /// Whether a request is held until a key is back.
    pub(super) holds: bool,
    pub(super) budget: Option<Budget>,
    pub(super) task_budget: Option<Budget>,
    pub(super) prices: Prices,
}

/// Lends to the attempts of one run.
pub(super) struct Lending {
    supply: Arc<Supply>,
    store: Arc<dyn TaskStore>,
    options: LendingOptions,
    /// Started by the first attempt that needs it.
    gateway: OnceCell<Gateway>,
}

/// What was lent to an attempt.
pub(super) enum Grant {
    /// Keys of its own.
    Keys(Lent),
    /// A token, and the variables that make an agent use it.
    Token { needs: Needs, access: Box<Access>, variables: Vec<(String, String)> },
}

impl Lending {
    pub(super) fn new(
        supply: Arc<Supply>,
        store: Arc<dyn TaskStore>,
        options: LendingOptions,
    ) -> Self {
        Self { supply, store, options, gateway: OnceCell::new() }
    }

    /// Checks what can be checked before anything is run, and starts the gateway if all agents are
    /// to use it.
    pub(super) async fn prepare(&self) -> Result<()> {
        let has_budget = self.options.budget.or(self.options.task_budget).is_some();
        if has_budget && self.supply.keyed().is_empty() {
            return Err(Error::invalid("a budget is set, and there are no API keys to count on")
                .hint("`agent-runner help environment` says how to give some"));
        }
        let may_lend = self.options.mode != GatewayMode::Off && !self.supply.keyed().is_empty();
        if may_lend {
            // Not by the first attempt, whose failure it would be.
            network()?.check().map_err(unreached)?;
        }
        if self.options.mode == GatewayMode::On {
            if self.supply.keyed().is_empty() {
                return Err(Error::invalid("the gateway is on, and there are no API keys to lend")
                    .hint("`agent-runner help environment` says how to give some"));
            }
            self.gateway().await?;
        }
        Ok(())
    }

    /// Lends to an attempt.
    pub(super) async fn grant(&self, task: &Task, profile: &Profile) -> Result<Grant, Ended> {
        let by_request = self.lends_by_request(profile);
        if !by_request.map_err(|why| Ended::new(Outcome::Invalid, why))? {
            let lent = self.supply.lend(&needs(profile)).map(Grant::Keys);
            return lent.ok_or_else(|| {
                Ended::new(Outcome::Throttled, "no credential was ready".to_owned())
            });
        }
        let gateway = self
            .gateway()
            .await
            .map_err(|error| Ended::new(Outcome::WorkerFailed, crate::error::chain_of(&error)))?;
        let caller = self.caller(task).await?;
        Ok(grant(gateway, &self.supply, caller, needs(profile)))
    }

    /// What all attempts used.
    pub(super) fn usage(&self) -> Vec<Line> {
        self.gateway.get().map(Gateway::usage).unwrap_or_default()
    }

    /// Tells the supply how a credential fared.
    pub(super) fn settle(&self, grant: Grant, ended: &Ended) -> Settled {
        match grant {
            Grant::Keys(lent) => self.supply.settle(lent, ended.outcome, ended.retry_after),
            Grant::Token { needs, access, .. } => self.supply.settle_lent_by_request(
                &needs,
                ended.outcome,
                ended.retry_after,
                access.refused(),
                !access.usage().is_empty(),
            ),
        }
    }

    /// Whether keys are lent to this agent request by request, or why they cannot be.
    fn lends_by_request(&self, profile: &Profile) -> Result<bool, String> {
        let keys = self.supply.keyed();
        let LendingOptions { mode, budget, task_budget, .. } = &self.options;
        let has_budget = budget.or(*task_budget).is_some();
        let is_meant = match mode {
            GatewayMode::Off => false,
            GatewayMode::On => !keys.is_empty(),
            GatewayMode::Auto => profile.gateway.iter().any(|provider| keys.contains(provider)),
        };
        match profile.gateway_where.as_ref().filter(|it| !it.holds()) {
            Some(lacks) if is_meant && (has_budget || *mode == GatewayMode::On) => {
                Err(format!("it takes a base URL, and so the gateway, only where {lacks}"))
            }
            None if is_meant => Ok(true),
            _ if has_budget => Err("a budget is set, and this agent is not known to take a base URL: say `--gateway on` if it does".into()),
            _ => Ok(false),
        }
    }

    async fn gateway(&self) -> Result<&Gateway> {
        self.gateway
            .get_or_try_init(|| async {
                let limit = descriptors::raise();
                let mut options = Options::default();
                options.connections = descriptors::clients(limit, options.connections);
                options.budget = self.options.budget.unwrap_or_default();
                options.prices = self.options.prices.clone();
                if !self.options.holds {
                    options.hold = PACE;
                }
                Gateway::start(self.supply.ring().clone(), options)
                    .await
                    .map_err(|error| Error::new(Exit::Unexpected, error))
            })
            .await
    }

    /// Who asks. What earlier attempts spent counts, also those of earlier runs.
    async fn caller(&self, task: &Task) -> Result<Caller, Ended> {
        let caller = Caller::attempt(task.id.as_str(), task.attempt);
        let Some(budget) = self.options.task_budget else { return Ok(caller) };
        let attempts = self.store.attempts(&task.id).await.map_err(|error| {
            Ended::new(Outcome::WorkerFailed, format!("could not read what was spent: {error}"))
        })?;
        let spent = spent(&attempts);
        if budget.is_spent(&spent) {
            return Err(Ended::new(
                Outcome::BudgetSpent,
                format!("its budget is spent ({budget})"),
            ));
        }
        Ok(caller.budget(budget, spent))
    }
}

impl Grant {
    /// Which credential, for people.
    pub(super) fn label(&self) -> Option<String> {
        match self {
            Self::Keys(lent) => lent.label().map(str::to_owned),
            Self::Token { access, .. } => {
                let mut keys: Vec<_> = access.usage().into_iter().map(|line| line.key).collect();
                keys.dedup();
                Some(if keys.is_empty() { DETAIL.to_owned() } else { keys.join("+") })
            }
        }
    }

    /// What the agent finds in its environment.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        match self {
            Self::Keys(lent) => lent.environment(),
            Self::Token { variables, .. } => variables.clone(),
        }
    }

    /// What must not be written down.
    pub(super) fn secret(&self) -> Option<&str> {
        match self {
            Self::Keys(_) => None,
            Self::Token { access, .. } => Some(access.token()),
        }
    }

    /// Adds what was used to an attempt's end, and what a spent budget means for it. Says whether
    /// the run has spent all that it may.
    pub(super) fn account(&self, ended: &mut Ended) -> bool {
        let Self::Token { access, .. } = self else { return false };
        let lines = access.usage();
        if !lines.is_empty() {
            ended.details.insert(DETAIL.to_owned(), detail(&lines));
        }
        if let Some(outcome) = access.refused().and_then(|refused| outcome_of(refused.reason?))
            && ended.outcome.is_word_of_provider()
        {
            ended.outcome = outcome;
        }
        let unreachable = access.refused().and_then(|refused| refused.unreachable);
        if let Some(told) = unreachable.filter(|_| ended.outcome.is_word_of_provider()) {
            let why = format!("the provider could not be reached: {told}");
            (ended.outcome, ended.message, ended.retry_after) =
                (Outcome::Unreachable, Some(why), None);
        }
        let stopped = access.stopped();
        if let Some(stopped) = stopped.filter(|_| ended.outcome.is_word_of_provider()) {
            let (outcome, why) = match stopped {
                Stopped::Caller => (Outcome::BudgetSpent, "its budget is spent"),
                _ => (Outcome::Stopped, "the budget of the run is spent"),
            };
            (ended.outcome, ended.message, ended.retry_after) = (outcome, Some(why.into()), None);
        }
        stopped == Some(Stopped::Gateway)
    }
}

/// What an agent met at last that got no answer any more, where its provider has one word for many
/// things, and its CLI another.
const fn outcome_of(reason: Rejection) -> Option<Outcome> {
    match reason {
        Rejection::Billing => Some(Outcome::Billing),
        Rejection::Unauthorized => Some(Outcome::Auth),
        Rejection::QuotaExhausted { .. } => Some(Outcome::Quota),
        _ => None,
    }
}

/// A token, with the variables that SDKs of all providers know.
fn grant(gateway: &Gateway, supply: &Supply, caller: Caller, needs: Needs) -> Grant {
    let access = gateway.lend(caller);
    let mut variables = vec![without_proxy("NO_PROXY"), without_proxy("no_proxy")];
    for provider in gateway.providers() {
        variables.extend(variables_of(provider, &gateway.base_url(provider), access.token()));
        if let Some(model) = supply.model(provider) {
            variables.push((format!("{}_MODEL", prefix(provider)), model));
        }
    }
    Grant::Token { needs, access: Box::new(access), variables }
}

/// What makes a provider's SDK ask the gateway.
pub fn variables_of(provider: &str, url: &str, token: &str) -> Vec<(String, String)> {
    let prefix = prefix(provider);
    let mut variables = vec![
        (format!("{prefix}_BASE_URL"), url.to_owned()),
        (format!("{prefix}_API_KEY"), token.to_owned()),
    ];
    if provider == "gemini" {
        variables.push(("GOOGLE_GEMINI_BASE_URL".to_owned(), url.to_owned()));
    }
    variables
}

/// How the names of a provider's variables begin.
fn prefix(provider: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    provider.chars().map(letter).collect()
}

/// A proxy is for the world outside, and not for this machine.
fn without_proxy(name: &str) -> (String, String) {
    let known = env::var(name).ok().filter(|known| !known.is_empty());
    let known = known.map(|known| format!("{known},")).unwrap_or_default();
    (name.to_owned(), format!("{known}127.0.0.1,localhost"))
}

/// What is kept with an attempt.
fn detail(lines: &[Line]) -> Value {
    let tokens: u64 = lines.iter().map(|it| it.usage.total() - it.usage.cache_read).sum();
    let usd = lines.iter().filter_map(|line| line.cost_usd).fold(0.0, |sum, usd| sum + usd);
    json!({ "tokens": tokens, "usd": usd, "lines": lines })
}

/// What earlier attempts spent.
fn spent(attempts: &[Attempt]) -> Spent {
    let reports = attempts.iter().filter_map(|attempt| attempt.report.as_ref());
    let details = reports.filter_map(|report| report.details.get(DETAIL));
    details.fold(Spent::default(), |sum, detail| {
        let tokens = detail["tokens"].as_u64().unwrap_or(0);
        let usd = detail["usd"].as_f64().unwrap_or(0.0);
        Spent::new(sum.tokens.saturating_add(tokens), sum.usd + usd)
    })
}
