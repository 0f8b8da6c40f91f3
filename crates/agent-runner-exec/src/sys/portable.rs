//! Systems other than Linux: what tokio gives, and signals to the group where there are groups.
//!
//! Nothing is proven about a process here, strays are not found, and the two pipes are not merged.

use std::{io, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{self, ChildStderr, ChildStdin, ChildStdout},
    sync::Mutex,
};

use super::Status;
use crate::{
    CgroupError, Ended, ProcessIdentity, StopLevel,
    mark::Mark,
    output::{Output, READ_LEN, Stream},
};

pub(crate) struct Spawned {
    pub(crate) leader: Leader,
    pub(crate) pipes: Pipes,
    pub(crate) feed: Option<Feed>,
}

pub(crate) fn spawn(
    command: std::process::Command,
    _merge_output: bool,
    stdin: Option<Vec<u8>>,
) -> io::Result<Spawned> {
    let mut command = process::Command::from(command);
    #[cfg(unix)]
    command.process_group(0);
    command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let id = child.id().ok_or_else(|| io::Error::other("the child has no number"))?;
    let pipes = Pipes {
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
        stdout_room: vec![0; READ_LEN],
        stderr_room: vec![0; READ_LEN],
    };
    let feed = child.stdin.take().zip(stdin);
    let feed = feed.map(|(pipe, bytes)| Feed { pipe: Some(pipe), bytes, written: 0 });
    Ok(Spawned { leader: Leader { id, child: Mutex::new(child) }, pipes, feed })
}

pub(crate) struct Leader {
    id: u32,
    child: Mutex<process::Child>,
}

impl Leader {
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn pid(&self) -> u32 {
        self.id
    }

    /// Not known here.
    #[expect(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn cpu(&self) {}

    /// Here the dead are reaped at once, so the group's number is only as good as its members.
    pub(crate) async fn dead(&self) -> io::Result<()> {
        self.child.lock().await.wait().await.map(drop)
    }

    pub(crate) fn is_dead(&self) -> bool {
        !matches!(self.reap(), Ok(None))
    }

    pub(crate) fn reap(&self) -> io::Result<Option<Status>> {
        let Ok(mut child) = self.child.try_lock() else { return Ok(None) };
        Ok(child.try_wait()?.map(status))
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, level: StopLevel) {
        use rustix::process::{Signal, kill_process_group};
        let Some(group) = group(self.id) else { return };
        let signal = match level {
            StopLevel::Interrupt => Signal::INT,
            StopLevel::Terminate => Signal::TERM,
            StopLevel::Kill => Signal::KILL,
        };
        _ = kill_process_group(group, signal);
        _ = kill_process_group(group, Signal::CONT);
    }

    /// There is no asking: every level ends the child, and the child alone.
    #[cfg(not(unix))]
    pub(crate) fn signal(&self, _level: StopLevel) {
        if let Ok(mut child) = self.child.try_lock() {
            drop(child.start_kill());
        }
    }
}

fn status(status: std::process::ExitStatus) -> Status {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Status::Signaled(signal);
    }
    Status::Exited(status.code().unwrap_or(-1))
}

pub(crate) struct Pipes {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    stdout_room: Vec<u8>,
    stderr_room: Vec<u8>,
}

impl Pipes {
    pub(crate) fn are_open(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }

    pub(crate) async fn read(&mut self, output: &mut Output) {
        let (stream, len) = tokio::select! {
            len = read(self.stdout.as_mut(), &mut self.stdout_room) => (Stream::Stdout, len),
            len = read(self.stderr.as_mut(), &mut self.stderr_room) => (Stream::Stderr, len),
        };
        let room = match stream {
            Stream::Stdout => &self.stdout_room,
            Stream::Stderr => &self.stderr_room,
        };
        let taken = output.take(stream, |to| {
            to[..len].copy_from_slice(&room[..len]);
            Ok::<_, io::Error>(len)
        });
        if matches!(taken, Ok(0) | Err(_)) {
            match stream {
                Stream::Stdout => self.stdout = None,
                Stream::Stderr => self.stderr = None,
            }
        }
    }

    /// What is still there comes with the next [`read`](Self::read).
    #[expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "as on Linux")]
    pub(crate) fn drain(&mut self, _output: &mut Output) {}
}

