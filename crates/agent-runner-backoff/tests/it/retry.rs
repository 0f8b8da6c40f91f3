//! Async calls, in paused time.

use std::{
    cell::Cell,
    future::{Ready, ready},
    time::Duration,
};

use agent_runner_backoff::{ExponentialBackoff, Jitter, RetryBudget, retry};
use tokio::time::{Instant, sleep, timeout};

const EXACT: ExponentialBackoff = ExponentialBackoff::new().with_jitter(Jitter::None);

#[derive(Debug, PartialEq)]
struct Refused {
    status: u16,
    retry_after: Option<Duration>,
}

const BUSY: Refused = Refused { status: 503, retry_after: None };

fn refuse(refused: Refused) -> Ready<Result<(), Refused>> {
    ready(Err(refused))
}

#[tokio::test(start_paused = true)]
async fn it_tries_until_it_works() {
    let (start, calls) = (Instant::now(), Cell::new(0));
    let result = retry(|| async {
        calls.set(calls.get() + 1);
        if calls.get() < 4 { Err(BUSY) } else { Ok(calls.get()) }
    })
    .with(EXACT)
    .await;
    assert_eq!(result, Ok(4));
    assert_eq!(start.elapsed(), Duration::from_secs(1 + 2 + 4));
}

#[tokio::test(start_paused = true)]
async fn by_default_it_gives_up_after_five() {
    let calls = Cell::new(0);
    let result = retry(|| {
        calls.set(calls.get() + 1);
        refuse(BUSY)
    })
    .await;
    assert_eq!((result, calls.get()), (Err(BUSY), 5));
}

#[tokio::test(start_paused = true)]
async fn a_server_is_obeyed_over_the_maximum() {
    let start = Instant::now();
    let retry_after = Some(Duration::from_secs(90));
    let result = retry(|| refuse(Refused { status: 429, retry_after }))
        .with(EXACT.with_max_attempts(2))
        .when(|refused| refused.status == 429)
        .retry_after(|refused| refused.retry_after)
        .await;
    assert!(result.is_err());
    assert_eq!(start.elapsed(), Duration::from_secs(90));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_too_long_is_not_waited_for() {
    let start = Instant::now();
    let retry_after = Some(Duration::from_secs(90));
    let result = retry(|| refuse(Refused { status: 429, retry_after }))
        .with(EXACT.with_max_elapsed(Duration::from_secs(89)))
        .retry_after(|refused| refused.retry_after)
        .await;
    assert!(result.is_err());
    assert_eq!(start.elapsed(), Duration::ZERO, "a wait that cannot help");
}

#[tokio::test(start_paused = true)]
async fn the_calls_count_as_elapsed_and_the_last_delay_is_shortened() {
    let (start, calls) = (Instant::now(), Cell::new(0));
    let result = retry(|| async {
        calls.set(calls.get() + 1);
        sleep(Duration::from_secs(3)).await;
        refuse(BUSY).await
    })
    .with(EXACT.with_max_elapsed(Duration::from_secs(10)))
    .await;
    assert_eq!((result, calls.get()), (Err(BUSY), 3));
    // 3 s, wait 1 s, 3 s, wait 2 s, 3 s: the tenth second is over, and no wait is left.
    assert_eq!(start.elapsed(), Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_filled_by_the_runtimes_clock() {
    let budget = RetryBudget::new().with_share(0.0).with_burst(1.0).with_reserve(0.1);
    let retries = || async {
        let retries = Cell::new(0);
        let refused = retry(|| refuse(BUSY))
            .with(EXACT)
            .budget(&budget)
            .notify(|_, _| retries.set(retries.get() + 1))
            .await;
        assert!(refused.is_err());
        retries.get()
    };
    assert_eq!(retries().await, 1, "the burst");
    assert_eq!(retries().await, 0, "nothing is left");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(retries().await, 1, "the reserve");
}

#[tokio::test(start_paused = true)]
async fn dropping_it_drops_the_call() {
    let calls = Cell::new(0);
    let hanging = retry(|| async {
        calls.set(calls.get() + 1);
        std::future::pending::<Result<(), Refused>>().await
    });
    assert!(timeout(Duration::from_secs(1), hanging.into_future()).await.is_err());
    assert_eq!(calls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_can_be_spawned() {
    let handle = tokio::spawn(retry(|| async { Ok::<_, Refused>(7) }).into_future());
    assert_eq!(handle.await.unwrap(), Ok(7));
}
