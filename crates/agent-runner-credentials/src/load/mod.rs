//! Where keys come from: variables, files and commands.

mod accounts;
mod command;
mod environment;
mod error;
mod file;
mod variables;

use std::{fmt, path::PathBuf, time::Duration};

pub use command::{CommandError, CommandProblem, key_from_command};
pub use environment::Environment;
pub use error::{KeyFileError, LoadError, Origin};
pub use file::{KeySpec, SecretRef, parse_key_file};

use crate::{ApiKey, Credential};

/// How long a command may take to tell a key, a person's fingerprint included.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// A place where keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Numbered variables such as `ANTHROPIC_API_KEY_1`, each with `ANTHROPIC_BASE_URL_1` and
    /// `ANTHROPIC_MODEL_1`. Gaps in the numbers are fine. A key without a URL or model of its own
    /// has `ANTHROPIC_BASE_URL` and `ANTHROPIC_MODEL`. Only if no key is numbered, the single
    /// `ANTHROPIC_API_KEY` is taken.
    Variables {
        /// The start of the names, such as `ANTHROPIC`; in small letters it is the provider.
        prefix: String,
    },
    /// Accounts of agents' own, numbered: `CLAUDE_CODE_OAUTH_TOKEN_1`, `CLAUDE_CONFIG_DIR_1` (a
    /// folder with the login of Claude Code) and `CODEX_HOME_1`. They are lent to processes alone.
    /// Those without a number are left to the agents.
    Accounts,
    /// A TOML file, see [`parse_key_file`].
    File {
        /// Its path.
        path: PathBuf,
    },
    /// A command that prints the key, such as `op read op://vault/anthropic/key`.
    Command {
        /// The program and its arguments. No shell sees them.
        argv: Vec<String>,
        /// Whose key it is.
        provider: String,
        /// The key's name; by default the provider's and the program's.
        label: Option<String>,
    },
}

impl Source {
    /// The variables of Anthropic, OpenAI and Gemini, and the accounts of their agents.
    pub fn known_variables() -> Vec<Self> {
        let keys = ["ANTHROPIC", "OPENAI", "GEMINI"].map(Self::variables);
        keys.into_iter().chain([Self::Accounts]).collect()
    }

    /// The variables that start with a prefix, such as `ANTHROPIC`.
    pub fn variables(prefix: impl Into<String>) -> Self {
        Self::Variables { prefix: prefix.into() }
    }

    /// A TOML file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File { path: path.into() }
    }
}

/// What was found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Loaded {
    /// The keys, in the order of their sources.
    pub credentials: Vec<Credential>,
    /// What the user may want to know.
    pub notices: Vec<Notice>,
    /// The labels of keys whose source can be read [again](reload): it is a file or a command.
    pub renewable: Vec<String>,
}

/// Something that is fine, but may not be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The same key was there twice, and is used once.
    Duplicate {
        /// The label that was dropped.
        label: String,
        /// The label that is used.
        kept: String,
    },
    /// A single variable is not used, since there are numbered ones.
    SingleIgnored {
        /// The variable.
        variable: String,
    },
    /// Other users of the machine can read a file of keys.
    ReadableByOthers {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { label, kept } => {
                write!(f, "'{label}' is the same key as '{kept}', and is used once")
            }
            Self::SingleIgnored { variable } => {
                write!(f, "variable '{variable}' is not used, since there are numbered ones")
            }
            Self::ReadableByOthers { path } => {
                write!(f, "'{}' can be read by other users", path.display())
            }
        }
    }
}

/// Loads the keys of Anthropic, OpenAI and Gemini from this process's environment.
pub fn from_env() -> Result<Loaded, LoadError> {
    load(&Source::known_variables(), &Environment::current())
}

/// Loads the keys of all sources, in their order. A key that is there twice is used once.
///
/// # Errors
///
/// The first thing that is wrong, with its place. A key that cannot be loaded is not left out in
/// silence. No error has a secret in it.
///
/// # Examples
///
/// ```
/// use agent_runner_credentials::{Environment, Source, load};
///
/// let environment = Environment::from_iter([
///     ("ANTHROPIC_API_KEY_1", "sk-ant-one"),
///     ("ANTHROPIC_API_KEY_3", "sk-ant-three"),
///     ("ANTHROPIC_MODEL_3", "claude-opus-5-5"),
/// ]);
/// let loaded = load(&[Source::variables("ANTHROPIC")], &environment)?;
///
/// assert_eq!(loaded.credentials.len(), 2, "a gap in the numbers loses no key");
/// assert_eq!(loaded.credentials[1].model.as_deref(), Some("claude-opus-5-5"));
/// # Ok::<(), agent_runner_credentials::LoadError>(())
/// ```
pub fn load(sources: &[Source], environment: &Environment) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded::default();
    for source in sources {
        match source {
            Source::Variables { prefix } => variables::load(prefix, environment, &mut loaded)?,
            Source::Accounts => accounts::load(environment, &mut loaded)?,
            Source::File { path } => file::load(path, environment, &mut loaded)?,
            Source::Command { argv, provider, label } => {
                let key = key_from_command(argv, COMMAND_TIMEOUT)?;
                let label = label_of(argv, provider, label.as_deref());
                loaded.renewable.push(label.clone());
                loaded.add(Credential::new(label, provider, key))?;
            }
        }
    }
    Ok(loaded)
}

/// Reads the source of one key again, after the key was refused: somebody may have renewed it.
/// Nothing else is read, and no other command is run.
///
/// # Errors
///
/// As with [`load`]. `None` means that no source has a key of this name any more.
pub fn reload(
    sources: &[Source],
    environment: &Environment,
    key: &Credential,
) -> Result<Option<ApiKey>, LoadError> {
    for source in sources {
        let found = match source {
            Source::Variables { .. } | Source::Accounts => None,
            Source::File { path } => file::reload(path, environment, key)?,
            Source::Command { argv, provider, label } => {
                let is_it = provider == &key.provider
                    && key.label == label_of(argv, provider, label.as_deref());
                is_it.then(|| key_from_command(argv, COMMAND_TIMEOUT)).transpose()?
            }
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn label_of(argv: &[String], provider: &str, label: Option<&str>) -> String {
    let program = argv.first().map_or("", String::as_str);
    label.map_or_else(|| format!("{provider} ({program})"), str::to_owned)
}

impl Loaded {
    fn add(&mut self, credential: Credential) -> Result<(), LoadError> {
        if let Some(known) = self.credentials.iter().find(|known| known.is_same_key(&credential)) {
            let kept = known.label.clone();
            self.notices.push(Notice::Duplicate { label: credential.label, kept });
            return Ok(());
        }
        if self.credentials.iter().any(|known| known.label == credential.label) {
            return Err(LoadError::DuplicateLabel { label: credential.label });
        }
        self.credentials.push(credential);
        Ok(())
    }
}

/// Checks a base URL as far as it matters here: a typo should be found before the first request.
fn check_base_url(url: &str) -> Result<(), &'static str> {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match host {
        None => Err("a base URL starts with https:// or http://"),
        Some(host) if host.is_empty() || host.starts_with('/') => Err("the base URL has no host"),
        Some(host) if !host.chars().all(|c| c.is_ascii_graphic()) => {
            Err("the base URL has white space or an unprintable character inside")
        }
        Some(_) => Ok(()),
    }
}
