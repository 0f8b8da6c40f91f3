//! What is to be run, and within which bounds.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    Cgroups, Child, ProcessIdentity, SpawnError, Stream,
    mark::Mark,
    output::{Listener, Secrets},
    sys,
};

/// A program to run as one attempt: with its own process group, log and time limits.
///
/// Defaults: stdin is empty; the environment and the working directory are ours; no log; no secret
/// to mask; both streams are told apart; no limit of time or memory; no control group; a grace of 5 seconds.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use agent_runner_exec::{Command, End, Stop};
///
/// let child = Command::new("sh")
///     .args(["-c", "sleep 60 & echo started; wait"])
///     .timeout(Duration::from_millis(300))
///     .spawn()?;
/// let exit = child.wait(&Stop::new()).await?;
///
/// assert_eq!(exit.end, End::TimedOut);
/// assert_eq!(exit.last_line(), Some("started"));
/// assert_eq!(exit.survivors, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a command does nothing until it is spawned"]
pub struct Command {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, Option<OsString>)>,
    pub(crate) clear_environment: bool,
    pub(crate) current_dir: Option<PathBuf>,
    pub(crate) stdin: Stdin,
    pub(crate) log: Option<LogOptions>,
    pub(crate) secrets: Secrets,
    pub(crate) merge_output: bool,
    pub(crate) listener: Option<Listener>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) mark: Option<Mark>,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) cgroups: Option<Cgroups>,
}

impl Command {
    /// Names the program: a path, or a name to be found in `PATH`.
    ///
    /// The `PATH` is the child's, if [`env`](Self::env) sets one. A relative path counts from the
    /// current directory of this process, whatever [`current_dir`](Self::current_dir) says.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            environment: Vec::new(),
            clear_environment: false,
            current_dir: None,
            stdin: Stdin::Null,
            log: None,
            secrets: Secrets::default(),
            merge_output: false,
            listener: None,
            timeout: None,
            idle_timeout: None,
            grace: Duration::from_secs(5),
            mark: None,
            memory_limit: None,
            cgroups: None,
        }
    }

    /// Adds an argument. No shell looks at it.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((key.into(), Some(value.into())));
        self
    }

    /// Sets environment variables.
    pub fn envs<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let set = |(key, value): (K, V)| (key.into(), Some(value.into()));
        self.environment.extend(variables.into_iter().map(set));
        self
    }

    /// Keeps an environment variable from the child.
    pub fn env_remove(mut self, key: impl Into<OsString>) -> Self {
        self.environment.push((key.into(), None));
        self
    }

    /// Keeps environment variables from the child, such as [`PARENT_AGENT_VARIABLES`].
    ///
    /// [`PARENT_AGENT_VARIABLES`]: crate::PARENT_AGENT_VARIABLES
    pub fn envs_remove(mut self, keys: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.environment.extend(keys.into_iter().map(|key| (key.as_ref().to_owned(), None)));
        self
    }

    /// Starts from an empty environment: the child sees only what is set from here on.
    pub fn env_clear(mut self) -> Self {
        self.environment.clear();
        self.clear_environment = true;
        self
    }

    /// Sets the child's working directory.
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(dir.into());
        self
    }

    /// Sets what the child reads.
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Writes all output to a log. Without one only the [tail](crate::Exit::tail) is kept.
    pub fn log(mut self, log: LogOptions) -> Self {
        self.log = Some(log);
        self
    }

    /// Replaces these texts by `***` before anything is written or kept.
    ///
    /// Empty ones are ignored. What is masked are these very bytes: a secret that the child
    /// encodes, or prints with something in between, is not recognised.
    pub fn mask(mut self, secrets: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.secrets.extend(secrets.into_iter().map(Into::into));
        self
    }

    /// Gives the child one pipe for stdout and stderr, so that the log has what it wrote in
    /// exactly the order in which it wrote it.
    ///
    /// With two pipes, the default, the order between the streams is that in which their bytes
    /// arrived here, but each is counted for itself.
    pub fn merge_output(mut self, merge: bool) -> Self {
        self.merge_output = merge;
        self
    }

    /// Also hands every piece of output to a listener, as it comes and before anything is masked.
    ///
    /// Pieces begin and end anywhere, also within a character. The listener is called in the task
    /// that waits for the child, which hears of nothing else meanwhile: it should take microseconds.
    /// With [`merge_output`](Self::merge_output) all of it is [`Stream::Stdout`].
    pub fn listen(mut self, listener: impl FnMut(Stream, &[u8]) + Send + 'static) -> Self {
        self.listener = Some(Arc::new(Mutex::new(listener)));
        self
    }

    /// Limits how long the child may run.
    ///
    /// All times are those of a clock that nobody sets ([`Instant`](std::time::Instant)).
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Limits how long the child may be silent on both streams.
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.idle_timeout = timeout.into();
        self
    }

    /// Limits how much memory the child and all that it starts may use, in bytes.
    ///
    /// In a [control group](Self::cgroups) that can limit memory the kernel keeps the limit, exactly
    /// and at once. Elsewhere the sizes of the tree's processes are added up four times a second,
    /// memory that they share counted once, and a tree over the limit is killed: what grows by a
    /// gigabyte a second may be a quarter of it over. Both are [`End::MemoryExceeded`]. On systems
    /// other than Linux a command with a limit does not start ([`SpawnError::MemoryLimit`]).
    ///
    /// [`End::MemoryExceeded`]: crate::End::MemoryExceeded
    pub fn memory_limit(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.memory_limit = bytes.into();
        self
    }

    /// Gives the child a control group of its own at this place. Where one cannot be made, it does
    /// without.
    pub fn cgroups(mut self, cgroups: impl Into<Option<Cgroups>>) -> Self {
        self.cgroups = cgroups.into();
        self
    }

    /// Sets how long the child has between one signal and the next, harder one.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Who the child will be: its mark, with 0 for the number that it does not have yet.
    ///
    /// Kept where the next run finds it before the child is started, it lets [`end_orphan`] find
    /// one that was started by a runner which died before it could keep [`Child::identity`]. A
    /// clone that is made from here on is of the same attempt.
    ///
    /// [`end_orphan`]: crate::end_orphan
    pub fn identity(&mut self) -> ProcessIdentity {
        sys::unstarted(self.mark.get_or_insert_with(Mark::next).clone())
    }

    /// Starts the program.
    ///
    /// The call blocks its thread until the program is loaded, about half a millisecond: that is
    /// how `posix_spawn` works, and what keeps it fast in a process with a large heap. On a
    /// runtime with two threads two programs start at once.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime that has IO and time enabled.
    pub fn spawn(self) -> Result<Child, SpawnError> {
        Child::spawn(self)
    }
}

