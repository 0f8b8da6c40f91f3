//! The public API, from outside.

#[cfg(feature = "tokio")]
mod adaptive;
mod blocking;
#[cfg(feature = "tokio")]
mod retry;
mod seed;
