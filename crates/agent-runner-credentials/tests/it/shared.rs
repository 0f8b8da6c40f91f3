//! A ring that many tasks wait in, by a clock that stands still until all wait.

use std::{
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, UNIX_EPOCH},
};

use agent_runner_credentials::{
    Answer, ApiKey, Credential, End, KeyRing, Lent, Rejection, Scope, SharedRing, Want,
};
use tokio::time::{Instant, timeout};

fn ring(keys: usize) -> SharedRing {
    let key = |number| {
        let key = ApiKey::new(&format!("sk-{number}")).expect("it has no white space");
        Credential::new(format!("key-{number}"), "anthropic", key)
    };
    let start = Instant::now();
    let clock = move || UNIX_EPOCH + (Instant::now() - start);
    SharedRing::with_clock(KeyRing::new((0..keys).map(key)), clock)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets all keys rest for so long.
async fn rest(ring: &SharedRing, keys: usize, wait: Duration) {
    for _ in 0..keys {
        let lent = ring.lease(Want::call()).await.expect("a key is ready");
        lent.settle(End::Rejected(Rejection::RateLimited { retry_after: Some(wait) }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_as_long_as_the_server_said_and_not_longer() {
    let ring = ring(1);
    rest(&ring, 1, seconds(90)).await;
    let start = Instant::now();
    let lent = ring.lease(Want::call()).await.expect("it comes back");
    let waited = start.elapsed();
    assert!(waited >= seconds(90), "{waited:?}");
    assert!(waited < seconds(90) + Duration::from_millis(5), "{waited:?}");
    lent.settle(End::Success(None));
}

#[tokio::test(start_paused = true)]
async fn who_waits_longest_is_first_and_who_leaves_is_not_waited_for() {
    let ring = ring(1);
    rest(&ring, 1, seconds(10)).await;
    let (sender, mut served) = tokio::sync::mpsc::unbounded_channel();
    let mut leaving = Box::pin(ring.lease(Want::call()));
    assert!(timeout(seconds(1), &mut leaving).await.is_err(), "nobody is served before");
    for number in 0..20 {
        let (ring, sender) = (ring.clone(), sender.clone());
        tokio::spawn(async move {
            let lent = ring.lease(Want::call()).await.expect("it comes back");
            sender.send(number).expect("somebody listens");
            tokio::time::sleep(seconds(1)).await;
            lent.settle(End::Success(None));
        });
        tokio::task::yield_now().await;
    }
    drop(leaving);
    drop(sender);
    let mut order = Vec::new();
    while let Some(number) = served.recv().await {
        order.push(number);
    }
    assert_eq!(order, (0..20).collect::<Vec<_>>());
    assert_eq!(ring.snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_dropped_serves_the_next_one_at_once() {
    let ring = ring(1);
    // Of a key that is not known yet, few calls are made at once.
    let mut out = Vec::new();
    while let Ok(lent) = ring.try_lease(&Want::call()) {
        out.push(lent);
    }
    assert!((2..20).contains(&out.len()), "{} calls", out.len());
    let mut waiting = pin!(ring.lease(Want::call()));
    assert!(timeout(seconds(60), &mut waiting).await.is_err(), "nothing is known yet");
    out.pop();
    let served = timeout(Duration::ZERO, waiting).await.expect("its place is free");
    assert!(served.is_ok());
}

#[tokio::test(start_paused = true)]
async fn waiting_for_what_never_comes_ends_at_once() {
    let ring = ring(2);
    for _ in 0..2 {
        let lent = ring.lease(Want::call()).await.expect("a key is left");
        lent.settle(End::Answer(&Answer::new(401, &[], ""), None));
    }
    let none = ring.lease(Want::call()).await.expect_err("both are out");
    assert_eq!((none.until, none.reason), (None, Some(Rejection::Unauthorized)));
    let reset = ring.with(|ring, now| ring.reset("key-1", now));
    assert!(reset && ring.lease(Want::call()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_reset_serves_who_waits() {
    let ring = ring(1);
    let lent = ring.lease(Want::call()).await.expect("a key is ready");
    let spent = Rejection::QuotaExhausted { resets_in: None, scope: Scope::Account };
    lent.settle(End::Rejected(spent));
    let mut waiting = pin!(ring.lease(Want::call()));
    assert!(timeout(seconds(60), &mut waiting).await.is_err());
    ring.with(|ring, now| ring.reset("key-0", now));
    assert!(timeout(Duration::ZERO, waiting).await.expect("at once").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_model_that_no_key_may_use_is_no_reason_to_wait() {
    let ring = ring(2);
    let want = || Want::call().model("claude-9");
    for _ in 0..2 {
        let lent = ring.lease(want()).await.expect("a key is left");
        let body =
            r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-9"}}"#;
        lent.settle(End::Answer(&Answer::new(404, &[], body), None));
    }
    let none = ring.lease(want()).await.expect_err("there is no such model");
    assert_eq!(none.reason, Some(Rejection::Forbidden));
    let other = ring.lease(Want::call().model("claude-8")).await.expect("others are fine");
    assert_eq!(other.model(), Some("claude-8"));
}

#[tokio::test(start_paused = true)]
async fn a_session_waits_a_little_for_its_key_and_then_stays_elsewhere() {
    let ring = ring(2);
    let want = || Want::call().session("one").patience(seconds(8));
    let lent = ring.lease(want()).await.expect("a key is ready");
    let home = label(&lent);
    lent.settle(End::Success(None));
    let lent = ring.lease(want()).await.expect("a key is ready");
    refuse(lent, 5);
    let start = Instant::now();
    let lent = ring.lease(want()).await.expect("a key is ready");
    assert_eq!((label(&lent), start.elapsed().as_secs()), (home.clone(), 5), "a little");
    refuse(lent, 60);
    let start = Instant::now();
    let lent = ring.lease(want()).await.expect("a key is ready");
    let elsewhere = label(&lent);
    assert!(elsewhere != home && start.elapsed() < seconds(1), "it is known to be too long");
    lent.settle(End::Success(None));
    tokio::time::sleep(seconds(100)).await;
    let lent = ring.lease(want()).await.expect("a key is ready");
    assert_eq!(label(&lent), elsewhere, "its cache is there now");
}

#[tokio::test(start_paused = true)]
async fn a_session_does_not_wait_for_a_key_that_never_served_it() {
    let ring = ring(2);
    let want = || Want::call().session("one").patience(seconds(8));
    let lent = ring.lease(want()).await.expect("a key is ready");
    let first = label(&lent);
    refuse(lent, 2);
    let start = Instant::now();
    let lent = ring.lease(want()).await.expect("a key is ready");
    assert!(label(&lent) != first && start.elapsed() < seconds(1), "nothing of it is cached there");
}

#[tokio::test(start_paused = true)]
async fn the_patience_of_a_session_is_for_all_refusals_in_a_row() {
    let ring = ring(2);
    let want = || Want::call().session("one").patience(seconds(8));
    let lent = ring.lease(want()).await.expect("a key is ready");
    let home = label(&lent);
    lent.settle(End::Success(None));
    let start = Instant::now();
    let elsewhere = loop {
        let lent = ring.lease(want()).await.expect("a key is ready");
        if label(&lent) != home {
            break lent;
        }
        assert!(start.elapsed() <= seconds(8), "it waits again and again, and a key is free");
        refuse(lent, 2);
    };
    elsewhere.settle(End::Success(None));
    assert!(start.elapsed() >= seconds(6), "it hardly waited for its cache");
}

fn label(lent: &Lent) -> String {
    lent.credential().label.clone()
}

fn refuse(lent: Lent, wait: u64) {
    lent.settle(End::Rejected(Rejection::RateLimited { retry_after: Some(seconds(wait)) }));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_what_will_not_come_in_time() {
    let (ring, fresh) = (ring(1), ring(1));
    rest(&ring, 1, seconds(90)).await;
    let start = Instant::now();
    let none = ring.lease_within(Want::call(), seconds(89)).await.expect_err("it rests for longer");
    assert_eq!(start.elapsed(), Duration::ZERO, "that was known at once");
    assert_eq!(none.until, Some(UNIX_EPOCH + seconds(90)));
    let lent = ring.lease_within(Want::call(), seconds(91)).await.expect("it is back by then");
    lent.settle(End::Success(None));
    assert!(start.elapsed() >= seconds(90));

    // When a key that is busy comes back is not known.
    let mut out = Vec::new();
    while let Ok(lent) = fresh.try_lease(&Want::call()) {
        out.push(lent);
    }
    let start = Instant::now();
    let none = fresh.lease_within(Want::call(), seconds(7)).await.expect_err("none comes back");
    assert!(none.is_busy, "{none}");
    assert!(start.elapsed() >= seconds(7));
    assert_eq!(fresh.snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_busy_is_waited_for_beside_one_that_rests_for_long() {
    let ring = ring(2);
    rest(&ring, 1, seconds(3000)).await;
    let mut out = Vec::new();
    while let Ok(lent) = ring.try_lease(&Want::call()) {
        out.push(lent);
    }
    let none = ring.with(|ring, now| ring.readiness(now, &Want::call()).expect_err("all are out"));
    assert!(none.is_busy && none.until.is_none(), "{none}");
    let waiting = ring.lease_within(Want::call(), seconds(60));
    let served = async {
        tokio::task::yield_now().await;
        out.pop().expect("some are out").settle(End::Success(None));
    };
    let (lent, ()) = tokio::join!(waiting, served);
    lent.expect("one comes back").settle(End::Success(None));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_hurries_is_waited_for_as_much_less() {
    let key = Credential::new("key", "anthropic", ApiKey::new("sk-0").expect("it is graphic"));
    let start = Instant::now();
    let clock = move || UNIX_EPOCH + (Instant::now() - start) * 10;
    let ring = SharedRing::at_speed(KeyRing::new([key]), 10, clock);
    rest(&ring, 1, seconds(90)).await;
    let lent = ring.lease(Want::call()).await.expect("it comes back");
    let waited = start.elapsed();
    assert!(waited >= seconds(9), "{waited:?}");
    assert!(waited < seconds(9) + Duration::from_millis(5), "{waited:?}");
    assert!(ring.now() >= UNIX_EPOCH + seconds(90));
    lent.settle(End::Success(None));
}

/// A ring of one key whose source can be read again.
fn renewable() -> SharedRing {
    let key = ApiKey::new("sk-old").expect("it has no white space");
    let ring = KeyRing::new([Credential::new("one", "anthropic", key)]);
    SharedRing::new(ring.with_renewable(&["one".to_owned()]))
}

#[tokio::test]
async fn who_waits_for_a_key_goes_on_with_what_its_source_has_now() {
    static READ: AtomicU32 = AtomicU32::new(0);
    let ring = renewable();
    ring.renew_by(|old| {
        assert_eq!((&*old.label, old.key.expose()), ("one", "sk-old"));
        READ.fetch_add(1, Ordering::SeqCst);
        ApiKey::new("sk-new").ok()
    });
    let all = [ring.lease(Want::call()).await, ring.lease(Want::call()).await];
    for lent in all {
        lent.expect("ready").settle(End::Answer(&Answer::new(401, &[], ""), None));
    }
    let lent = ring.lease_within(Want::call(), Duration::from_secs(240)).await.expect("renewed");
    assert_eq!(lent.credential().key.expose(), "sk-new");
    assert_eq!(READ.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_waits_for_a_short_time_waits_for_a_source_that_is_being_read() {
    let ring = renewable();
    let (release, released) = std::sync::mpsc::channel();
    let released = std::sync::Mutex::new(released);
    ring.renew_by(move |_| {
        released.lock().ok()?.recv().ok()?;
        ApiKey::new("sk-new").ok()
    });
    let lent = ring.lease(Want::call()).await.expect("ready");
    lent.settle(End::Answer(&Answer::new(401, &[], ""), None));
    let waiting = ring.lease_within(Want::call(), Duration::from_secs(10));
    let read = async {
        tokio::task::yield_now().await;
        release.send(()).expect("the source is being read");
    };
    let (lent, ()) = tokio::join!(waiting, read);
    assert_eq!(lent.expect("renewed").credential().key.expose(), "sk-new");
}

#[tokio::test]
async fn who_waits_for_a_key_that_was_not_renewed_is_told() {
    let ring = renewable();
    ring.renew_by(|_| None);
    let lent = ring.lease(Want::call()).await.expect("ready");
    lent.settle(End::Answer(&Answer::new(401, &[], ""), None));
    let none = ring.lease_within(Want::call(), Duration::from_secs(240)).await.unwrap_err();
    assert_eq!((none.until, none.reason), (None, Some(Rejection::Unauthorized)));
}
