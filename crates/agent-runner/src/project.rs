//! Where things are: the project's folder, its state, its store and its locks.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use agent_runner_lock::{LockDir, paths_overlap};
use agent_runner_task_store::{MemoryStore, SqliteOptions, TaskId, TaskStore};

use crate::{
    cli::Global,
    config::{self, Config},
    error::{Error, OrExit, Result},
};

const STATE: &str = ".agent-runner";

/// A project: a folder with a configuration and a state folder, either of which may be missing.
#[derive(Debug, Clone)]
pub struct Project {
    /// Where agents work.
    pub root: PathBuf,
    /// What its configuration says.
    pub config: Config,
    /// Where its configuration was read.
    pub config_path: Option<PathBuf>,
    store: StoreUrl,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum StoreUrl {
    Sqlite(PathBuf),
    Memory,
}

impl Project {
    /// A project without a configuration in a folder, with a store of its own.
    pub fn at(root: &Path, config: Config) -> Self {
        let store = StoreUrl::Sqlite(root.join(STATE).join("store.db"));
        Self { root: root.to_owned(), config, config_path: None, store }
    }

    /// Finds the project that the options and the current folder mean.
    pub fn find(global: &Global) -> Result<Self> {
        let folder =
            env::current_dir().or_invalid(|| "could not find the current folder".into())?;
        let config_path = match &global.config {
            Some(path) => Some(folder.join(path)),
            None if global.no_config => None,
            None => config::find(&folder),
        };
        let config = config_path.as_deref().map(Config::read).transpose()?.unwrap_or_default();
        let beside =
            config_path.as_deref().filter(|_| global.config.is_none()).and_then(Path::parent);
        let root = match beside {
            Some(folder) => folder.to_owned(),
            None => config::upward(&folder)
                .find(|folder| has_state(folder))
                .unwrap_or(&folder)
                .to_owned(),
        };
        let store = match global.store.as_deref().or(config.store.as_deref()) {
            Some(url) => StoreUrl::parse(url, &root)?,
            None => StoreUrl::Sqlite(root.join(STATE).join("store.db")),
        };
        Ok(Self { root, config, config_path, store })
    }

    /// The state folder.
    pub fn state(&self) -> PathBuf {
        self.root.join(STATE)
    }

    /// The store as a URL that names it from any folder.
    pub fn store_url(&self) -> String {
        match &self.store {
            StoreUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
            StoreUrl::Memory => "memory:".into(),
        }
    }

    /// Opens the store, making it and the state folder if they are not there.
    pub fn open_store(&self) -> Result<Arc<dyn TaskStore>> {
        self.make_state()?;
        match &self.store {
            StoreUrl::Sqlite(path) => {
                let options = SqliteOptions::new().overlap(paths_overlap);
                Ok(Arc::new(options.open(path)?))
            }
            StoreUrl::Memory => Ok(Arc::new(MemoryStore::new().overlap(paths_overlap))),
        }
    }

    /// Whether there is a store already.
    pub fn has_store(&self) -> bool {
        matches!(&self.store, StoreUrl::Sqlite(path) if path.exists())
    }

    /// Opens the store if there is one; for commands that only look.
    pub fn existing_store(&self) -> Result<Arc<dyn TaskStore>> {
        match &self.store {
            StoreUrl::Sqlite(path) if !path.exists() => Err(Error::invalid(format!(
                "there is no task store at '{}'",
                path.display()
            ))
            .hint(
                "`agent-runner add` or `agent-runner import` makes one; `-C DIR` looks elsewhere",
            )),
            _ => self.open_store(),
        }
    }

    /// The folder of the task locks. It goes with the store, so that all who share one share the
    /// other.
    pub fn lock_folder(&self) -> PathBuf {
        match &self.store {
            StoreUrl::Sqlite(path) if path.ends_with(Path::new(STATE).join("store.db")) => {
                path.with_file_name("locks")
            }
            StoreUrl::Sqlite(path) => {
                let mut name = path.as_os_str().to_owned();
                name.push(".locks");
                name.into()
            }
            StoreUrl::Memory => self.state().join("locks"),
        }
    }

