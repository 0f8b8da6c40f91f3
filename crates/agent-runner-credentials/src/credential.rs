//! A key with what belongs to it, and the variables that carry it.

use std::fmt;

use secrecy::SecretString;

use crate::ApiKey;

/// A key and where it is used.
#[derive(Clone)]
pub struct Credential {
    /// A name for people and reports, such as `ANTHROPIC_API_KEY_2`. Never the secret.
    pub label: String,
    /// Whose key it is: `anthropic`, `openai`, `gemini` or any other word.
    pub provider: String,
    /// The secret, or the folder that has it.
    pub key: ApiKey,
    /// What it is: a key, or an account of an agent's own.
    pub form: Form,
    /// Where to send requests; `None` leaves it to the client.
    pub base_url: Option<String>,
    /// The model to ask for; `None` leaves it to the client.
    pub model: Option<String>,
}

/// What a credential is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// A key of an API: for calls, and for processes.
    #[default]
    ApiKey,
    /// A token of a subscription, for processes of its own agent alone.
    OAuthToken,
    /// A folder in which an agent has its configuration and its login, for its processes alone.
    ConfigFolder,
}

impl Form {
    /// The variable by which a process gets it; `None` if no agent of this provider is known to
    /// have one.
    pub(crate) fn variable(self, provider: &str) -> Option<String> {
        match (self, provider) {
            (Self::ApiKey, _) => Some(format!("{}_API_KEY", prefix(provider))),
            (Self::OAuthToken, "anthropic") => Some("CLAUDE_CODE_OAUTH_TOKEN".to_owned()),
            (Self::ConfigFolder, "anthropic") => Some("CLAUDE_CONFIG_DIR".to_owned()),
            (Self::ConfigFolder, "openai") => Some("CODEX_HOME".to_owned()),
            _ => None,
        }
    }
}

impl Credential {
    /// An API key without base URL and model.
    pub fn new(label: impl Into<String>, provider: impl Into<String>, key: ApiKey) -> Self {
        Self {
            label: label.into(),
            provider: provider.into(),
            key,
            form: Form::ApiKey,
            base_url: None,
            model: None,
        }
    }

    /// Sets what it is.
    pub fn with_form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// Sets where to send requests.
    pub fn with_base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Sets the model to ask for.
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Returns what a child process needs: `ANTHROPIC_API_KEY`, and where they are set
    /// `ANTHROPIC_BASE_URL` and `ANTHROPIC_MODEL`, with the provider's name in capitals. For an
    /// account of an agent's own it is `CLAUDE_CODE_OAUTH_TOKEN`, `CLAUDE_CONFIG_DIR` or
    /// `CODEX_HOME` instead of the key.
    ///
    /// The values are secrets, base URLs included, since those can carry a password.
    pub fn environment(&self) -> Vec<(String, SecretString)> {
        let prefix = prefix(&self.provider);
        let variable = self.form.variable(&self.provider);
        let key = variable.map(|variable| (variable, self.key.secret().clone()));
        let mut variables: Vec<_> = key.into_iter().collect();
        for (suffix, value) in [("BASE_URL", &self.base_url), ("MODEL", &self.model)] {
            if let Some(value) = value {
                variables.push((format!("{prefix}_{suffix}"), SecretString::from(value.as_str())));
            }
        }
        variables
    }

    /// The base URL without what may be secret: its user, password and query.
    pub(crate) fn shown_base_url(&self) -> Option<String> {
        self.base_url.as_deref().map(without_secrets)
    }

    /// Whether both send the same secret to the same place.
    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        self.provider == other.provider
            && self.base_url == other.base_url
            && self.key.expose() == other.key.expose()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("label", &self.label)
            .field("provider", &self.provider)
            .field("key", &self.key)
            .field("form", &self.form)
            .field("base_url", &self.shown_base_url())
            .field("model", &self.model)
            .finish()
    }
}

/// Says whether a variable holds a key or a numbered setting of this family, so that a child
/// process that is lent one key must not inherit it.
///
/// For `ANTHROPIC`: `ANTHROPIC_API_KEY`, `ANTHROPIC_AUTH_TOKEN`, and with any number
/// `ANTHROPIC_API_KEY_7`, `ANTHROPIC_AUTH_TOKEN_7`, `ANTHROPIC_BASE_URL_7`, `ANTHROPIC_MODEL_7`;
/// and what Claude Code has of its own, `CLAUDE_CODE_OAUTH_TOKEN` and `CLAUDE_CONFIG_DIR_7`. For
/// `OPENAI` also `CODEX_HOME_7`.
///
/// # Examples
///
/// ```
/// use agent_runner_credentials::is_key_variable;
///
/// assert!(is_key_variable("ANTHROPIC_API_KEY_7", "ANTHROPIC"));
/// assert!(!is_key_variable("ANTHROPIC_MODEL", "ANTHROPIC"), "a setting of the user's own");
/// ```
pub fn is_key_variable(name: &str, prefix: &str) -> bool {
    if is_account_variable(name, prefix) {
        return true;
    }
    let Some(name) = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')) else {
        return false;
    };
    match split_number(name) {
        Some((stem, _)) => matches!(stem, "API_KEY" | "AUTH_TOKEN" | "BASE_URL" | "MODEL"),
        None => matches!(name, "API_KEY" | "AUTH_TOKEN"),
    }
}

/// Whether it is an account of an agent of this family.
fn is_account_variable(name: &str, prefix: &str) -> bool {
    let stem = split_number(name).map(|(stem, _)| stem);
    match prefix {
        "ANTHROPIC" => {
            name == "CLAUDE_CODE_OAUTH_TOKEN"
                || matches!(stem, Some("CLAUDE_CODE_OAUTH_TOKEN" | "CLAUDE_CONFIG_DIR"))
        }
        "OPENAI" => stem == Some("CODEX_HOME"),
        _ => false,
    }
}

/// Picks the [key variables](is_key_variable) of one family from names, such as those to take out
/// of a child's environment.
pub fn numbered_variables<'a>(
    names: impl IntoIterator<Item = &'a str>,
    prefix: &str,
) -> impl Iterator<Item = &'a str> {
    names.into_iter().filter(move |name| is_key_variable(name, prefix))
}

/// Splits `API_KEY_7` into `API_KEY` and `7`.
pub(crate) fn split_number(name: &str) -> Option<(&str, &str)> {
    let (stem, number) = name.rsplit_once('_')?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some((stem, number))
}

/// The start of a provider's variables: `my-proxy` has `MY_PROXY`.
fn prefix(provider: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    provider.chars().map(letter).collect()
}

fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}://{host}{path}")
}
