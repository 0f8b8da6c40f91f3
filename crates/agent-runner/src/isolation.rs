//! Where each agent works, and the way back: as the command line and the configuration want it.

use agent_runner_worktree::{Builder, History, Ignored, OpenError, Submodules, Watched, Worktrees};
use clap::ValueEnum;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    cli,
    config::Config,
    error::{Error, Result},
    exit_code::Exit,
    project::Project,
};

/// Where agents work.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolate {
    /// All in the project's folder.
    #[default]
    None,
    /// Each in a git worktree of its own.
    Worktree,
}

/// What becomes of work that is done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Merging {
    /// It stays on the task's branch.
    #[default]
    No,
    /// It is merged, as one commit a task.
    Squash,
    /// It is merged, as the commits that the agent made.
    Keep,
}

/// `[worktrees]` of the configuration.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorktreeConfig {
    /// How many there may be, in all runs on the repository; else as many as agents work at once.
    pub max: Option<usize>,
    /// Which ignored files stay when a worktree is used for another task, as in a `.gitignore`.
    pub keep: Option<Vec<String>>,
    /// What the names of the tasks' branches begin with.
    pub prefix: Option<String>,
    /// Whether a repository with submodules will do, although they are empty in worktrees.
    pub empty_submodules: bool,
}

/// The way in which a run isolates its agents.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Isolation {
    pub(crate) isolate: Isolate,
    pub(crate) merging: Merging,
    pub(crate) target: Option<String>,
    pub(crate) expect_diff: bool,
}

impl Isolation {
    /// Flags first, then the configuration.
    pub fn new(args: &cli::Isolation, config: &Config) -> Result<Self> {
        let isolation = Self {
            isolate: args.isolate.or(config.isolate).unwrap_or_default(),
            merging: args.merge.or(config.merge).unwrap_or_default(),
            target: args.target.clone().or_else(|| config.target.clone()),
            expect_diff: args.expect_diff.or(config.expect_diff).unwrap_or_default(),
        };
        if isolation.isolate == Isolate::None && isolation.merging != Merging::No {
            return Err(Error::usage("`--merge` needs work that is apart from other work").hint(
                "add `--isolate worktree`, or `isolate = \"worktree\"` in agent-runner.toml",
            ));
        }
        Ok(isolation)
    }

    /// Opens the worktrees, if there are to be any.
    pub(crate) fn open(&self, project: &Project) -> Result<Option<Worktrees>> {
        if self.isolate == Isolate::None {
            return Ok(None);
        }
        let worktrees = open(project, |mut builder| {
            if let Some(target) = &self.target {
                builder = builder.target(target);
            }
            builder.history(match self.merging {
                Merging::Keep => History::Keep,
                _ => History::Squash,
            })
        })?;
        if self.merging != Merging::No && worktrees.target().is_none() {
            return Err(Error::invalid("no branch is checked out, so there is none to merge into")
                .hint("name it: `--target main`"));
        }
        Ok(Some(worktrees))
    }

    /// Looks at the project's folder where its changes are to be seen.
    pub(crate) fn watch(&self, project: &Project) -> Result<Option<Watched>> {
        if self.isolate == Isolate::Worktree || !self.expect_diff {
            return Ok(None);
        }
        Watched::open(&project.root).map(Some).map_err(|error| refused(error, "--expect-diff"))
    }

    /// What people are told of it; nothing if agents work as they always did.
    pub(crate) fn in_words(&self) -> Option<String> {
        if self.isolate == Isolate::None {
            return None;
        }
        let target = self.target.as_deref().unwrap_or("the branch that is checked out");
        Some(match self.merging {
            Merging::No => "each in a worktree, on a branch of its own".to_owned(),
            Merging::Squash => format!("each in a worktree, merged into {target} as one commit"),
            Merging::Keep => format!("each in a worktree, its commits merged into {target}"),
        })
    }
}

/// Opens the worktrees of a project, as its configuration wants them.
pub(crate) fn open(project: &Project, more: impl FnOnce(Builder) -> Builder) -> Result<Worktrees> {
    let config = &project.config.worktrees;
    // A new one is made only when all others are in use: as many as there are agents at once.
    let mut builder = Worktrees::builder(&project.root).max(config.max.unwrap_or(usize::MAX));
    if let Some(patterns) = &config.keep {
        builder = builder.ignored(Ignored::KeepOnly(patterns.clone()));
    }
    if let Some(prefix) = &config.prefix {
        builder = builder.prefix(prefix);
    }
    if config.empty_submodules {
        builder = builder.submodules(Submodules::LeaveEmpty);
    }
    more(builder).open().map_err(|error| refused(error, "--isolate worktree"))
}

/// Why it cannot be had, and what to do.
pub(crate) fn refused(error: OpenError, wanted_by: &str) -> Error {
    let hint = match &error {
        OpenError::NoRepository { .. } => Some(
            "make one: `git init && git add -A && git commit -m begin`; or name another folder with `-C DIR`",
        ),
        OpenError::Submodules { .. } => {
            Some("`[worktrees] empty_submodules = true` in agent-runner.toml allows it")
        }
        OpenError::BranchInTheWay { .. } | OpenError::Prefix { .. } => {
            Some("`[worktrees] prefix = \"…\"` in agent-runner.toml chooses another")
        }
        OpenError::NoBranch { .. } => Some("`git branch` lists them"),
        _ => None,
    };
    let error = anyhow::Error::new(error).context(format!("`{wanted_by}` cannot be had"));
    let error = Error::new(Exit::Invalid, error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// `merge` in the configuration: `true`, `false`, or how.
pub(crate) fn merging<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Merging>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Bool(bool),
        Text(String),
    }
    match Written::deserialize(from)? {
        Written::Bool(true) => Ok(Some(Merging::Squash)),
        Written::Bool(false) => Ok(Some(Merging::No)),
        Written::Text(how) => Merging::from_str(&how, false).map(Some).map_err(|_| {
            D::Error::custom(format!("`{how}` is no way to merge: it is `squash`, `keep` or `no`"))
        }),
    }
}
