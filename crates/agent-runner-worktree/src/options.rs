//! How to open the worktrees of a repository, and what is refused.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    OpenError, Worktrees,
    git::{Git, Identity, fields},
    merge::History,
    name::Names,
    repository::{Repository, commit_in},
    roster::Roster,
    sys,
    worktrees::Inner,
};

/// Older versions cannot merge without a working tree.
const NEEDED: (u32, u32) = (2, 38);

/// What becomes of ignored files when a worktree is used for another task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// All stay: the fastest, but what one task left can change what another sees.
    Keep,
    /// Those that match one of these patterns stay, the others are removed. The patterns are those
    /// of a `.gitignore`.
    KeepOnly(Vec<String>),
}

impl Default for Ignored {
    fn default() -> Self {
        let caches = ["target/", "node_modules/", ".venv/", "venv/", ".gradle/", ".tox/"];
        Self::KeepOnly(caches.map(str::to_owned).to_vec())
    }
}

/// What to do with a repository that has submodules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Submodules {
    /// It is refused.
    #[default]
    Refuse,
    /// They are empty folders, until a task's set-up fills them. Commits made in them are not kept.
    LeaveEmpty,
}

/// How to open [`Worktrees`].
///
/// | option | default |
/// |---|---|
/// | [`folder`](Self::folder) | `.agent-runner/worktrees` in the main working tree |
/// | [`max`](Self::max) | 16 |
/// | [`target`](Self::target) | the branch that is checked out in the main working tree |
/// | [`prefix`](Self::prefix) | `agent-runner` |
/// | [`ignored`](Self::ignored) | `target/`, `node_modules/`, `.venv/`, `venv/`, `.gradle/`, `.tox/` stay |
/// | [`history`](Self::history) | one commit a task |
/// | [`submodules`](Self::submodules) | refused |
/// | [`largest_file`](Self::largest_file) | 100 MiB |
/// | [`author`](Self::author), [`committer`](Self::committer) | `agent-runner <agent-runner@localhost>` |
/// | [`git`](Self::git) | `git` |
#[derive(Debug, Clone)]
#[must_use = "nothing is opened before `open`"]
pub struct Builder {
    repository: PathBuf,
    folder: Option<PathBuf>,
    max: usize,
    target: Option<String>,
    prefix: String,
    ignored: Ignored,
    history: History,
    submodules: Submodules,
    largest_file: u64,
    git: Git,
}

impl Builder {
    pub(crate) fn new(repository: PathBuf) -> Self {
        Self {
            repository,
            folder: None,
            max: 16,
            target: None,
            prefix: "agent-runner".to_owned(),
            ignored: Ignored::default(),
            history: History::Squash,
            submodules: Submodules::Refuse,
            largest_file: 100 << 20,
            git: Git::default(),
        }
    }

    /// Where the worktrees are, best on the repository's file system. Not in `.git`: many tools
    /// skip what is there, and some agents may not write there.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// How many worktrees there are at most, in all processes together.
    pub fn max(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    /// The branch that work begins at, is compared with, and is merged into.
    pub fn target(mut self, branch: impl Into<String>) -> Self {
        self.target = Some(branch.into());
        self
    }

    /// What the names of branches and other refs begin with.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// What becomes of ignored files when a worktree is used again.
    pub fn ignored(mut self, ignored: Ignored) -> Self {
        self.ignored = ignored;
        self
    }

    /// What a task's work becomes when it is merged.
    pub fn history(mut self, history: History) -> Self {
        self.history = history;
        self
    }

    /// What to do with submodules.
    pub fn submodules(mut self, submodules: Submodules) -> Self {
        self.submodules = submodules;
        self
    }

    /// The size in bytes up to which a new file is kept in a checkpoint. A core dump is not work.
    pub fn largest_file(mut self, bytes: u64) -> Self {
        self.largest_file = bytes;
        self
    }

    /// Who is the author of what agents leave uncommitted, and of what is merged.
    pub fn author(mut self, name: impl Into<String>, email: impl Into<String>) -> Self {
        self.git.author = Identity { name: name.into(), email: email.into() };
        self
    }

    /// Who commits it.
    pub fn committer(mut self, name: impl Into<String>, email: impl Into<String>) -> Self {
        self.git.committer = Identity { name: name.into(), email: email.into() };
        self
    }

    /// The program.
    pub fn git(mut self, program: impl Into<OsString>) -> Self {
        self.git.program = program.into();
        self
    }

    /// Finds the repository, checks that worktrees can be had of it, and makes their folder.
    ///
    /// # Errors
    ///
    /// Says what is in the way, and what to do about it; see [`OpenError`].
    pub fn open(self) -> Result<Worktrees, OpenError> {
        if self.max == 0 {
            return Err(OpenError::EmptyPool);
        }
        self.check_version()?;
        let git = &self.git;
        let path = &self.repository;
        let common = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
        let first = |error| OpenError::of_first(error, path);
        let common = git.at(path).args(common).path().map_err(first)?;
        let common = fs::canonicalize(&common).map_err(io_error(&common))?;
        if commit_in(git.at(path), "HEAD")?.is_none() && self.target.is_none() {
            return Err(OpenError::NoCommit { path: path.clone() });
        }

        let folds = git.at(path).args(["config", "--type=bool", "core.ignoreCase"]).answer()?;
        let names = Names { prefix: self.prefix.clone(), folds: folds.as_deref() == Some("true") };
        let repo = Repository { git: git.clone(), common, names };
        self.check_prefix(&repo)?;
        let target = self.find_target(&repo)?;
        self.check_submodules(&repo, target.as_deref().unwrap_or("HEAD"))?;

        let roster = self.make_folders(&repo)?;
        let prefix = git.at(path).args(["rev-parse", "--show-prefix"]).path()?;
        let head = commit_in(git.at(path), "HEAD")?;
        let (ignored, history, largest_file) = (self.ignored, self.history, self.largest_file);
        let max = self.max;
        let inner =
            Inner { repo, prefix, roster, target, head, max, ignored, history, largest_file };
        Ok(Worktrees { inner: Arc::new(inner) })
    }

    fn check_version(&self) -> Result<(), OpenError> {
        let says = self.git.at(Path::new(".")).args(["--version"]).line()?;
        let found = says.split(' ').nth(2).unwrap_or("of an unknown version");
        let mut numbers = found.split('.').map(|number| number.parse::<u32>().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) if (major, minor) >= NEEDED => Ok(()),
            _ => Err(OpenError::Version { found: found.to_owned(), needed: "2.38" }),
        }
    }

