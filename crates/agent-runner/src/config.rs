//! `agent-runner.toml`: defaults for a project, read from the nearest folder upward.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use agent_runner_gateway::{Budget, Prices};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    cli::{GatewayMode, Orphans, Retries},
    error::{Error, OrExit, Result},
    isolation::{self, Isolate, Merging, WorktreeConfig},
    profile::Profile,
    units::{parse_budget, parse_duration, parse_load, parse_pause, parse_size},
};

/// The file's name.
pub const FILE_NAME: &str = "agent-runner.toml";

/// What the file may say. Every value can be given on the command line, which wins.
#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The task store.
    pub store: Option<String>,
    /// The backlog that `run` adds when none is named.
    pub backlog: Option<PathBuf>,
    /// How many agents work at once.
    #[serde(deserialize_with = "number::<1024, _>")]
    pub jobs: Option<u32>,
    /// Whether fewer agents work at once when a provider asks to slow down.
    pub adaptive: bool,
    /// How long after one start another agent may be started beside it.
    #[serde(deserialize_with = "pause")]
    pub stagger: Option<Duration>,
    /// No agent is started beside others while the load is higher.
    #[serde(deserialize_with = "load")]
    pub max_load: Option<f64>,
    /// No agent is started beside others while less memory is free, in bytes.
    #[serde(deserialize_with = "size")]
    pub min_free_memory: Option<u64>,
    /// The agent: a program and its arguments.
    pub command: Vec<String>,
    /// A shell command that must succeed before a task counts as done.
    pub verify: Option<String>,
    /// How long an attempt may take.
    #[serde(deserialize_with = "duration")]
    pub timeout: Option<Duration>,
    /// How long an attempt may be silent.
    #[serde(deserialize_with = "duration")]
    pub idle_timeout: Option<Duration>,
    /// How much memory an agent and all that it starts may use.
    #[serde(deserialize_with = "size")]
    pub memory: Option<u64>,
    /// How long the log of an attempt may become.
    #[serde(deserialize_with = "size")]
    pub log_limit: Option<u64>,
    /// Whether each attempt has a control group of its own, where we may make some, also if the kernel
    /// has no memory to limit in it. It costs a tenth of a millisecond.
    pub cgroups: bool,
    /// How long agents may go on after the first Ctrl-C.
    #[serde(deserialize_with = "duration")]
    pub grace: Option<Duration>,
    /// How often a task may fail.
    #[serde(deserialize_with = "number::<{ u32::MAX }, _>")]
    pub attempts: Option<u32>,
    /// The first wait before a failed task is tried again.
    #[serde(deserialize_with = "duration")]
    pub retry_delay: Option<Duration>,
    /// What to do with agents that a killed run left at work: `kill` or `wait`.
    pub orphans: Option<Orphans>,
    /// What is known of the agent, by name; else by the command's program.
    pub profile: Option<String>,
    /// Agents of the project's own.
    pub profiles: BTreeMap<String, Profile>,
    /// Whether a retry goes on with the agent's session: `warm`, `fork` or `cold`.
    pub retries: Option<Retries>,
    /// Where agents work: `none` or `worktree`.
    pub isolate: Option<Isolate>,
    /// Whether what is done is merged: `true`, or `"squash"` or `"keep"`.
    #[serde(deserialize_with = "isolation::merging")]
    pub merge: Option<Merging>,
    /// The branch that work begins at and is merged into.
    pub target: Option<String>,
    /// Whether a success that changed no file is refused.
    pub expect_diff: Option<bool>,
    /// The worktrees.
    pub worktrees: WorktreeConfig,
    /// A file of credentials.
    pub keys: Option<PathBuf>,
    /// Whether keys are lent request by request: `auto`, `on` or `off`.
    pub gateway: Option<GatewayMode>,
    /// What a run may spend.
    #[serde(deserialize_with = "budget")]
    pub budget: Option<Budget>,
    /// What a task may spend.
    #[serde(deserialize_with = "budget")]
    pub task_budget: Option<Budget>,
    /// What models cost, in dollars a million tokens, by how their names begin.
    pub prices: Prices,
}

const KEYS: [&str; 31] = [
    "store",
    "backlog",
    "jobs",
    "adaptive",
    "stagger",
    "max_load",
    "min_free_memory",
    "command",
    "verify",
    "timeout",
    "idle_timeout",
    "memory",
    "log_limit",
    "cgroups",
    "grace",
    "attempts",
    "retry_delay",
    "orphans",
    "profile",
    "profiles",
    "retries",
    "isolate",
    "merge",
    "target",
    "expect_diff",
    "worktrees",
    "keys",
    "gateway",
    "budget",
    "task_budget",
    "prices",
];

