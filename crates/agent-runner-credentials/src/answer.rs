//! What a server answered, in plain types.

use std::fmt;

/// An answer to a request: what is needed to tell what it means for the key.
///
/// Headers are pairs of text, so that any HTTP client's fit. Those that are not text can be left
/// out.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Names, in any case, and values.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, or the event of a stream that reported the error.
    pub body: &'a str,
}

impl<'a> Answer<'a> {
    /// An answer.
    pub const fn new(status: u16, headers: &'a [(&'a str, &'a str)], body: &'a str) -> Self {
        Self { status, headers, body }
    }

    /// The first header of this name, without white space at its ends.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let found = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    /// Whether the status says that all went well.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// Shows the status alone: servers repeat keys and prompts in headers and bodies.
impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}
