//! Masking known texts in a stream that comes in pieces.

use std::{fmt, sync::Arc};

const MASK: &[u8] = b"***";

/// Texts that nobody may read. Cheap to clone; shows none of them.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<Vec<Vec<u8>>>);

impl Secrets {
    pub(crate) fn extend(&mut self, more: impl Iterator<Item = Vec<u8>>) {
        Arc::make_mut(&mut self.0).extend(more.filter(|secret| !secret.is_empty()));
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// Replaces secrets in one stream, leftmost and longest first, however the stream is cut.
///
/// What might be the beginning of a secret is held back until the next piece, so at most one
/// secret's length is in memory.
pub(crate) struct Masker {
    secrets: Secrets,
    /// For each byte, whether a secret begins with it.
    begins: Box<[bool; 256]>,
    held: Vec<u8>,
}

/// What stands at a position.
enum Found {
    /// No secret.
    Nothing,
    /// A secret of this length.
    Secret(usize),
    /// It depends on what comes next.
    Undecided,
}

impl Masker {
    /// Makes a masker, or `None` if there is nothing to mask.
    pub(crate) fn new(secrets: &Secrets) -> Option<Self> {
        if secrets.0.is_empty() {
            return None;
        }
        let mut begins = Box::new([false; 256]);
        for secret in secrets.0.iter() {
            begins[usize::from(secret[0])] = true;
        }
        Some(Self { secrets: secrets.clone(), begins, held: Vec::new() })
    }

    /// Takes the next piece, and appends what can be shown to `shown`.
    pub(crate) fn push(&mut self, piece: &[u8], shown: &mut Vec<u8>) {
        if self.held.is_empty() {
            let done = self.scan(piece, false, shown);
            self.held.extend_from_slice(&piece[done..]);
        } else {
            let mut text = std::mem::take(&mut self.held);
            text.extend_from_slice(piece);
            let done = self.scan(&text, false, shown);
            text.drain(..done);
            text.shrink_to(1024);
            self.held = text;
        }
    }

    /// Appends what was held back: nothing follows.
    pub(crate) fn finish(&mut self, shown: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.held);
        self.scan(&text, true, shown);
    }

    /// Masks `text` as far as can be decided; returns how far.
    fn scan(&self, text: &[u8], is_last: bool, shown: &mut Vec<u8>) -> usize {
        let (mut copied, mut at) = (0, 0);
        while let Some(skip) = text[at..].iter().position(|&b| self.begins[usize::from(b)]) {
            at += skip;
            match self.look(&text[at..], is_last) {
                Found::Nothing => at += 1,
                Found::Secret(len) => {
                    shown.extend_from_slice(&text[copied..at]);
                    shown.extend_from_slice(MASK);
                    at += len;
                    copied = at;
                }
                Found::Undecided => {
                    shown.extend_from_slice(&text[copied..at]);
                    return at;
                }
            }
        }
        shown.extend_from_slice(&text[copied..]);
        text.len()
    }

    fn look(&self, rest: &[u8], is_last: bool) -> Found {
        let mut found = Found::Nothing;
        let mut longest = 0;
        for secret in self.secrets.0.iter() {
            if rest.len() < secret.len() {
                if !is_last && secret.starts_with(rest) {
                    return Found::Undecided;
                }
            } else if secret.len() > longest && rest.starts_with(secret) {
                longest = secret.len();
                found = Found::Secret(longest);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets(texts: &[Vec<u8>]) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.extend(texts.iter().cloned());
        secrets
    }

    /// The rule, said dully: at each place the longest secret that stands there.
    fn naive(secrets: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
        let (mut shown, mut at) = (Vec::new(), 0);
        while at < text.len() {
            let here = secrets.iter().filter(|s| !s.is_empty() && text[at..].starts_with(s));
            if let Some(secret) = here.max_by_key(|secret| secret.len()) {
                shown.extend_from_slice(MASK);
                at += secret.len();
            } else {
                shown.push(text[at]);
                at += 1;
            }
        }
        shown
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"abc\n".as_slice()), 0..60)
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            texts in prop::collection::vec(prop::collection::vec(prop::sample::select(b"abc".as_slice()), 0..6), 1..5),
            pieces in prop::collection::vec(text(), 0..12),
        ) {
            let whole = pieces.concat();
            let mut shown = Vec::new();
            if let Some(mut masker) = Masker::new(&secrets(&texts)) {
                for piece in &pieces {
                    masker.push(piece, &mut shown);
                    prop_assert!(masker.held.len() < 6, "held {} bytes", masker.held.len());
                }
                masker.finish(&mut shown);
                prop_assert_eq!(shown, naive(&texts, &whole));
            } else {
                prop_assert!(texts.iter().all(Vec::is_empty));
            }
        }
    }

    #[test]
    fn a_secret_in_single_bytes_is_masked() {
        let mut masker = Masker::new(&secrets(&[b"sk-secret".to_vec()])).unwrap();
        let mut shown = Vec::new();
        for byte in b"key=sk-secret; sk-sec" {
            masker.push(&[*byte], &mut shown);
        }
        assert_eq!(shown, b"key=***; ", "what may become a secret is held back");
        masker.finish(&mut shown);
        assert_eq!(shown, b"key=***; sk-sec");
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", secrets(&[b"hush".to_vec()])), "Secrets(1)");
    }
}
