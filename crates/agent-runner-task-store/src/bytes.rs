//! Amounts of memory as people write and read them.

use std::{fmt, str::FromStr};

/// An amount of memory or disk: `512M`, `4G`, `1.5GiB`. Units are powers of 1024, a bare number is bytes.
///
/// It is written exactly, in the largest unit of which it is a whole number.
///
/// # Examples
///
/// ```
/// use agent_runner_task_store::Bytes;
///
/// assert_eq!("4 GiB".parse(), Ok(Bytes(4 << 30)));
/// assert_eq!(Bytes(1536 << 20).to_string(), "1536M");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// The text is no amount of memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an amount such as `512M` or `4G`")]
pub struct ParseBytesError;

const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

impl FromStr for Bytes {
    type Err = ParseBytesError;

    fn from_str(text: &str) -> Result<Self, ParseBytesError> {
        let text = text.trim().to_ascii_uppercase();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let shift = shift_of(unit.trim()).ok_or(ParseBytesError)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let whole: u64 = whole.parse().map_err(|_| ParseBytesError)?;
        // Of a part, nine digits are exact enough.
        let part: u64 = format!("{part:0<9}")
            .get(..9)
            .and_then(|digits| digits.parse().ok())
            .filter(|_| part.len() <= 9 && !part.is_empty())
            .ok_or(ParseBytesError)?;
        let part = (u128::from(part) << shift) / 1_000_000_000;
        let bytes = (u128::from(whole) << shift) + part;
        u64::try_from(bytes).map(Self).map_err(|_| ParseBytesError)
    }
}

fn shift_of(unit: &str) -> Option<u32> {
    let Some(first) = unit.chars().next().filter(|&first| first != 'B') else {
        return matches!(unit, "" | "B").then_some(0);
    };
    let (_, shift) = UNITS.into_iter().find(|(name, _)| *name == first)?;
    matches!(&unit[1..], "" | "B" | "IB").then_some(shift)
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |&(_, shift): &(char, u32)| self.0 > 0 && self.0.is_multiple_of(1 << shift);
        match UNITS.into_iter().find(fits) {
            Some((name, shift)) => write!(f, "{}{name}", self.0 >> shift),
            None => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("512M", 512 << 20),
            ("4g", 4 << 30),
            (" 4 GiB ", 4 << 30),
            ("1.5K", 1536),
            ("1TB", 1 << 40),
            ("7 b", 7),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "G", "-1", "1.", "1X", "4GB!", "1.2.3M", "99999999T", "4éG", "1KK"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes in any::<u64>(), shift in 0_u32..50) {
            let bytes = Bytes(bytes >> shift << shift);
            prop_assert_eq!(bytes.to_string().parse(), Ok(bytes));
        }

        #[test]
        fn no_text_panics(text in ".{0,20}") {
            drop(text.parse::<Bytes>());
        }
    }
}
