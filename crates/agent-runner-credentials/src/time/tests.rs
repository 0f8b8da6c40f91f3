//! The calendar.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::{at, next_midnight, next_month, parse_http_date, parse_rfc3339, rfc3339};

/// From 1970 to the end of 9999.
const SECONDS: std::ops::Range<u64> = 0..253_402_300_800;

proptest! {
    #[test]
    fn what_is_written_can_be_read(seconds in SECONDS) {
        let time = at(seconds).unwrap();
        prop_assert_eq!(parse_rfc3339(&rfc3339(time)), Some(time));
    }

    #[test]
    fn midnight_is_near(seconds in SECONDS, hours_behind in 0..12_u64) {
        let time = at(seconds).unwrap();
        let wait = next_midnight(time, hours_behind).duration_since(time).unwrap();
        let shifted = next_midnight(time, hours_behind) - Duration::from_secs(hours_behind * 3600);
        prop_assert!(rfc3339(shifted).ends_with("T00:00:00Z"), "not a midnight there");
        prop_assert!(wait <= Duration::from_secs(86_400 + hours_behind * 3600), "{wait:?} is too far");
    }

    #[test]
    fn any_text_is_a_date_or_not(text in ".{0,40}", like in "[0-9]{0,5}[-T:Z+ ,a-zGMT0-9]{0,30}") {
        for text in [text, like] {
            parse_http_date(&text);
            parse_rfc3339(&text);
        }
    }
}

#[test]
fn months_end() {
    let check = |time, expected: &str| {
        assert_eq!(rfc3339(next_month(parse_rfc3339(time).unwrap())), expected, "after {time}");
    };
    check("2026-11-23T18:00:00Z", "2026-12-01T00:00:00Z");
    check("2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z");
    check("2028-02-29T12:00:00Z", "2028-03-01T00:00:00Z");
}

#[test]
fn offsets_and_fractions() {
    let check = |text, expected: Option<&str>| {
        assert_eq!(parse_rfc3339(text).map(rfc3339).as_deref(), expected, "{text}");
    };
    check("2026-04-01T02:00:00+02:00", Some("2026-04-01T00:00:00Z"));
    check("2026-03-31t17:00:00.123-07:00", Some("2026-04-01T00:00:00Z"));
    check("2026-04-01 00:00:00.5z", Some("2026-04-01T00:00:00Z"));
    check("2026-02-29T00:00:00Z", None);
    check("2026-04-01T24:00:00Z", None);
    check("2026-04-01T00:00:00", None);
    check("2026-04-01", None);
}

#[test]
fn a_date_before_1970_is_none() {
    assert_eq!(parse_http_date("Wed, 31 Dec 1969 23:59:59 GMT"), None);
    assert_eq!(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(UNIX_EPOCH));
}
