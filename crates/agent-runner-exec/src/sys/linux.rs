//! Starting, signalling and reading a child, through descriptors that the runtime watches.
//!
//! A pidfd tells that the leader is dead *before* anybody reaps it. As long as it is not reaped,
//! its number, which is that of its group too, cannot be given to another process: that is when
//! the group is killed.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, PipeReader, PipeWriter},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
};

use rustix::{
    fs::{Access, OFlags, access, fcntl_setfl},
    io::{Errno, read, write},
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group,
        pidfd_open, pidfd_send_signal, waitid, waitpid,
    },
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::unix::pipe::{Receiver, Sender},
};

use super::{
    Status,
    procfs::{self, Cpu, Stat},
};
use crate::{
    ProcessIdentity, StopLevel,
    mark::Mark,
    output::{Output, READ_LEN, Stream},
};

/// A child that has just started.
pub(crate) struct Spawned {
    pub(crate) leader: Leader,
    pub(crate) pipes: Pipes,
    pub(crate) feed: Option<Feed>,
}

/// Starts `command` as the leader of a group of its own. `stdin` is what it may read.
pub(crate) fn spawn(
    mut command: Command,
    merge_output: bool,
    stdin: Option<Vec<u8>>,
) -> io::Result<Spawned> {
    let (stdout, writer) = io::pipe()?;
    let stderr = if merge_output {
        command.stderr(writer.try_clone()?);
        None
    } else {
        let (stderr, writer) = io::pipe()?;
        command.stderr(writer);
        Some(stderr)
    };
    let feed = if let Some(bytes) = stdin {
        let (reader, feed) = io::pipe()?;
        command.stdin(reader);
        Some((feed, bytes))
    } else {
        command.stdin(Stdio::null());
        None
    };
    command.stdout(writer).process_group(0);
    let child = command.spawn()?;
    // Our copies of the child's ends: with them open we would never see the end of its output.
    drop(command);
    let leader = Leader::new(child.id())?;
    let watch = || {
        let feed = feed.map(|(pipe, bytes)| Feed::new(pipe, bytes)).transpose()?;
        Ok((Pipes::new(stdout, stderr)?, feed.filter(Feed::is_open)))
    };
    let (pipes, feed) = watch().inspect_err(|_: &io::Error| abandon(leader.pid))?;
    Ok(Spawned { leader, pipes, feed })
}

/// The child itself, until it is reaped.
#[derive(Debug)]
pub(crate) struct Leader {
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
    /// Its line in `/proc`, if it could be opened.
    stat: Option<File>,
}

