//! Running git, so that neither the environment nor the user's settings change what it does.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use crate::{GitError, roster::Lock, sys};

/// Variables that point git at a repository. Take them from an agent's environment, or it works in
/// another repository than its worktree's: a runner may itself be started by a git hook.
pub const REPOSITORY_VARIABLES: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// What of `GIT_*` may reach git: where its settings and programs are, and how to reach a server,
/// which a partial clone or a filter may need.
const KEPT_VARIABLES: &[&str] = &[
    "GIT_ASKPASS",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_EXEC_PATH",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
];

/// Settings that hold wherever we run git: nothing else is started, and locks are waited for.
const SETTINGS: &[(&str, &str)] = &[
    ("core.filesRefLockTimeout", "5000"),
    ("core.hooksPath", "/dev/null"),
    ("core.packedRefsTimeout", "10000"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
];

/// Settings for our own worktrees: none of the user's gets in the way, and a power cut loses no
/// commit.
const OUR_SETTINGS: &[(&str, &str)] = &[
    ("core.fsmonitor", "false"),
    ("core.fsync", "committed"),
    ("core.safecrlf", "false"),
    ("core.sparseCheckout", "false"),
    ("core.splitIndex", "false"),
    ("core.untrackedCache", "false"),
    ("merge.conflictStyle", "merge"),
    ("submodule.recurse", "false"),
    ("worktree.useRelativePaths", "false"),
];

/// Who is named in commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) email: String,
}

/// The program, and in whose name it commits.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    pub(crate) program: OsString,
    pub(crate) author: Identity,
    pub(crate) committer: Identity,
}

impl Default for Git {
    fn default() -> Self {
        let runner = Identity {
            name: "agent-runner".to_owned(),
            email: "agent-runner@localhost".to_owned(),
        };
        Self { program: "git".into(), author: runner.clone(), committer: runner }
    }
}

impl Git {
    /// A command in a working tree of the user's, which finds its repository as his would.
    pub(crate) fn at(&self, folder: &Path) -> Call {
        self.call(folder, &[])
    }

    /// A command in a repository that is known, without a working tree.
    pub(crate) fn bare(&self, git_dir: &Path) -> Call {
        self.call(git_dir, OUR_SETTINGS).env("GIT_DIR", git_dir)
    }

    /// A command in a working tree of ours, whatever its `.git` says by now.
    pub(crate) fn tree(&self, git_dir: &Path, work_tree: &Path) -> Call {
        let call = self.call(work_tree, OUR_SETTINGS);
        call.env("GIT_DIR", git_dir).env("GIT_WORK_TREE", work_tree)
    }

    fn call(&self, folder: &Path, more: &[(&str, &str)]) -> Call {
        let mut command = Command::new(&self.program);
        command.current_dir(folder);
        for (name, _) in env::vars_os() {
            if is_foreign(&name) {
                command.env_remove(name);
            }
        }
        command.env("GIT_CONFIG_COUNT", (SETTINGS.len() + more.len()).to_string());
        for (number, (key, value)) in SETTINGS.iter().chain(more).enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", &self.author.name)
            .env("GIT_AUTHOR_EMAIL", &self.author.email)
            .env("GIT_COMMITTER_NAME", &self.committer.name)
            .env("GIT_COMMITTER_EMAIL", &self.committer.email)
            .env("LC_ALL", "C")
            .env_remove("LANGUAGE");
        sys::own_group(&mut command);
        Call { command, stdin: Input::Nothing }
    }
}

fn is_foreign(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    name.starts_with("GIT_") && !KEPT_VARIABLES.contains(&name)
}

/// One command, about to be run.
#[derive(Debug)]
#[must_use = "nothing is run before one of the methods that return a result"]
pub(crate) struct Call {
    command: Command,
    stdin: Input,
}

#[derive(Debug)]
enum Input {
    Nothing,
    Bytes(Vec<u8>),
    /// A lock that git holds as its standard input as long as it runs, also when we are killed.
    Lock(File),
}

/// What a command said, whether it liked it or not.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Call {
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Input::Bytes(bytes.into());
        self
    }

    /// Passes a lock on to git.
    pub(crate) fn hold(mut self, lock: &Lock) -> Self {
        if let Ok(lock) = lock.0.try_clone() {
            self.stdin = Input::Lock(lock);
        }
        self
    }

    /// Runs it, for its effect.
    pub(crate) fn run(self) -> Result<(), GitError> {
        self.output().map(drop)
    }

    /// Runs it, for what it prints.
    pub(crate) fn output(self) -> Result<Vec<u8>, GitError> {
        let name = self.name();
        let said = self.said()?;
        if said.code == Some(0) { Ok(said.stdout) } else { Err(said.into_error(name)) }
    }

    /// Runs it, for the one line that it prints.
    pub(crate) fn line(self) -> Result<String, GitError> {
        let output = String::from_utf8_lossy(&self.output()?).into_owned();
        Ok(output.strip_suffix('\n').map_or(output.clone(), str::to_owned))
    }

    /// Runs it, for the path that it prints.
    pub(crate) fn path(self) -> Result<PathBuf, GitError> {
        let mut output = self.output()?;
        if output.last() == Some(&b'\n') {
            output.pop();
        }
        Ok(sys::os_string(output).into())
    }

    /// Runs it, for a yes or a no (exit code 1).
    pub(crate) fn test(self) -> Result<bool, GitError> {
        let name = self.name();
        let said = self.said()?;
        match said.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(said.into_error(name)),
        }
    }

    /// Runs it, for the one line that it prints if it has an answer; exit code 1 is none.
    pub(crate) fn answer(self) -> Result<Option<String>, GitError> {
        let name = self.name();
        let said = self.said()?;
        match said.code {
            Some(0) => Ok(Some(String::from_utf8_lossy(&said.stdout).trim_end().to_owned())),
            Some(1) => Ok(None),
            _ => Err(said.into_error(name)),
        }
    }

    /// Runs it, for all that it says.
    pub(crate) fn said(self) -> Result<Said, GitError> {
        let Self { mut command, stdin } = self;
        let program = command.get_program().to_owned();
        let failed = |source| GitError::Start { program: program.clone(), source };
        let (stdin, bytes) = match stdin {
            Input::Nothing => (Stdio::null(), None),
            Input::Bytes(bytes) => (Stdio::piped(), Some(bytes)),
            Input::Lock(lock) => (Stdio::from(lock), None),
        };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let pipe = child.stdin.take().zip(bytes);
        // From a thread of its own, because git may print before it has read everything.
        let output = thread::scope(|scope| {
            if let Some((mut pipe, bytes)) = pipe {
                scope.spawn(move || pipe.write_all(&bytes));
            }
            child.wait_with_output()
        });
        let output: std::process::Output = output.map_err(failed)?;
        Ok(Said {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
        })
    }

    /// The command as a person would write it.
    fn name(&self) -> String {
        let args = self.command.get_args().map(OsStr::to_string_lossy);
        args.fold("git".to_owned(), |line, arg| line + " " + &arg)
    }
}

impl Said {
    pub(crate) fn into_error(self, command: impl Into<String>) -> GitError {
        let command = command.into();
        GitError::Failed { command, code: self.code, message: self.stderr }
    }
}

/// Whether an error of the system means that there is nothing.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The parts of an output that is separated by zero bytes.
pub(crate) fn fields(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    let output = output.strip_suffix(b"\0").unwrap_or(output);
    let count = if output.is_empty() { 0 } else { usize::MAX };
    output.split(|byte| *byte == 0).take(count)
}