/// Shows the program but not its arguments and environment: they may hold secrets.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("args", &self.args.len())
            .field("current_dir", &self.current_dir)
            .field("log", &self.log)
            .field("timeout", &self.timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

/// What a child reads.
#[derive(Clone, Default)]
pub enum Stdin {
    /// Nothing: the end of the file, at once.
    #[default]
    Null,
    /// These bytes, then the end. A child that does not read them all is no error.
    Bytes(Vec<u8>),
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
        }
    }
}

/// Where a child's output is written, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// The file. It is created at once, with its folders; one that is there is emptied.
    pub path: PathBuf,
    /// How large it may become; 64 MiB by default.
    ///
    /// Of a longer output the beginning and the last [`tail_bytes`](Self::tail_bytes) are kept,
    /// with a line between that says how much was left out. While the child writes, the file is
    /// at most another `tail_bytes` larger.
    pub limit_bytes: u64,
    /// How much of the limit is for the end of a longer output; 1 MiB by default.
    pub tail_bytes: u64,
    /// Whether each line begins with the time at which it arrived, in UTC.
    pub timestamps: bool,
    /// Whether the file is only created with the first output, so that a child which prints nothing
    /// leaves none; `false` by default. An old file is removed at once. That it cannot be created is
    /// then told in [`Exit::log_error`](crate::Exit::log_error).
    pub late: bool,
}

impl LogOptions {
    /// A log with the default limits and no timestamps.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            limit_bytes: 64 << 20,
            tail_bytes: 1 << 20,
            timestamps: false,
            late: false,
        }
    }
}