    /// Opens the folder of the task locks.
    pub fn open_locks(&self, holder: &str) -> Result<LockDir> {
        open_lock_folder(&self.lock_folder(), holder)
    }

    /// Opens the folder of the locks that runs hold as long as they live.
    pub fn open_run_locks(&self, holder: &str) -> Result<LockDir> {
        open_lock_folder(&self.lock_folder().join("runs"), holder)
    }

    /// The folder of a task's logs.
    pub fn log_folder(&self, task: &TaskId) -> PathBuf {
        self.state().join("logs").join(file_name(task))
    }

    /// Makes the state folder, which git ignores, if it is not there.
    pub fn make_state(&self) -> Result<()> {
        let state = self.state();
        let ignore = state.join(".gitignore");
        if ignore.exists() {
            return Ok(());
        }
        fs::create_dir_all(&state)
            .and_then(|()| fs::write(&ignore, "*\n"))
            .or_invalid(|| format!("could not make state folder '{}'", state.display()))
            .map_err(|error| error.hint("`-C DIR` works in another folder"))
    }
}

impl StoreUrl {
    fn parse(url: &str, root: &Path) -> Result<Self> {
        match url.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => {
                Ok(Self::Sqlite(root.join(path.strip_prefix("//").unwrap_or(path))))
            }
            Some(("memory", "")) => Ok(Self::Memory),
            _ => Err(Error::usage(format!(
                "store '{}' is not one that this build knows",
                hide_password(url)
            ))
            .hint("write `sqlite:PATH` or `memory:`")),
        }
    }
}

/// Whether a folder has a state folder that is more than a place for worktrees: those are at the top
/// of the repository, whatever folder the project is in.
fn has_state(folder: &Path) -> bool {
    let entries = fs::read_dir(folder.join(STATE)).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name() != "worktrees")
}

/// A task's id as the name of a folder: itself where that is safe, else a readable part and a hash.
pub fn file_name(task: &TaskId) -> String {
    let id = task.as_str();
    let safe =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if id.len() <= 100 && id.chars().all(safe) && !id.starts_with('.') && !id.ends_with('.') {
        return id.to_owned();
    }
    let readable: String = id.chars().take(40).map(|c| if safe(c) { c } else { '_' }).collect();
    let hash = blake3::hash(id.as_bytes()).to_hex();
    format!("{}~{}", readable.trim_matches('.'), &hash[..16])
}

fn open_lock_folder(folder: &Path, holder: &str) -> Result<LockDir> {
    LockDir::builder(folder)
        .holder_id(holder)
        .open()
        .or_invalid(|| format!("could not open lock folder '{}'", folder.display()))
}

fn hide_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 < at => {
            format!("{}…{}", &url[..scheme + 3], &url[at..])
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_log_folder_stays_inside_and_is_unique(a in "\\PC{1,60}", b in "\\PC{1,60}") {
            let (Ok(a), Ok(b)) = (TaskId::new(a), TaskId::new(b)) else { return Ok(()) };
            let name = file_name(&a);
            prop_assert!(!name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0']));
            prop_assert_eq!(a == b, name.to_lowercase() == file_name(&b).to_lowercase());
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(hide_password("postgres://me:secret@db/agents"), "postgres://…@db/agents");
    }

    #[test]
    fn locks_go_with_the_store() {
        let project = |url: &str| Project {
            root: "/p".into(),
            config: Config::default(),
            config_path: None,
            store: StoreUrl::parse(url, Path::new("/p")).unwrap(),
        };
        assert_eq!(
            project("sqlite:.agent-runner/store.db").lock_folder(),
            Path::new("/p/.agent-runner/locks")
        );
        assert_eq!(project("sqlite:/tmp/x.db").lock_folder(), Path::new("/tmp/x.db.locks"));
    }
}
