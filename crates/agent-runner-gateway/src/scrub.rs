//! Keeps a key out of what is sent back.

use std::collections::VecDeque;

use agent_runner_credentials::ApiKey;
use hyper::body::Bytes;
use memchr::memmem;

/// What stands for each byte of a key.
const MASK: u8 = b'*';

/// Masks a key in bytes that come in pieces, also where it is cut in two.
///
/// Pieces without it pass as they are. A piece whose end may be the beginning of the key is kept
/// until the next one: an event of a stream ends with a line feed, which no key has, so that none
/// is ever kept.
pub(crate) struct Scrubber {
    key: ApiKey,
    kept: Option<Bytes>,
}

impl Scrubber {
    pub(crate) const fn new(key: ApiKey) -> Self {
        Self { key, kept: None }
    }

    /// Takes a piece, and returns what can be passed on.
    pub(crate) fn pass(&mut self, piece: Bytes) -> Option<Bytes> {
        let piece = match self.kept.take() {
            Some(kept) => Bytes::from([&kept[..], &piece[..]].concat()),
            None => piece,
        };
        let key = self.key.expose().as_bytes();
        let piece = mask(piece, key);
        let kept = piece.len() - overlap(&piece, key);
        let (now, later) = (piece.slice(..kept), piece.slice(kept..));
        self.kept = (!later.is_empty()).then_some(later);
        (!now.is_empty()).then_some(now)
    }

    /// What is left when nothing more comes.
    pub(crate) fn finish(&mut self) -> Option<Bytes> {
        self.kept.take()
    }
}

/// Masks a key in a text that is whole.
pub(crate) fn scrub(text: Bytes, key: &ApiKey) -> Bytes {
    mask(text, key.expose().as_bytes())
}

fn mask(piece: Bytes, key: &[u8]) -> Bytes {
    let found: VecDeque<usize> = memmem::find_iter(&piece, key).collect();
    if found.is_empty() {
        return piece;
    }
    let mut masked = piece.to_vec();
    for at in found {
        masked[at..at + key.len()].fill(MASK);
    }
    masked.into()
}

/// How much of the end of `piece` is a beginning of `key`.
fn overlap(piece: &[u8], key: &[u8]) -> usize {
    let longest = piece.len().min(key.len() - 1);
    // Nearly every piece ends with a byte that no key has.
    if piece.last().is_none_or(|last| !last.is_ascii_graphic()) {
        return 0;
    }
    (1..=longest).rev().find(|&length| key.starts_with(&piece[piece.len() - length..])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pass(text: &[u8], cuts: &[usize], key: &str) -> Vec<u8> {
        let mut scrubber = Scrubber::new(ApiKey::new(key).unwrap());
        let mut out = Vec::new();
        let mut rest = text;
        for cut in cuts {
            let (piece, more) = rest.split_at(cut % (rest.len() + 1));
            out.extend(scrubber.pass(Bytes::copy_from_slice(piece)).unwrap_or_default());
            rest = more;
        }
        out.extend(scrubber.pass(Bytes::copy_from_slice(rest)).unwrap_or_default());
        out.extend(scrubber.finish().unwrap_or_default());
        out
    }

    #[test]
    fn an_event_is_never_kept() {
        let mut scrubber = Scrubber::new(ApiKey::new("data:sk").unwrap());
        let event = Bytes::from_static(b"data: sk-data\n\n");
        let passed = scrubber.pass(event.clone()).unwrap();
        assert_eq!(passed.as_ptr(), event.as_ptr(), "it is not even copied");
        assert_eq!(scrubber.finish(), None);
    }

    proptest! {
        #[test]
        fn no_key_passes_and_all_else_does(
            text in "[ab]{0,30}", key in "[ab]{2,5}", cuts in prop::collection::vec(0..9_usize, 0..6),
        ) {
            let out = pass(text.as_bytes(), &cuts, &key);
            prop_assert_eq!(out.len(), text.len());
            prop_assert!(memmem::find(&out, key.as_bytes()).is_none());
            if !text.contains(&key) {
                prop_assert_eq!(out, text.as_bytes());
            }
        }
    }
}