impl Config {
    /// Reads a file. Relative paths in it are relative to its folder.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .or_invalid(|| format!("could not read configuration '{}'", path.display()))?;
        let mut config = Self::parse(&text, path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        for file in [&mut config.backlog, &mut config.keys].into_iter().flatten() {
            *file = folder.join(&*file);
        }
        Ok(config)
    }

    /// Reads a text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        toml::from_str(text).map_err(|error| explain(text, path, &error))
    }
}

/// The nearest file upward from `folder`, up to the root of its repository.
pub fn find(folder: &Path) -> Option<PathBuf> {
    upward(folder).map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file())
}

/// `folder` and those above it, up to the root of its repository; only `folder` outside one.
pub fn upward(folder: &Path) -> impl Iterator<Item = &Path> {
    let depth = folder.ancestors().position(is_repository).unwrap_or(0);
    folder.ancestors().take(depth + 1)
}

/// Whether it is the root of a repository or of a worktree. As for git, an empty `.git` makes none:
/// sandboxes leave some behind.
pub fn is_repository(folder: &Path) -> bool {
    let git = folder.join(".git");
    git.is_file() || git.join("HEAD").symlink_metadata().is_ok()
}

fn explain(text: &str, path: &Path, error: &toml::de::Error) -> Error {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text[..start].matches('\n').count() + 1;
    let message = error.message().lines().next().unwrap_or("not valid TOML");
    let failure = Error::invalid(format!("{}:{line}: {message}", path.display()));
    let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    match unknown.and_then(nearest) {
        Some(key) => failure.hint(format!("did you mean `{key}`?")),
        None => failure,
    }
}

fn nearest(unknown: &str) -> Option<&'static str> {
    let likeness = |key: &&str| strsim::jaro_winkler(unknown, key);
    let best = KEYS.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) > 0.8).then_some(best)
}

/// A number from 1 to `MAX`, as on the command line.
fn number<'de, const MAX: u32, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let number = i64::deserialize(from)?;
    match u32::try_from(number) {
        Ok(number @ 1..) if number <= MAX => Ok(Some(number)),
        _ => Err(D::Error::custom(format!("{number} is not in 1..={MAX}"))),
    }
}

/// An amount of money or tokens.
fn budget<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Budget>, D::Error> {
    let text = String::deserialize(from)?;
    parse_budget(&text).map(Some).map_err(D::Error::custom)
}

/// A time as a text or in seconds.
pub fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    written(from, parse_duration)
}

/// A time that may be none.
pub fn pause<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    written(from, parse_pause)
}

fn load<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    written(from, parse_load)
}

fn size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    written(from, parse_size)
}

/// What a person writes as a number or as a text, read as on the command line.
fn written<'de, T, D: Deserializer<'de>>(
    from: D,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Whole(i64),
        Fraction(f64),
        Text(String),
    }
    let text = match Written::deserialize(from)? {
        Written::Whole(number) => number.to_string(),
        Written::Fraction(number) => number.to_string(),
        Written::Text(text) => text,
    };
    parse(&text).map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, message: &str, hint: Option<&str>) {
        let error = Config::parse(text, Path::new("agent-runner.toml")).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.hints().first().map(String::as_str), hint);
    }

    #[test]
    fn a_mistake_is_named_with_its_line_and_a_hint() {
        check(
            "jobs = 2\ntimout = \"5m\"\n",
            "agent-runner.toml:2: unknown field `timout`, expected one of `store`, `backlog`, `jobs`, `adaptive`, `stagger`, `max_load`, `min_free_memory`, `command`, `verify`, `timeout`, `idle_timeout`, `memory`, `log_limit`, `cgroups`, `grace`, `attempts`, `retry_delay`, `orphans`, `profile`, `profiles`, `retries`, `isolate`, `merge`, `target`, `expect_diff`, `worktrees`, `keys`, `gateway`, `budget`, `task_budget`, `prices`",
            Some("did you mean `timeout`?"),
        );
        check(
            "memory = \"lots\"",
            "agent-runner.toml:1: `lots` is not an amount of memory: write it as `512M` or `2G`",
            None,
        );
        check(
            "timeout = \"soon\"",
            "agent-runner.toml:1: `soon` is not a time: write it as `90s`, `30m` or `1h 30m`",
            None,
        );
    }

    #[test]
    fn every_key_is_known_to_the_hints() {
        let error = toml::from_str::<Config>("nothing_like_it = 1").unwrap_err();
        for key in KEYS {
            assert!(error.message().contains(&format!("`{key}`")), "{key} is not a field");
        }
    }
}
