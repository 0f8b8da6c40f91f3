//! What differs between platforms.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{make_removable, os_string, own_group, standing_in};
#[cfg(windows)]
pub(crate) use windows::{make_removable, os_string, own_group, standing_in};
