//! Resources: what is in whose way, who is told, and what is left of whom.

use std::{fs, thread, time::Duration};

use agent_runner_lock::{
    AcquireAll, AcquireError, ClaimStatus, CleanOptions, LockDir, LockState, LostError, Resource,
    ResourceLock,
};

use crate::{lock_dir, take};

fn resources(texts: &[&str]) -> Vec<Resource> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn claim(dir: &LockDir, texts: &[&str]) -> ResourceLock {
    dir.try_acquire_all(&resources(texts)).unwrap().acquired().expect("nobody is in the way")
}

/// The claims that are in the way.
fn refused(dir: &LockDir, texts: &[&str]) -> Vec<ClaimStatus> {
    match dir.try_acquire_all(&resources(texts)).unwrap() {
        AcquireAll::Held(claims) => claims,
        AcquireAll::Acquired(lock) => panic!("nobody kept us from {lock:?}"),
    }
}

/// All files that there are for claims, without the mutex.
fn files(dir: &LockDir) -> usize {
    fs::read_dir(dir.path().join("claims")).unwrap().count() - 1
}

#[test]
fn what_overlaps_is_in_the_way_unless_all_share_it() {
    let (_folder, dir) = lock_dir();
    // Another folder handle is like another process.
    let other = LockDir::open(dir.path()).unwrap();
    let auth = claim(&dir, &["paths:src/auth/**", "shared:db"]);
    for texts in [&["paths:src/*/login.rs"][..], &["shared:paths:src"], &["cache", "db"]] {
        let [status] = &refused(&other, texts)[..] else { panic!("one claim is in the way") };
        assert_eq!(status.resources, auth.resources());
        assert_eq!(status.info.as_ref(), Some(&auth.info()));
        assert!(status.by_this_process && !status.overdue && status.state == LockState::Held);
        let words = "paths:src/auth/**, shared:db is held by run-1/3, pid ";
        assert!(status.to_string().starts_with(words), "{status}");
        assert_eq!(refused(&dir, texts), refused(&other, texts), "in one process, too");
    }
    let rest = claim(&other, &["paths:src/main.rs", "shared:db", "cache"]);
    assert!(rest.token() > auth.token());
    assert_eq!(refused(&dir, &["paths:src"]).len(), 2, "all who are in the way are named");
    assert_eq!(dir.claims().unwrap(), other.claims().unwrap());
    assert_eq!(dir.claims().unwrap().len(), 2);

    auth.release().unwrap();
    rest.check().unwrap();
    drop(claim(&dir, &["paths:src/auth"]));
    drop(rest);
    assert_eq!((dir.claims().unwrap(), files(&dir)), (vec![], 0), "nothing is left");
}

#[test]
fn all_or_none() {
    let (_folder, dir) = lock_dir();
    let b = claim(&dir, &["b"]);
    assert_eq!(refused(&dir, &["a", "b", "c"]).len(), 1);
    claim(&dir, &["a"]).release().unwrap();
    claim(&dir, &["c"]).release().unwrap();
    b.release().unwrap();
    // Who asks for the same twice is not in its own way.
    claim(&dir, &["a", "a", "paths:src", "shared:paths:src/a"]).release().unwrap();
    claim(&dir, &[]).release().unwrap();
}

#[test]
fn claims_and_locks_have_nothing_to_do_with_each_other() {
    let (_folder, dir) = lock_dir();
    let (_lock, _claim) = (take(&dir, "db"), claim(&dir, &["db"]));
    assert_eq!(dir.list().unwrap().len(), 1);
    assert!(dir.clean_stale(&CleanOptions::default()).unwrap().foreign.is_empty());
}

#[test]
fn claims_of_a_folder_without_any() {
    let (_folder, dir) = lock_dir();
    assert_eq!(dir.claims().unwrap(), []);
    assert!(!dir.path().join("claims").exists(), "looking changes nothing");
}

#[test]
fn a_note_can_be_read_by_others() {
    let (_folder, dir) = lock_dir();
    let lock = claim(&dir, &["db"]);
    lock.set_note("migrating").unwrap();
    lock.set_note("m").unwrap();
    assert!(lock.set_note(&"x".repeat(151)).is_err());
    let [status] = &refused(&dir, &["db"])[..] else { panic!("one claim is in the way") };
    assert_eq!(status.info.as_ref().unwrap().note.as_deref(), Some("m"));
    assert_eq!(lock.info().note.as_deref(), Some("m"));
}

