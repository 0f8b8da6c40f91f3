#![doc = include_str!("../README.md")]

mod policy;

mod jitter;

mod delays;

mod adaptive;

mod budget;

mod retry;

pub use adaptive::AdaptiveBackoff;
pub use budget::RetryBudget;
pub use delays::Delays;
pub use jitter::Jitter;
pub use policy::ExponentialBackoff;
pub use retry::{Retry, retry_blocking};
#[cfg(feature = "tokio")]
pub use retry::{Retrying, retry};
