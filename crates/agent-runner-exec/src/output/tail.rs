//! The last bytes of an output.

/// Keeps the last [`Tail::LEN`] bytes of what it is given.
#[derive(Default)]
pub(crate) struct Tail {
    /// At most twice as long, so that bytes are moved rarely.
    kept: Vec<u8>,
}

impl Tail {
    pub(crate) const LEN: usize = 4096;

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(Self::LEN)..];
        if self.kept.len() + bytes.len() > 2 * Self::LEN {
            let old = self.kept.len() - (Self::LEN - bytes.len());
            self.kept.drain(..old);
        }
        self.kept.extend_from_slice(bytes);
    }

    /// The kept bytes as text, without the rest of a character that was cut.
    pub(crate) fn to_text(&self) -> String {
        let cut = self.kept.len().saturating_sub(Self::LEN);
        let mut bytes = &self.kept[cut..];
        if cut > 0 {
            let is_rest = |&&byte: &&u8| byte & 0b1100_0000 == 0b1000_0000;
            bytes = &bytes[bytes.iter().take(3).take_while(is_rest).count()..];
        }
        String::from_utf8_lossy(bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_bytes_are_kept(lens in prop::collection::vec(0_usize..6000, 0..12)) {
            let mut tail = Tail::default();
            let mut all = String::new();
            for (len, letter) in lens.into_iter().zip('a'..) {
                let piece = letter.to_string().repeat(len);
                tail.push(piece.as_bytes());
                all.push_str(&piece);
                prop_assert!(tail.kept.len() <= 2 * Tail::LEN);
            }
            prop_assert_eq!(tail.to_text(), &all[all.len().saturating_sub(Tail::LEN)..]);
        }
    }

    #[test]
    fn a_cut_character_is_dropped() {
        let mut tail = Tail::default();
        tail.push("ä".repeat(Tail::LEN / 2).as_bytes());
        tail.push(b"x");
        assert_eq!(tail.to_text(), "ä".repeat(Tail::LEN / 2 - 1) + "x");
    }
}