#[test]
fn many_resources_fit_and_too_many_are_refused() {
    let (_folder, dir) = lock_dir();
    let many = |n: usize| -> Vec<Resource> {
        (0..n).map(|at| Resource::paths(format!("src/folder-{at}/**")).unwrap()).collect()
    };
    let lock = dir.try_acquire_all(&many(200)).unwrap().acquired().unwrap();
    lock.set_note(&"\u{1}".repeat(150)).unwrap();
    assert_eq!(refused(&dir, &["paths:src/folder-199/a"])[0].resources, many(200));
    drop(lock);
    let refused = dir.try_acquire_all(&many(2000)).unwrap_err();
    assert!(matches!(refused, AcquireError::TooManyResources), "{refused}");
    assert_eq!(dir.claims().unwrap(), []);
}

#[test]
fn the_first_free_lock_of_a_list() {
    let (_folder, dir) = lock_dir();
    let (_a, b) = (take(&dir, "a"), take(&dir, "b"));
    let c = dir.try_acquire_any(["a", "b", "c", "d"]).unwrap().unwrap();
    assert_eq!(c.key(), "c");
    assert!(dir.try_acquire_any(["a", "b"]).unwrap().is_none());
    drop(b);
    assert_eq!(dir.try_acquire_any(["a", "b"]).unwrap().unwrap().key(), "b");
}

#[test]
fn a_thread_waits_until_all_are_free() {
    let (_folder, dir) = lock_dir();
    for timeout in [None, Some(Duration::from_secs(60))] {
        let (a, b) = (claim(&dir, &["a"]), claim(&dir, &["b"]));
        let waiter = thread::spawn({
            let dir = dir.clone();
            move || dir.acquire_all_blocking(&resources(&["a", "b"]), timeout)
        });
        drop(a);
        let second = b.token();
        drop(b);
        assert!(waiter.join().unwrap().unwrap().token() > second);
    }
}

#[test]
fn a_deadline_says_who_is_in_the_way() {
    let (_folder, dir) = lock_dir();
    let _lock = claim(&dir, &["paths:src"]);
    let wanted = resources(&["paths:src/a", "b"]);
    let late = dir.acquire_all_blocking(&wanted, Some(Duration::from_millis(20))).unwrap_err();
    assert!(late.is_retryable());
    assert!(late.to_string().starts_with("paths:src is held by run-1/3, pid "), "{late}");
    let AcquireError::ResourcesTimedOut { held, waited } = late else { panic!("{late}") };
    assert!(held.len() == 1 && waited >= Duration::from_millis(20));
}

