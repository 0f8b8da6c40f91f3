//! A repository in a folder of its own, with settings of its own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use agent_runner_worktree::{
    Attempt, Builder, Candidate, Checkpoint, Merge, Merged, Start, Worktree, Worktrees,
};
use tempfile::TempDir;

/// A folder that is removed at the end, with a repository, and a git that reads no settings but
/// those in it.
pub(crate) struct Sandbox {
    folder: TempDir,
    pub(crate) repo: PathBuf,
}

impl Sandbox {
    /// A repository on branch `main` with one commit: `README` and a `.gitignore` of `target/`,
    /// `*.log`.
    pub(crate) fn new() -> Self {
        Self::named("repo")
    }

    /// The same in a folder of another name.
    pub(crate) fn named(name: &str) -> Self {
        let sandbox = Self::empty(name);
        fs::write(sandbox.repo.join("README"), "one\ntwo\nthree\n").unwrap();
        fs::write(sandbox.repo.join(".gitignore"), "target/\n*.log\n").unwrap();
        sandbox.commit("begin");
        sandbox
    }

    /// A repository without a commit.
    pub(crate) fn empty(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join(name);
        fs::create_dir_all(&repo).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/hermetic-git");
        std::os::unix::fs::symlink(script, folder.path().join("git")).unwrap();
        let sandbox = Self { folder, repo };
        sandbox.settings("");
        sandbox.git(&["init", "--quiet", "--initial-branch=main"]);
        sandbox
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.folder.path().join("git")
    }

    /// Sets the user's settings to these, and who he is.
    pub(crate) fn settings(&self, text: &str) {
        let user = "[user]\nname = User\nemail = user@example.com\n";
        fs::write(self.folder.path().join("gitconfig"), format!("{user}{text}")).unwrap();
    }

    pub(crate) fn builder(&self) -> Builder {
        Worktrees::builder(&self.repo).git(self.program())
    }

    pub(crate) fn open(&self) -> Worktrees {
        self.builder().open().unwrap()
    }

    /// Runs git in the repository and returns what it says, without the newline at the end.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.git_at(&self.repo, args)
    }

    pub(crate) fn git_at(&self, folder: &Path, args: &[&str]) -> String {
        let (ok, text) = self.try_git(folder, args);
        assert!(ok, "git {args:?}: {text}");
        text
    }

    pub(crate) fn try_git(&self, folder: &Path, args: &[&str]) -> (bool, String) {
        let mut command = Command::new(self.program());
        for (name, _) in
            env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_"))
        {
            command.env_remove(name);
        }
        let output = command.current_dir(folder).args(args).output().unwrap();
        let text = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8_lossy(&text).trim_end().to_owned())
    }

    /// Commits all that lies in the main working tree.
    pub(crate) fn commit(&self, message: &str) {
        commit(self, &self.repo, message);
    }

    /// A file as it is on a branch or in a commit.
    pub(crate) fn show(&self, commit: &str, file: &str) -> String {
        self.git(&["show", &format!("{commit}:{file}")])
    }
}

pub(crate) fn commit(sandbox: &Sandbox, folder: &Path, message: &str) {
    sandbox.git_at(folder, &["add", "-A"]);
    sandbox.git_at(folder, &["commit", "--quiet", "-m", message]);
}

pub(crate) fn acquire(worktrees: &Worktrees, task: &str, attempt: u32) -> Worktree {
    acquire_from(worktrees, task, attempt, Start::Warm)
}

pub(crate) fn acquire_from(
    worktrees: &Worktrees,
    task: &str,
    attempt: u32,
    start: Start,
) -> Worktree {
    let attempt = Attempt::new(task, attempt).title(format!("Do {task}"));
    let acquired = worktrees.acquire(&attempt, start).unwrap();
    let said = format!("{acquired:?}");
    acquired.ready().unwrap_or_else(|| panic!("{said}"))
}

pub(crate) fn write(worktree: &Worktree, file: &str, text: &str) {
    let path = worktree.path().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// One whole task: writes a file, saves, merges without a check, gives the worktree back.
pub(crate) fn do_task(worktrees: &Worktrees, task: &str, file: &str, text: &str) -> Merge<String> {
    let mut worktree = acquire(worktrees, task, 1);
    write(&worktree, file, text);
    let checkpoint = worktree.checkpoint().unwrap();
    let merge = worktree.merge(&checkpoint, |_| Ok(())).unwrap();
    worktree.release().unwrap();
    merge
}

pub(crate) fn merge(worktree: &mut Worktree, checkpoint: &Checkpoint) -> Merge<String> {
    worktree.merge(checkpoint, |_: &Candidate<'_>| Ok(())).unwrap()
}

pub(crate) fn merged<E: std::fmt::Debug>(merge: Merge<E>) -> Merged {
    match merge {
        Merge::Merged(merged) => merged,
        other => panic!("{other:?}"),
    }
}
