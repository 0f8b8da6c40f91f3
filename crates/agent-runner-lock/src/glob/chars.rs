//! Sets of characters.

/// A set of characters: ranges in order, with a gap between any two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CharSet(Vec<(char, char)>);

impl CharSet {
    pub(super) fn one(character: char) -> Self {
        Self(vec![(character, character)])
    }

    pub(super) fn all() -> Self {
        Self(vec![('\0', char::MAX)])
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
        Self(rest)
    }

    /// Those in the given ranges, which may come in any order.
    pub(super) fn of(ranges: Vec<(char, char)>) -> Self {
        Self::all_but(Self::all_but(ranges).0)
    }

    /// All that can be in a name.
    pub(super) fn no_slash() -> Self {
        Self::all_but(vec![('/', '/')])
    }

    /// The ranges that two sets have in common.
    pub(super) fn common<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (char, char)> + 'a {
        let pairs = self.0.iter().flat_map(|a| other.0.iter().map(move |b| (a, b)));
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
            prop_assert_eq!(within(&a.0), in_a);
            prop_assert_eq!(within(&not_b.0), !in_b);
            let common: Vec<_> = a.common(&not_b).collect();
            prop_assert_eq!(within(&common), in_a && !in_b);
            for set in [&a, &not_b] {
                prop_assert!(set.0.is_sorted_by(|x, y| x.1 < y.0), "{set:?}");
            }
        }
    }
}
