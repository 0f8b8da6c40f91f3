//! A TOML file of keys.

use std::{fs, ops::Range, path::Path};

use secrecy::zeroize::Zeroizing;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    COMMAND_TIMEOUT, Environment, KeyFileError, LoadError, Loaded, Notice, Origin,
    accounts::folder, check_base_url, key_from_command,
};
use crate::{ApiKey, Credential, Form};

#[cfg(unix)]
#[path = "file/unix.rs"]
mod sys;
#[cfg(windows)]
#[path = "file/windows.rs"]
mod sys;

const FIELDS: &str = "provider, label, key, env, command, folder, form, base_url, model";

/// One `[[key]]` of a file, before its secret is looked up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeySpec {
    /// The line of its first field, from 1.
    pub line: usize,
    /// Whose key it is.
    pub provider: String,
    /// The key's name; by default the provider's with a number.
    pub label: String,
    /// Where the secret is.
    pub secret: SecretRef,
    /// What it is.
    pub form: Form,
    /// Where to send requests.
    pub base_url: Option<String>,
    /// The model to ask for.
    pub model: Option<String>,
}

/// Where a secret is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SecretRef {
    /// Here.
    Key(ApiKey),
    /// In a variable.
    Variable(String),
    /// A command prints it.
    Command(Vec<String>),
    /// In a folder, as an agent keeps its login.
    Folder(ApiKey),
}

/// Parses a file of keys.
///
/// Each has exactly one of `key`, `env`, `command` and `folder`; `label`, `base_url` and `model`
/// can be left out. A `folder` is where Claude Code or Codex has its configuration and its login;
/// `form = "oauth_token"` says that a secret is a token of Claude Code instead of an API key. Both
/// are lent to processes alone.
///
/// ```toml
/// [[key]]
/// provider = "anthropic"
/// label = "work"
/// command = ["op", "read", "op://work/anthropic/key"]
/// model = "claude-opus-5-5"
///
/// [[key]]
/// provider = "openai"
/// env = "OTHER_OPENAI_KEY"
/// base_url = "https://proxy.example/v1"
///
/// [[key]]
/// provider = "anthropic"
/// label = "team account"
/// folder = "/home/me/.claude-team"
/// ```
///
/// # Errors
///
/// The first thing that is wrong, unknown fields included, with its line. The error repeats no
/// value, since a value in the wrong place may be the secret.
pub fn parse_key_file(text: &str) -> Result<Vec<KeySpec>, KeyFileError> {
    let file = File { text };
    let root = DeTable::parse(text).map_err(|error| {
        let place = error.span().unwrap_or_default();
        file.error(&place, "this is not TOML; strings are quoted, as in key = \"...\"")
    })?;
    let mut specs: Vec<KeySpec> = Vec::new();
    for (name, value) in root.get_ref() {
        if name.get_ref() != "key" {
            return Err(file.unknown(name, "[[key]]"));
        }
        let Some(entries) = value.get_ref().as_array() else {
            return Err(file.error(&name.span(), "keys are written as [[key]]"));
        };
        for entry in entries {
            let Some(table) = entry.get_ref().as_table() else {
                return Err(file.error(&entry.span(), "keys are written as [[key]]"));
            };
            let number = specs.len() + 1;
            specs.push(file.spec(&entry.span(), table, number)?);
        }
    }
    Ok(specs)
}

pub(super) fn load(
    path: &Path,
    environment: &Environment,
    loaded: &mut Loaded,
) -> Result<(), LoadError> {
    let specs = read(path)?;
    let has_secret = specs.iter().any(|spec| matches!(spec.secret, SecretRef::Key(_)));
    if has_secret && sys::is_readable_by_others(path) {
        loaded.notices.push(Notice::ReadableByOthers { path: path.into() });
    }
    for spec in specs {
        let origin = Origin::File { path: path.into(), line: spec.line };
        if spec.may_change() {
            loaded.renewable.push(spec.label.clone());
        }
        let key = find(spec.secret, origin, environment)?;
        let KeySpec { provider, label, form, base_url, model, .. } = spec;
        loaded.add(Credential { label, provider, key, form, base_url, model })?;
    }
    Ok(())
}

/// What the file has now for a key.
pub(super) fn reload(
    path: &Path,
    environment: &Environment,
    key: &Credential,
) -> Result<Option<ApiKey>, LoadError> {
    let is_it = |spec: &KeySpec| spec.label == key.label && spec.provider == key.provider;
    let Some(spec) = read(path)?.into_iter().find(is_it) else { return Ok(None) };
    let origin = Origin::File { path: path.into(), line: spec.line };
    find(spec.secret, origin, environment).map(Some)
}

fn read(path: &Path) -> Result<Vec<KeySpec>, LoadError> {
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| LoadError::ReadFile { path: path.into(), source })?;
    parse_key_file(&text).map_err(|source| LoadError::KeyFile { path: path.into(), source })
}

impl KeySpec {
    /// Whether it may be another key when it is looked up again.
    const fn may_change(&self) -> bool {
        matches!(self.secret, SecretRef::Key(_) | SecretRef::Command(_))
    }
}

