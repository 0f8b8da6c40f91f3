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
