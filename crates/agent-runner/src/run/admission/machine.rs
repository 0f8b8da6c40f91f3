//! What the machine has left: its load, and the memory that can be had.

#[cfg_attr(not(target_os = "linux"), path = "machine/other.rs")]
#[cfg_attr(target_os = "linux", path = "machine/linux.rs")]
mod platform;

pub(super) use platform::{free_memory, load};
