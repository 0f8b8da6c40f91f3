//! Files in a Windows profile are their owner's unless somebody shares them.

use std::path::Path;

pub(super) fn is_readable_by_others(_: &Path) -> bool {
    false
}