#[cfg(unix)]
#[test]
fn a_removed_folder_is_made_again_and_holders_are_told() {
    let (_folder, dir) = lock_dir();
    for gone in [dir.path().join("claims"), dir.path().to_owned()] {
        let lock = claim(&dir, &["db"]);
        lock.check().unwrap();
        fs::remove_dir_all(gone).unwrap();
        let lost = lock.check().unwrap_err();
        assert!(matches!(lost, LostError::LockDirReplaced { .. }), "{lost}");
        let newcomer = claim(&dir, &["db"]);
        assert!(newcomer.token() > lock.token(), "the fence still works");
        drop(lock);
        newcomer.check().unwrap();
        assert_eq!(refused(&dir, &["db"]).len(), 1);
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_a_claim_is_not_touched() {
    use std::os::unix::fs::symlink;

    let (folder, dir) = lock_dir();
    let outside = folder.path().join("outside");
    fs::write(&outside, "precious").unwrap();
    drop(claim(&dir, &["db"]));
    let claims = dir.path().join("claims");
    let name = claims.join("claim-00000000000000000001.lock");
    let refuse = || {
        let refused = dir.try_acquire_all(&resources(&["db"])).unwrap_err();
        assert!(matches!(refused, AcquireError::NotALock { .. }), "{refused}");
    };
    symlink(&outside, &name).unwrap();
    refuse();
    fs::remove_file(&name).unwrap();
    fs::hard_link(&outside, &name).unwrap();
    refuse();
    fs::remove_file(&name).unwrap();
    fs::create_dir(&name).unwrap();
    refuse();
    fs::remove_dir(&name).unwrap();
    fs::write(claims.join("notes.txt"), "mine").unwrap();
    drop(claim(&dir, &["db"]));

    fs::remove_dir_all(&claims).unwrap();
    symlink(folder.path(), &claims).unwrap();
    // Opened as before, so that only its path tells.
    assert!(LockDir::open(dir.path()).unwrap().try_acquire_all(&resources(&["db"])).is_err());
    assert!(dir.try_acquire_all(&resources(&["db"])).is_err());
    assert_eq!(fs::read_to_string(outside).unwrap(), "precious");
}

#[test]
fn a_claim_that_cannot_be_read_is_in_the_way_of_all() {
    let (_folder, dir) = lock_dir();
    let lock = claim(&dir, &["db"]);
    let claims = fs::read_dir(dir.path().join("claims")).unwrap();
    let mut files = claims.map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.extension().is_some_and(|end| end == "lock")).unwrap();
    fs::write(file, "garbage").unwrap();

    let other = LockDir::open(dir.path()).unwrap();
    let [status] = &refused(&other, &["cache"])[..] else { panic!("one claim is in the way") };
    assert_eq!((&status.info, &status.resources), (&None, &vec![]));
    drop(lock);
    drop(claim(&other, &["cache"]));
}

#[cfg(feature = "tokio")]
mod with_tokio {
    use std::{
        pin::pin,
        sync::Mutex,
        task::{Context, Poll, Waker},
        time::Instant,
    };

    use super::*;

    /// Polls a future once.
    fn nudge<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn a_big_claim_is_not_overtaken_by_small_ones() {
        let (_folder, dir) = lock_dir();
        let held = claim(&dir, &["paths:src/a"]);
        let order = Mutex::new(Vec::new());
        let queue = async |texts: &[&str], number: u32| {
            let lock = dir.acquire_all(&resources(texts)).await.unwrap();
            order.lock().unwrap().push(number);
            lock.release().unwrap();
        };
        let mut big = pin!(queue(&["paths:src"], 1));
        let mut small = pin!(queue(&["paths:src/b"], 2));
        let mut other = pin!(queue(&["paths:docs"], 3));
        assert!(nudge(big.as_mut()).is_pending());
        assert!(nudge(small.as_mut()).is_pending(), "free, but the big one came first");
        assert!(nudge(other.as_mut()).is_ready(), "it has nothing to do with those two");
        held.release().unwrap();
        tokio::join!(small, big);
        assert_eq!(*order.lock().unwrap(), [3, 1, 2]);
    }

    #[tokio::test]
    async fn a_dropped_waiter_holds_nothing_and_nobody_up() {
        let (_folder, dir) = lock_dir();
        let held = claim(&dir, &["paths:src/a"]);
        let (src, b) = (resources(&["paths:src"]), resources(&["paths:src/b"]));
        let mut second = pin!(dir.acquire_all(&b));
        {
            let mut first = pin!(dir.acquire_all(&src));
            assert!(nudge(first.as_mut()).is_pending());
            assert!(nudge(second.as_mut()).is_pending());
        }
        second.await.unwrap().release().unwrap();
        held.release().unwrap();
        assert_eq!(dir.claims().unwrap(), []);
    }

    /// Another folder handle is like another process: nothing but the kernel tells of its release.
    #[tokio::test]
    async fn a_release_elsewhere_is_noticed() {
        let (_folder, dir) = lock_dir();
        let held = claim(&LockDir::open(dir.path()).unwrap(), &["db"]);
        let db = resources(&["db"]);
        let mut waiter = pin!(dir.acquire_all(&db));
        assert!(nudge(waiter.as_mut()).is_pending());
        held.release().unwrap();
        waiter.await.unwrap().release().unwrap();
    }

    #[tokio::test]
    async fn a_deadline_is_kept() {
        let (_folder, dir) = lock_dir();
        let held = claim(&dir, &["db"]);
        let db = resources(&["db"]);
        let late = dir.acquire_all_until(&db, Instant::now() + Duration::from_millis(20)).await;
        assert!(matches!(late, Err(AcquireError::ResourcesTimedOut { .. })));
        held.release().unwrap();
        dir.acquire_all_until(&db, Instant::now()).await.unwrap().release().unwrap();
    }

    #[tokio::test]
    async fn a_future_can_be_sent() {
        fn assert_send(_: &impl Send) {}
        let (_folder, dir) = lock_dir();
        assert_send(&dir.acquire_all(&[]));
        assert_send(&dir.acquire_all_until(&[], Instant::now()));
    }
}
