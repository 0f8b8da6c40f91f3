//! Waiting on tokio's timer, paused.

use std::time::Duration;

use agent_runner_backoff::{AdaptiveBackoff, ExponentialBackoff, Jitter};
use tokio::time::{Instant, timeout};

const EXACT: ExponentialBackoff = ExponentialBackoff::new().with_jitter(Jitter::None);

#[tokio::test(start_paused = true)]
async fn it_waits_for_the_delay() {
    let mut backoff = AdaptiveBackoff::new(EXACT);
    for expected in [2, 4, 8, 16, 32, 60, 60] {
        backoff.record_failure();
        let start = Instant::now();
        backoff.wait().await;
        assert_eq!(start.elapsed(), Duration::from_secs(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_asks_for_survives_a_dropped_wait() {
    let mut backoff = AdaptiveBackoff::new(EXACT);
    backoff.record_failure();
    backoff.record_retry_after(Duration::from_secs(300));
    let dropped = timeout(Duration::from_secs(5), backoff.wait()).await;
    assert!(dropped.is_err(), "it should still have been waiting");

    let start = Instant::now();
    backoff.wait().await;
    assert_eq!(start.elapsed(), Duration::from_secs(300), "the request was lost");
    assert_eq!(backoff.delay(), Duration::from_secs(2), "it holds for one wait");
}
