//! Sets of characters.

/// A set of characters: ranges in order, with a gap between any two.
///
/// Most have one character or nearly all, for which nothing is allocated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CharSet {
    One([(char, char); 1]),
    Known(&'static [(char, char)]),
    Listed(Vec<(char, char)>),
}

impl CharSet {
    /// All there are.
    pub(super) const ALL: Self = Self::Known(&[('\0', char::MAX)]);
    /// All that can be in a name.
    pub(super) const NO_SLASH: Self = Self::Known(&[('\0', '.'), ('0', char::MAX)]);

    pub(super) const fn one(character: char) -> Self {
        Self::One([(character, character)])
    }

    /// All but those in the given ranges, which may come in any order.
    pub(super) fn all_but(mut ranges: Vec<(char, char)>) -> Self {
        ranges.sort_unstable();
        let mut rest = Vec::new();
        let mut from = Some('\0');
        for (low, high) in ranges {
            let Some(start) = from else { break };
            if let Some(before) = (start..low).next_back() {
                rest.push((start, before));
            }
            from = if high < start { from } else { (high..=char::MAX).nth(1) };
        }
        rest.extend(from.map(|start| (start, char::MAX)));
        Self::Listed(rest)
    }

    /// Those in the given ranges, which may come in any order.
    pub(super) fn of(ranges: Vec<(char, char)>) -> Self {
        Self::all_but(Self::all_but(ranges).ranges().to_vec())
    }

    fn ranges(&self) -> &[(char, char)] {
        match self {
            Self::One(ranges) => ranges,
            Self::Known(ranges) => ranges,
            Self::Listed(ranges) => ranges,
        }
    }

    /// The ranges that two sets have in common.
    pub(super) fn common<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (char, char)> + 'a {
        let other = other.ranges();
        let pairs = self.ranges().iter().flat_map(move |a| other.iter().map(move |b| (a, b)));
        pairs.map(|(a, b)| (a.0.max(b.0), a.1.min(b.1))).filter(|(low, high)| low <= high)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Around the ends of all there is, and around the gap in the middle.
    fn character() -> impl Strategy<Value = char> {
        prop::sample::select(
            "\0\u{1}abcde/\u{d7fe}\u{d7ff}\u{e000}\u{e001}\u{10fffe}\u{10ffff}"
                .chars()
                .collect::<Vec<_>>(),
        )
    }

    fn ranges() -> impl Strategy<Value = Vec<(char, char)>> {
        let range = (character(), character()).prop_map(|(a, b)| (a.min(b), a.max(b)));
        prop::collection::vec(range, 0..4)
    }

    proptest! {
        #[test]
        fn a_set_has_what_its_ranges_have(a in ranges(), b in ranges(), one in character()) {
            let within = |ranges: &[(char, char)]| ranges.iter().any(|r| (r.0..=r.1).contains(&one));
            let (in_a, in_b) = (within(&a), within(&b));
            let (a, not_b) = (CharSet::of(a), CharSet::all_but(b));
            prop_assert_eq!(within(a.ranges()), in_a);
            prop_assert_eq!(within(not_b.ranges()), !in_b);
            let common: Vec<_> = a.common(&not_b).collect();
            prop_assert_eq!(within(&common), in_a && !in_b);
            for set in [&a, &not_b, &CharSet::ALL, &CharSet::NO_SLASH] {
                prop_assert!(set.ranges().is_sorted_by(|x, y| x.1 < y.0), "{set:?}");
            }
        }
    }
}