impl Leader {
    fn new(id: u32) -> io::Result<Self> {
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
        let watch = || watch_pidfd(pidfd_open(pid, PidfdFlags::empty())?);
        let pidfd = watch().inspect_err(|_| abandon(pid))?;
        Ok(Self { pid, pidfd, stat: Stat::open(pid).ok() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// What it took so far, with those that it waited for.
    pub(crate) fn cpu(&self) -> Cpu {
        self.stat().map(|stat| stat.cpu).unwrap_or_default()
    }

    /// Waits until the child is dead, but leaves it to be reaped.
    pub(crate) async fn dead(&self) -> io::Result<()> {
        // Readiness is never cleared: the dead stay dead.
        self.pidfd.readable().await.map(drop)
    }

    /// Whether the child is dead, by a look.
    pub(crate) fn is_dead(&self) -> bool {
        self.stat().is_none_or(|stat| stat.is_dead())
    }

    fn stat(&self) -> Option<Stat> {
        self.stat.as_ref().map_or_else(|| Stat::of(self.pid), Stat::read)
    }

    /// Takes the status of a dead child; `None` if it lives.
    pub(crate) fn reap(&self) -> io::Result<Option<Status>> {
        let id = WaitId::PidFd(self.pidfd.get_ref().as_fd());
        let status = waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)?;
        Ok(status.map(|status| match status.exit_status() {
            Some(code) => Status::Exited(code),
            None => Status::Signaled(status.terminating_signal().unwrap_or(0)),
        }))
    }

    /// Signals the group, and the child also if it has moved to another.
    pub(crate) fn signal(&self, level: StopLevel) {
        let signal = match level {
            StopLevel::Interrupt => Signal::INT,
            StopLevel::Terminate => Signal::TERM,
            StopLevel::Kill => Signal::KILL,
        };
        if kill_process_group(self.pid, signal).is_err() {
            _ = pidfd_send_signal(self.pidfd.get_ref(), signal);
        }
        if level < StopLevel::Kill {
            // Who is stopped sees no signal until it goes on.
            _ = kill_process_group(self.pid, Signal::CONT);
        }
    }
}

/// Ends a child that cannot be watched.
fn abandon(pid: Pid) {
    _ = kill_process_group(pid, Signal::KILL);
    _ = waitpid(Some(pid), WaitOptions::empty());
}

#[expect(deprecated, reason = "unsound for what only claims to be a descriptor; this one is owned")]
fn watch_pidfd(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

/// The child's output.
pub(crate) struct Pipes {
    stdout: Option<Receiver>,
    stderr: Option<Receiver>,
}

impl Pipes {
    fn new(stdout: PipeReader, stderr: Option<PipeReader>) -> io::Result<Self> {
        Ok(Self { stdout: Some(watch(stdout)?), stderr: stderr.map(watch).transpose()? })
    }

    /// Whether more may come.
    pub(crate) fn are_open(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }

    /// Waits for output, and takes in what is there.
    ///
    /// Cancel safe: a wait that is dropped has taken nothing.
    pub(crate) async fn read(&mut self, output: &mut Output) {
        let stream = tokio::select! {
            () = ready(self.stdout.as_ref()) => Stream::Stdout,
            () = ready(self.stderr.as_ref()) => Stream::Stderr,
        };
        self.take(stream, output, Receiver::try_read);
    }

    /// Takes in what is there without waiting, a few pipes' worth at most.
    pub(crate) fn drain(&mut self, output: &mut Output) {
        // Not through the runtime: it may not have heard yet that there is something.
        let read = |pipe: &Receiver, room: &mut [u8]| Ok(read(pipe, room)?);
        for _ in 0..DRAIN_READS {
            let more = self.take(Stream::Stdout, output, read);
            if !(self.take(Stream::Stderr, output, read) || more) {
                break;
            }
        }
    }

    /// Reads once; returns whether anything came. A pipe at its end is closed.
    fn take(
        &mut self,
        stream: Stream,
        output: &mut Output,
        read: impl FnOnce(&Receiver, &mut [u8]) -> io::Result<usize>,
    ) -> bool {
        let pipe = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let Some(open) = pipe else { return false };
        match output.take(stream, |room| read(open, room)) {
            Ok(1..) => return true,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Ok(0) | Err(_) => *pipe = None,
        }
        false
    }
}

/// A pipe holds 64 KiB, or 1 MiB if the child asked for it.
const DRAIN_READS: usize = (1 << 20) / READ_LEN;

fn watch(pipe: PipeReader) -> io::Result<Receiver> {
    fcntl_setfl(&pipe, OFlags::RDONLY | OFlags::NONBLOCK)?;
    Receiver::from_owned_fd_unchecked(pipe.into())
}

async fn ready(pipe: Option<&Receiver>) {
    match pipe {
        // A failure is found by the read.
        Some(pipe) => drop(pipe.readable().await),
        None => std::future::pending().await,
    }
}

/// What is still to be written to the child.
pub(crate) struct Feed {
    /// `None` once there is nothing more to do; closed, so that the child sees the end.
    pipe: Option<Sender>,
    bytes: Vec<u8>,
    written: usize,
}

impl Feed {
    /// Writes what the pipe holds; mostly that is all, and the runtime never hears of it.
    fn new(pipe: PipeWriter, bytes: Vec<u8>) -> io::Result<Self> {
        fcntl_setfl(&pipe, OFlags::WRONLY | OFlags::NONBLOCK)?;
        let mut written = 0;
        let more = write_on(&bytes, &mut written, |rest| Ok(write(&pipe, rest)?));
        let watch = || Sender::from_owned_fd_unchecked(pipe.into());
        Ok(Self { pipe: more.then(watch).transpose()?, bytes, written })
    }

    /// Whether there is more to write.
    pub(crate) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Waits until the child reads, and writes on.
    ///
    /// Cancel safe: a wait that is dropped has written nothing.
    pub(crate) async fn proceed(&mut self) {
        let Some(pipe) = &self.pipe else { return std::future::pending().await };
        drop(pipe.writable().await);
        if !write_on(&self.bytes, &mut self.written, |rest| pipe.try_write(rest)) {
            (self.pipe, self.bytes) = (None, Vec::new());
        }
    }
}

/// Writes what can be written now; returns whether there is a point in writing more. A child that
/// has closed its stdin is no error: it has read enough.
fn write_on(
    bytes: &[u8],
    written: &mut usize,
    attempt: impl Fn(&[u8]) -> io::Result<usize>,
) -> bool {
    while *written < bytes.len() {
        match attempt(&bytes[*written..]) {
            Ok(len) => *written += len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
    false
}

/// Who the child is.
pub(crate) fn identity(leader: &Leader, mark: Mark) -> ProcessIdentity {
    let start_time = leader.stat().map_or(0, |stat| stat.start_time);
    ProcessIdentity::new(leader.id(), start_time, procfs::boot_id(), mark)
}

/// Who a child will be.
pub(crate) fn unstarted(mark: Mark) -> ProcessIdentity {
    ProcessIdentity::new(0, 0, procfs::boot_id(), mark)
}

/// Whether we may execute this file.
pub(crate) fn is_executable(path: &Path) -> bool {
    access(path, Access::EXEC_OK).is_ok() && fs::metadata(path).is_ok_and(|file| file.is_file())
}
