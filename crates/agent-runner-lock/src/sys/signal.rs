//! Signals to processes of other parents, by pidfd, which never becomes another process.

use std::{io, os::fd::OwnedFd};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal as Number, pidfd_open, pidfd_send_signal},
};

use super::{Signal, system::start_time};

/// A process that is alive.
#[derive(Debug)]
pub(crate) struct Target {
    pid: u32,
    start_time: u64,
    process: OwnedFd,
}

impl Target {
    /// The process that has a number now, if any has.
    pub(crate) fn open(pid: u32) -> io::Result<Option<Self>> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let process = match pidfd_open(number.ok_or(Errno::INVAL)?, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // A later process of that number would have a later start than any that we look for.
        let start_time = start_time(pid)?;
        Ok(start_time.map(|start_time| Self { pid, start_time, process }))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Sends a signal, or nothing if the process has ended.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let number = match signal {
            Signal::Term => Number::TERM,
            Signal::Kill => Number::KILL,
        };
        match pidfd_send_signal(&self.process, number) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        start_time(self.pid).is_ok_and(|start_time| start_time != Some(self.start_time))
    }
}