    fn check_prefix(&self, repo: &Repository) -> Result<(), OpenError> {
        let example = repo.names.branch("1");
        if !repo.git().args(["check-ref-format", &example]).test()? {
            return Err(OpenError::Prefix { prefix: self.prefix.clone() });
        }
        for (end, _) in self.prefix.match_indices('/').chain([(self.prefix.len(), "")]) {
            let branch = &self.prefix[..end];
            if repo.commit(&format!("refs/heads/{branch}"))?.is_some() {
                let (branch, prefix) = (branch.to_owned(), self.prefix.clone());
                return Err(OpenError::BranchInTheWay { branch, prefix });
            }
        }
        Ok(())
    }

    /// The full name of the target, if there is one.
    fn find_target(&self, repo: &Repository) -> Result<Option<String>, OpenError> {
        let Some(branch) = &self.target else {
            let head = ["symbolic-ref", "--quiet", "HEAD"];
            return Ok(self.git.at(&self.repository).args(head).answer()?);
        };
        let name = format!("refs/heads/{}", branch.strip_prefix("refs/heads/").unwrap_or(branch));
        match repo.commit(&name)? {
            Some(_) => Ok(Some(name)),
            None => {
                Err(OpenError::NoBranch { branch: branch.clone(), path: self.repository.clone() })
            }
        }
    }

    fn check_submodules(&self, repo: &Repository, commit: &str) -> Result<(), OpenError> {
        if self.submodules == Submodules::LeaveEmpty {
            return Ok(());
        }
        let listed = ["cat-file", "-e", &format!("{commit}:.gitmodules")];
        // Without that file a link to a commit is no submodule that anybody could fill.
        if repo.git().args(listed).said()?.code != Some(0) {
            return Ok(());
        }
        let entries = repo.git().args(["ls-tree", "-r", "-z", commit]).output()?;
        let link = fields(&entries).find(|entry| entry.starts_with(b"160000 "));
        let Some(name) = link.and_then(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1))
        else {
            return Ok(());
        };
        let submodule = sys::os_string(name.to_vec()).into();
        Err(OpenError::Submodules { path: self.repository.clone(), submodule })
    }

    fn make_folders(&self, repo: &Repository) -> Result<Roster, OpenError> {
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => match repo.main_checkout()? {
                Some(main) => main.join(".agent-runner").join("worktrees"),
                None => repo.common.join("agent-runner").join("worktrees"),
            },
        };
        let state = repo.common.join("agent-runner");
        for path in [&folder, &state.join("slots")] {
            fs::create_dir_all(path).map_err(io_error(path))?;
        }
        let folder = fs::canonicalize(&folder).map_err(io_error(&folder))?;
        let ignore = folder.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(io_error(&ignore))?;
        }
        Ok(Roster { state, folder })
    }
}

pub(crate) fn io_error(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> OpenError {
    |source| OpenError::Io { path: path.into(), source }
}
