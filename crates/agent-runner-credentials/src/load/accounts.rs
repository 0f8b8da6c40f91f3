//! Numbered accounts of agents' own: tokens and configuration folders.

use std::path::Path;

use super::{Environment, LoadError, Loaded, Origin, variables::numbers_of};
use crate::{ApiKey, Credential, Form};

/// The variables that hold one, whose account it is, and what it is.
const FAMILIES: [(&str, &str, Form); 3] = [
    ("CLAUDE_CODE_OAUTH_TOKEN", "anthropic", Form::OAuthToken),
    ("CLAUDE_CONFIG_DIR", "anthropic", Form::ConfigFolder),
    ("CODEX_HOME", "openai", Form::ConfigFolder),
];

pub(super) fn load(environment: &Environment, loaded: &mut Loaded) -> Result<(), LoadError> {
    for (variable, provider, form) in FAMILIES {
        for number in numbers_of(environment, |name| (name == variable).then_some(())) {
            let label = format!("{variable}_{number}");
            let not_unicode = |_| LoadError::NotUnicode { variable: label.clone() };
            let text = environment.get(&label).map_err(not_unicode)?.unwrap_or_default();
            let origin = || Origin::Variable(label.clone());
            let key = match form {
                Form::ConfigFolder => folder(text, provider)
                    .map_err(|problem| LoadError::InvalidFolder { origin: origin(), problem })?,
                _ => ApiKey::new(text)
                    .map_err(|source| LoadError::InvalidKey { origin: origin(), source })?,
            };
            loaded.add(Credential::new(label.clone(), provider, key).with_form(form))?;
        }
    }
    Ok(())
}

/// Checks a configuration folder, as far as it can be without a look at the disk.
pub(super) fn folder(text: &str, provider: &str) -> Result<ApiKey, &'static str> {
    let text = text.trim();
    if Form::ConfigFolder.variable(provider).is_none() {
        return Err(
            "configuration folders are known of anthropic (Claude Code) and openai (Codex)",
        );
    }
    if !Path::new(text).is_absolute() {
        return Err("a configuration folder is an absolute path");
    }
    Ok(ApiKey::of_folder(text))
}