async fn read(pipe: Option<&mut (impl AsyncRead + Unpin)>, room: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(room).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

pub(crate) struct Feed {
    pipe: Option<ChildStdin>,
    bytes: Vec<u8>,
    written: usize,
}

impl Feed {
    pub(crate) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    pub(crate) async fn proceed(&mut self) {
        let Some(pipe) = &mut self.pipe else { return std::future::pending().await };
        let rest = &self.bytes[self.written..];
        match pipe.write(rest).await {
            Ok(len @ 1..) if len < rest.len() => self.written += len,
            _ => self.pipe = None,
        }
    }
}

/// There are no control groups here.
#[derive(Debug, Clone)]
pub(crate) enum Place {}

impl Place {
    pub(crate) fn find() -> Result<Self, CgroupError> {
        Err(CgroupError::NotMounted)
    }

    pub(crate) fn folder(&self) -> &Path {
        match *self {}
    }

    pub(crate) fn sweep(&self) {
        match *self {}
    }

    pub(crate) fn has_memory(&self) -> bool {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum Group {}

impl Group {
    pub(crate) fn create(place: &Place, _mark: &Mark, _memory: Option<u64>) -> Option<Self> {
        match *place {}
    }

    pub(crate) fn limits_memory(&self) -> bool {
        match *self {}
    }

    pub(crate) fn take_in(&self, _leader: u32) {
        match *self {}
    }

    pub(crate) fn kill(&self) {
        match *self {}
    }

    pub(crate) fn living(&self) -> Vec<u32> {
        match *self {}
    }

    pub(crate) fn cpu(&self) -> Option<(Duration, Duration)> {
        match *self {}
    }

    pub(crate) fn peak_memory(&self) -> Option<u64> {
        match *self {}
    }

    pub(crate) fn ran_out_of_memory(&self) -> bool {
        match *self {}
    }
}

pub(crate) fn tree_memory(_leader: &Leader, _mark: &Mark, _known: u64) -> Option<u64> {
    None
}

pub(crate) struct Registration {
    mark: Mark,
}

impl Registration {
    pub(crate) fn new(mark: Mark) -> Self {
        Self { mark }
    }

    #[expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "as on Linux")]
    pub(crate) fn spawned(&mut self, _pid: u32) {}

    pub(crate) fn mark(&self) -> &Mark {
        &self.mark
    }

    pub(crate) fn end(self) -> Mark {
        self.mark
    }
}

/// Waits for the group to be gone, where there is one.
pub(crate) struct Sweep {
    id: Option<u32>,
}

impl Sweep {
    pub(crate) fn new(leader: &Leader, _mark: Mark, _cpu: (), _search: bool) -> Self {
        Self { id: Some(leader.id) }
    }

    pub(crate) fn step(&mut self) -> bool {
        self.id = self.id.filter(|&id| has_members(id));
        self.id.is_none()
    }

    #[expect(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn cpu(&self) -> Option<(Duration, Duration)> {
        None
    }

    #[expect(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn ended(&self) -> u32 {
        0
    }

    pub(crate) fn survivors(&self) -> u32 {
        u32::from(self.id.is_some())
    }
}

#[cfg(unix)]
fn has_members(id: u32) -> bool {
    group(id).is_some_and(|group| rustix::process::test_kill_process_group(group).is_ok())
}

#[cfg(not(unix))]
fn has_members(_id: u32) -> bool {
    false
}

#[cfg(unix)]
fn group(id: u32) -> Option<rustix::process::Pid> {
    i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw)
}

pub(crate) fn adopt_orphans() -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux gives orphans to another parent"))
}

pub(crate) async fn end_orphan(_identity: &ProcessIdentity, _grace: Duration) -> Ended {
    Ended::NotOurs
}

pub(crate) fn orphan_lives(_identity: &ProcessIdentity) -> bool {
    false
}

pub(crate) fn identity(leader: &Leader, mark: Mark) -> ProcessIdentity {
    ProcessIdentity::new(leader.id, 0, &"0".repeat(32), mark)
}

pub(crate) fn unstarted(mark: Mark) -> ProcessIdentity {
    ProcessIdentity::new(0, 0, &"0".repeat(32), mark)
}

#[cfg(unix)]
pub(crate) fn is_executable(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(path, Access::EXEC_OK).is_ok() && path.is_file()
}

/// The system adds `.exe` by itself.
#[cfg(not(unix))]
pub(crate) fn is_executable(path: &Path) -> bool {
    path.is_file() || path.with_extension("exe").is_file()
}
