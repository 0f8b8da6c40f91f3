//! How many files and connections this process may have open.

/// Raises the number to what the system allows at most: a gateway with a thousand streams has two
/// thousand connections, and the usual limit is 1024. Where it cannot be raised it stays. Returns what
/// it is now.
#[cfg(unix)]
pub fn raise() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    const ENOUGH: u64 = 65_536;
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if limit.current.is_some_and(|current| current < most) {
        let raised = Rlimit { current: Some(most), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).ok();
    }
    getrlimit(Resource::Nofile).current
}

/// How many clients there can be at once, each with a connection to a provider.
pub fn clients(limit: Option<u64>, most: usize) -> usize {
    /// For files, and what else a process has open.
    const OWN: u64 = 32;
    let room = limit.and_then(|limit| usize::try_from(limit.saturating_sub(OWN) / 2).ok());
    room.map_or(most, |room| room.clamp(1, most))
}

/// There is no such limit here.
#[cfg(not(unix))]
pub const fn raise() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_clients_than_descriptors_for_both_their_connections() {
        assert_eq!(clients(None, 4096), 4096);
        assert_eq!(clients(Some(65_536), 4096), 4096);
        assert_eq!(clients(Some(64), 4096), 16);
        assert_eq!(clients(Some(8), 4096), 1);
    }
}
