//! The wall clock jumps, as far and in whatever direction it likes.
//!
//! A test cannot set the clock of the machine, nor has a namespace one of its own. So the clock comes
//! from outside.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use agent_runner_lock::{CleanOptions, LockDir, LockState, Resource};
use proptest::prelude::*;

use crate::take;

/// Seconds since 1970. Tests that share a process share it, which is one more reason to jump.
static CLOCK: AtomicU64 = AtomicU64::new(0);

fn clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(CLOCK.load(SeqCst))
}

#[derive(Debug, Clone)]
enum Step {
    /// The clock is set.
    Jump(u64),
    /// A lock is acquired and released, through one of two handles, which are like two processes.
    Lock { key: u8, handle: bool },
    /// A resource is.
    Claim { handle: bool },
    /// The files of all locks that are free are removed.
    Clean { handle: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop_oneof![Just(0), Just(1_795_000_000), 0..253_402_300_800_u64].prop_map(Step::Jump),
        (0..3_u8, any::<bool>()).prop_map(|(key, handle)| Step::Lock { key, handle }),
        (0..3_u8, any::<bool>()).prop_map(|(key, handle)| Step::Lock { key, handle }),
        any::<bool>().prop_map(|handle| Step::Claim { handle }),
        any::<bool>().prop_map(|handle| Step::Clean { handle }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tokens_never_go_back(steps in prop::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let dir = LockDir::builder(folder.path().join("locks")).wall_clock(clock);
            dir.default_timeout(Duration::from_secs(60)).open().unwrap()
        };
        let handles = [open(), open()];
        let kept = take(&handles[0], "kept");
        let mut highest: HashMap<String, u64> = HashMap::new();
        let mut see = |key: String, token| {
            let before = highest.insert(key.clone(), token);
            prop_assert!(before.is_none_or(|before| before < token), "{key}: {before:?}, {token}");
            Ok(())
        };
        for step in steps {
            match step {
                Step::Jump(seconds) => CLOCK.store(seconds, SeqCst),
                Step::Lock { key, handle } => {
                    let lock = take(&handles[usize::from(handle)], &key.to_string());
                    see(key.to_string(), lock.token())?;
                }
                Step::Claim { handle } => {
                    let wanted = [Resource::name("db").unwrap()];
                    let lock = handles[usize::from(handle)].try_acquire_all(&wanted).unwrap();
                    see("claims".to_owned(), lock.acquired().expect("nobody has it").token())?;
                }
                Step::Clean { handle } => {
                    let mut options = CleanOptions::default();
                    options.retention = Duration::ZERO;
                    let report = handles[usize::from(handle)].clean_stale(&options).unwrap();
                    prop_assert_eq!(report.held.len(), 1);
                }
            }
            prop_assert_eq!(handles[1].status("kept").unwrap().state, LockState::Held);
            prop_assert!(handles[1].try_acquire("kept").unwrap().acquired().is_none());
            prop_assert!(kept.check().is_ok() && !kept.is_overdue());
        }
    }
}
