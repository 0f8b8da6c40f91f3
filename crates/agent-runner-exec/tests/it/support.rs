//! What the tests share.

use std::{
    env,
    error::Error,
    fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use agent_runner_exec::{Child, Command, Exit, Stop, StopLevel};
use tempfile::TempDir;

pub(crate) type TestResult = Result<(), Box<dyn Error>>;

/// Far longer than a test takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);
pub(crate) const SHORT: Duration = Duration::from_millis(200);

/// A folder, and a tag that every process started in it carries in its environment.
pub(crate) struct Yard {
    folder: TempDir,
    tag: String,
}

impl Yard {
    pub(crate) fn new() -> Self {
        static YARDS: AtomicU32 = AtomicU32::new(0);
        let tag = format!("{}-{}", process::id(), YARDS.fetch_add(1, Ordering::Relaxed));
        let yard = Self { folder: TempDir::new().unwrap(), tag };
        let made = process::Command::new("mkfifo").arg(yard.path("ready")).status().unwrap();
        assert!(made.success());
        yard
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A shell script that runs here. It says that it is ready by `echo > ready`.
    pub(crate) fn sh(&self, script: &str) -> Command {
        Command::new("sh")
            .args(["-c", script])
            .current_dir(self.folder.path())
            .env("YARD", &self.tag)
            .timeout(LONG)
            .grace(SHORT)
    }

    /// Waits until a script has written to `ready`.
    pub(crate) async fn ready(&self) {
        let fifo = self.path("ready");
        tokio::task::spawn_blocking(|| fs::read(fifo)).await.unwrap().unwrap();
    }

    /// Starts the script, waits until it is ready, raises `level`, and waits for its end.
    pub(crate) async fn stop_when_ready(
        &self,
        script: &str,
        level: StopLevel,
    ) -> Result<Exit, Box<dyn Error>> {
        let stop = Stop::new();
        let child = self.sh(script).spawn()?;
        let raise = async {
            self.ready().await;
            stop.raise(level);
        };
        let (exit, ()) = tokio::join!(child.wait(&stop), raise);
        Ok(exit?)
    }

    /// The living processes that were started here.
    pub(crate) fn living(&self) -> Vec<String> {
        let tag = format!("YARD={}", self.tag);
        let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let is_ours = |environ: &[u8]| environ.split(|&b| b == 0).any(|v| v == tag.as_bytes());
        entries
            .filter(|path| fs::read(path.join("environ")).is_ok_and(|environ| is_ours(&environ)))
            .map(|path| {
                let command = fs::read(path.join("cmdline")).unwrap_or_default();
                let command = String::from_utf8_lossy(&command).replace('\0', " ");
                format!("{} {command}", path.display())
            })
            .collect()
    }

    /// Asserts that nothing that was started here is left.
    #[track_caller]
    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.living(), Vec::<String>::new(), "an attempt leaves no process behind");
    }

    /// Asserts the same of an exit's own word.
    #[track_caller]
    pub(crate) fn assert_swept(&self, exit: &Exit) {
        assert_eq!(exit.survivors, 0, "{exit:?}");
        self.assert_empty();
    }
}

pub(crate) async fn wait(child: Child) -> Exit {
    child.wait(&Stop::new()).await.expect("its status can be learned")
}

/// This test program in another role: see `roles.rs`.
pub(crate) fn in_role(role: &str) -> process::Command {
    let mut command = process::Command::new(env::current_exe().unwrap());
    command.args(["--exact", "roles::play", "--nocapture", "--quiet"]).env("PLAY_ROLE", role);
    command
}
