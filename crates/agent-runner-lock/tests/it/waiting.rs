//! Waiting for a lock, in each of the ways.

use std::{thread, time::Duration};

use agent_runner_lock::AcquireError;

use crate::{lock_dir, take};

#[test]
fn a_blocked_thread_gets_the_lock_after_its_release() {
    let (_folder, dir) = lock_dir();
    for timeout in [None, Some(Duration::from_secs(60))] {
        let lock = take(&dir, "42");
        let first = lock.token();
        let waiter = thread::spawn({
            let dir = dir.clone();
            move || dir.acquire_blocking("42", timeout).map(|lock| lock.token())
        });
        lock.release().unwrap();
        let second = waiter.join().unwrap().unwrap();
        assert!(second > first);
    }
}

/// A thread in the kernel's queue costs nothing while it waits, and is woken by the release itself.
#[cfg(target_os = "linux")]
#[test]
fn a_thread_without_a_deadline_waits_in_the_kernel() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    let inode = std::os::unix::fs::MetadataExt::ino(
        &std::fs::metadata(dir.path().join("task-42.lock")).unwrap(),
    );
    thread::scope(|scope| {
        let waiter = scope.spawn(|| dir.acquire_blocking("42", None).unwrap());
        let waits = |line: &str| line.contains(": -> ") && line.contains(&format!(":{inode} "));
        while !std::fs::read_to_string("/proc/locks").unwrap().lines().any(waits) {
            thread::yield_now();
        }
        lock.release().unwrap();
        waiter.join().unwrap().check().unwrap();
    });
}

#[test]
fn a_deadline_says_who_is_in_the_way() {
    let (_folder, dir) = lock_dir();
    let _lock = take(&dir, "42");
    let late = dir.acquire_blocking("42", Some(Duration::from_millis(20))).unwrap_err();
    assert!(late.is_retryable());
    let AcquireError::TimedOut { status, waited } = &late else { panic!("{late}") };
    assert!(status.is_held() && *waited >= Duration::from_millis(20));
    assert!(late.to_string().starts_with("task 42 is held by run-1/3, pid "), "{late}");
}

#[test]
fn many_threads_take_turns() {
    let (_folder, dir) = lock_dir();
    let inside = std::sync::atomic::AtomicU32::new(0);
    thread::scope(|scope| {
        for worker in 0..6 {
            let (dir, inside) = (&dir, &inside);
            let timeout = (worker % 2 == 0).then(|| Duration::from_secs(60));
            scope.spawn(move || {
                for _ in 0..20 {
                    let lock = dir.acquire_blocking("42", timeout).unwrap();
                    let others = inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    assert_eq!(others, 0, "two threads hold the lock");
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    lock.release().unwrap();
                }
            });
        }
    });
}

#[cfg(feature = "tokio")]
mod with_tokio {
    use std::{
        pin::pin,
        sync::Mutex,
        task::{Context, Poll, Waker},
        time::Instant,
    };

    use agent_runner_lock::LockDir;

    use super::*;
    #[cfg(target_os = "linux")]
    use crate::alone::under;

    /// Polls a future once.
    fn nudge<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn tasks_get_the_lock_in_the_order_in_which_they_asked() {
        let (_folder, dir) = lock_dir();
        let lock = take(&dir, "42");
        let order = Mutex::new(Vec::new());
        let queue = async |number: u32| {
            let lock = dir.acquire("42").await.unwrap();
            order.lock().unwrap().push(number);
            lock.release().unwrap();
        };
        let (mut a, mut b, mut c) = (pin!(queue(1)), pin!(queue(2)), pin!(queue(3)));
        assert!(nudge(a.as_mut()).is_pending());
        assert!(nudge(b.as_mut()).is_pending());
        assert!(nudge(c.as_mut()).is_pending());
        lock.release().unwrap();
        tokio::join!(c, b, a);
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_dropped_waiter_holds_nothing_and_nobody_up() {
        let (_folder, dir) = lock_dir();
        let lock = take(&dir, "42");
        let mut second = pin!(dir.acquire("42"));
        {
            let mut first = pin!(dir.acquire("42"));
            assert!(nudge(first.as_mut()).is_pending());
            assert!(nudge(second.as_mut()).is_pending());
        }
        lock.release().unwrap();
        second.await.unwrap().release().unwrap();
        assert!(!dir.status("42").unwrap().is_held());
    }

    /// Another folder handle is like another process: nothing but the kernel tells of its release.
    #[tokio::test]
    async fn a_release_elsewhere_is_noticed() {
        let (_folder, dir) = lock_dir();
        let other = LockDir::open(dir.path()).unwrap();
        let lock = take(&other, "42");
        let mut waiter = pin!(dir.acquire("42"));
        assert!(nudge(waiter.as_mut()).is_pending());
        lock.release().unwrap();
        waiter.await.unwrap().release().unwrap();
    }

    #[tokio::test]
    async fn a_deadline_is_kept() {
        let (_folder, dir) = lock_dir();
        let lock = take(&dir, "42");
        let late = dir.acquire_until("42", Instant::now() + Duration::from_millis(20)).await;
        assert!(matches!(late, Err(AcquireError::TimedOut { .. })));
        lock.release().unwrap();
        dir.acquire_until("42", Instant::now()).await.unwrap().release().unwrap();
    }

    /// Only the first asks the kernel; and it does so on a timer of the runtime, not on a thread.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_thousand_waiters_are_no_thread_and_one_poller() {
        use std::{ffi::OsStr, fs};

        use tokio::{runtime, task::JoinSet};

        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("trace");
        let tool = ["strace", "-f", "-e", "trace=flock", "-o"].map(OsStr::new);
        let test = "waiting::with_tokio::a_thousand_waiters_are_no_thread_and_one_poller";
        let threads = || fs::read_dir("/proc/self/task").unwrap().count();
        let traced = under(&[&tool[..], &[trace.as_os_str()]].concat(), test, || {
            let (_folder, dir) = lock_dir();
            // Like another process: nothing in this one calls who waits for its release.
            let lock = take(&LockDir::open(dir.path()).unwrap(), "42");
            let before = threads();
            let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let mut waiters = JoinSet::new();
                for _ in 0..1_000 {
                    let dir = dir.clone();
                    waiters.spawn(async move { dir.acquire("42").await.unwrap().release() });
                }
                // All of them are in line when the first has asked for some time.
                tokio::time::sleep(Duration::from_millis(100)).await;
                assert_eq!(threads(), before);
                lock.release().unwrap();
                assert!(waiters.join_all().await.iter().all(Result::is_ok));
            });
        });
        if traced {
            let trace = fs::read_to_string(trace).unwrap();
            let count = |end| trace.lines().filter(|line| line.ends_with(end)).count();
            assert!(count("= 0") > 1_000, "each got it");
            let refused = count("(Resource temporarily unavailable)");
            assert!((1..1_000).contains(&refused), "{refused} refusals, more than one waiter asks");
        }
    }

    #[tokio::test]
    async fn a_holder_hears_that_it_is_overdue() {
        let (_folder, dir) = lock_dir();
        let short = take(&dir.with_timeout(Some(Duration::from_millis(20))), "42");
        short.overdue().await;
        assert!(short.is_overdue());
        short.overdue().await;
        let long = take(&dir, "43");
        assert!(nudge(pin!(long.overdue())).is_pending());
    }

    #[tokio::test]
    async fn a_future_can_be_sent() {
        fn assert_send(_: &impl Send) {}
        let (_folder, dir) = lock_dir();
        assert_send(&dir.acquire("42"));
        assert_send(&dir.acquire_until("42", Instant::now()));
    }
}
