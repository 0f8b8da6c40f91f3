//! How many files and connections this process may have open.

/// Raises the number to what the system allows at most: a gateway with a thousand streams has two
/// thousand connections, and the usual limit is 1024. Where it cannot be raised it stays.
#[cfg(unix)]
pub fn raise() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    const ENOUGH: u64 = 65_536;
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if limit.current.is_some_and(|current| current < most) {
        let raised = Rlimit { current: Some(most), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).ok();
    }
}

/// There is no such limit here.
#[cfg(not(unix))]
pub fn raise() {}