fn find(secret: SecretRef, origin: Origin, environment: &Environment) -> Result<ApiKey, LoadError> {
    match secret {
        SecretRef::Key(key) | SecretRef::Folder(key) => Ok(key),
        SecretRef::Command(argv) => Ok(key_from_command(&argv, COMMAND_TIMEOUT)?),
        SecretRef::Variable(variable) => match environment.get(&variable) {
            Err(_) => Err(LoadError::NotUnicode { variable }),
            Ok(None) => Err(LoadError::MissingVariable { origin, variable }),
            Ok(Some(value)) => ApiKey::new(value).map_err(|source| LoadError::InvalidKey {
                origin: Origin::Variable(variable),
                source,
            }),
        },
    }
}

/// A key as far as it has been read.
#[derive(Default)]
struct Draft {
    provider: Option<String>,
    label: Option<String>,
    secrets: Vec<SecretRef>,
    folder: Option<String>,
    form: Form,
    base_url: Option<String>,
    model: Option<String>,
}

/// The text, to tell lines.
struct File<'a> {
    text: &'a str,
}

impl File<'_> {
    fn spec(
        &self,
        place: &Range<usize>,
        table: &DeTable<'_>,
        number: usize,
    ) -> Result<KeySpec, KeyFileError> {
        let mut draft = Draft::default();
        for (name, value) in table {
            self.set(&mut draft, name, value)?;
        }
        let error = |problem| self.error(place, problem);
        let provider = draft.provider.ok_or_else(|| error("the key has no provider"))?;
        if let Some(path) = draft.folder {
            draft.form = Form::ConfigFolder;
            draft.secrets.push(SecretRef::Folder(folder(&path, &provider).map_err(error)?));
        } else if draft.form.variable(&provider).is_none() {
            return Err(error("tokens are known of anthropic (Claude Code)"));
        }
        let mut secrets = draft.secrets.into_iter();
        let secret = match (secrets.next(), secrets.next()) {
            (Some(secret), None) => secret,
            (None, _) => return Err(error("the key has neither key, env, command nor folder")),
            _ => return Err(error("a key has one of key, env, command and folder, not two")),
        };
        let label = draft.label.unwrap_or_else(|| format!("{provider}-{number}"));
        let (base_url, model) = (draft.base_url, draft.model);
        let (line, form) = (self.line(place), draft.form);
        Ok(KeySpec { line, provider, label, secret, form, base_url, model })
    }

    fn set(
        &self,
        draft: &mut Draft,
        name: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), KeyFileError> {
        let error = |problem: &str| self.error(&name.span(), problem);
        let text = || self.text(name.get_ref(), value);
        match &**name.get_ref() {
            "provider" => draft.provider = Some(text()?),
            "label" => draft.label = Some(text()?),
            "model" => draft.model = Some(text()?),
            "base_url" => {
                let url = text()?;
                check_base_url(&url).map_err(error)?;
                draft.base_url = Some(url);
            }
            "key" => {
                let key = ApiKey::new(&Zeroizing::new(text()?));
                let key = key.map_err(|problem| error(&problem.to_string()))?;
                draft.secrets.push(SecretRef::Key(key));
            }
            "env" => {
                // What is no name may be the secret itself, and is not to be repeated.
                let variable = text()?;
                let is_name = variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                if !is_name {
                    return Err(error("'env' is the name of a variable, not the secret"));
                }
                draft.secrets.push(SecretRef::Variable(variable));
            }
            "folder" => draft.folder = Some(text()?),
            "form" => {
                draft.form = match &*text()? {
                    "api_key" => Form::ApiKey,
                    "oauth_token" => Form::OAuthToken,
                    _ => return Err(error("'form' is \"api_key\" or \"oauth_token\"")),
                };
            }
            "command" => draft.secrets.push(SecretRef::Command(self.argv(value)?)),
            _ => return Err(self.unknown(name, &format!("one of {FIELDS}"))),
        }
        Ok(())
    }

    fn text(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<String, KeyFileError> {
        match value.get_ref().as_str().map(str::trim) {
            None => Err(self.error(&value.span(), &format!("'{name}' is a string"))),
            Some("") => Err(self.error(&value.span(), &format!("'{name}' is blank"))),
            Some(text) => Ok(text.to_owned()),
        }
    }

    fn argv(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, KeyFileError> {
        let problem = "'command' is a list of strings, the program first";
        let error = || self.error(&value.span(), problem);
        let words = value.get_ref().as_array().ok_or_else(error)?;
        let words = words.iter().map(|word| word.get_ref().as_str().map(str::to_owned));
        let argv: Vec<String> = words.collect::<Option<_>>().ok_or_else(error)?;
        if argv.first().is_none_or(String::is_empty) { Err(error()) } else { Ok(argv) }
    }

    fn unknown(&self, name: &Spanned<DeString<'_>>, expected: &str) -> KeyFileError {
        // A secret can stand even here, after a quote that was forgotten.
        let is_word = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let field = match &**name.get_ref() {
            word if word.len() <= 20 && is_word(word) => format!("unknown field '{word}'"),
            _ => "unknown field".to_owned(),
        };
        self.error(&name.span(), &format!("{field}, expected {expected}"))
    }

    fn error(&self, place: &Range<usize>, problem: &str) -> KeyFileError {
        KeyFileError { line: self.line(place), problem: problem.to_owned() }
    }

    fn line(&self, place: &Range<usize>) -> usize {
        let newlines = self.text.match_indices('\n').take_while(|(at, _)| *at < place.start);
        newlines.count() + 1
    }
}
