//! The name of this machine, as the store knows it.

use std::{env, fs, io, path::Path, process};

use crate::{error::Error, exit_code::Exit};

/// The host name with a part of the machine's id: two machines called `localhost` are not one.
pub fn name() -> String {
    if let Ok(name) = env::var("AGENT_RUNNER_HOST")
        && !name.is_empty()
    {
        return name;
    }
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let machine: String = machine.trim().chars().take(8).collect();
    match (node(), machine.as_str()) {
        (host, "") => host,
        (host, machine) => format!("{host}-{machine}"),
    }
}

#[cfg(unix)]
fn node() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(windows)]
fn node() -> String {
    env::var("COMPUTERNAME").unwrap_or_else(|_| "localhost".into())
}

/// A name that no other run has: the time, so that names sort, and some chance.
pub(super) fn new_run() -> String {
    let now = jiff::Timestamp::now().strftime("%m%d-%H%M%S");
    format!("{now}-{:04x}", rand::random::<u16>())
}

/// Why this process cannot become the parent of what agents leave behind.
pub(super) fn no_parent(error: &io::Error) -> Error {
    let why = format!("could not become the parent of orphans: {error}");
    let shown = fs::read_link("/proc/self").unwrap_or_default();
    if !cfg!(target_os = "linux") || shown == Path::new(&process::id().to_string()) {
        return Error::message(Exit::Unexpected, why);
    }
    Error::invalid(format!("{why}; `/proc` is missing, or is that of other processes"))
        .hint("mount it with `mount -t proc proc /proc`; `unshare --pid` needs `--mount-proc`")
}
