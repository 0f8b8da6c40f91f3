//! Resets as they were seen, and what must hold for any text.

use proptest::prelude::*;

use super::*;

/// 2026-11-23 16:00:00 UTC, a Monday.
const NOW: u64 = 1_795_449_600;
const HOUR: u64 = 3600;

fn oslo() -> Now {
    Now::local(epoch(NOW).unwrap(), 3600, "Europe/Oslo")
}

/// Seconds from now to the reset.
#[track_caller]
fn check(text: &str, now: &Now, expected: Option<u64>) {
    let at = reset_at(&text.to_lowercase(), now);
    let ahead = at.map(|at| at.duration_since(epoch(NOW).unwrap()).expect("it is ahead").as_secs());
    assert_eq!(ahead, expected, "{text}");
}

#[test]
fn times_of_day_are_the_next_ones() {
    let utc = Now::utc(epoch(NOW).unwrap());
    check("You've hit your session limit · resets 5:13pm (UTC)", &utc, Some(HOUR + 13 * 60));
    check("… or try again at 6:20 PM.", &utc, Some(2 * HOUR + 20 * 60));
    check("… or try again at 6:20 PM.", &oslo(), Some(HOUR + 20 * 60));
    check("resets 3pm", &utc, Some(23 * HOUR));
    check("resets 12am", &utc, Some(8 * HOUR));
    check("resets 12:30pm", &utc, Some(20 * HOUR + HOUR / 2));
    check("resets 17:00 (UTC)", &oslo(), Some(HOUR));
    check("resets 7pm (Europe/Oslo)", &oslo(), Some(2 * HOUR));
    check("try again at 6:20\u{202f}PM.", &utc, Some(2 * HOUR + 20 * 60));
}

#[test]
fn dates_with_and_without_a_year() {
    let utc = Now::utc(epoch(NOW).unwrap());
    let day = 24 * HOUR;
    check("or try again at Nov 25th, 2026 5:42 PM.", &utc, Some(2 * day + HOUR + 42 * 60));
    check(
        "Limit reached · resets Dec 17 at 6am (Europe/Oslo)",
        &oslo(),
        Some(23 * day + 13 * HOUR),
    );
    check("resets Jan 1, 12am", &utc, Some(38 * day + 8 * HOUR));
    let api = "You will regain access on 2026-12-01 at 00:00 UTC.";
    check(api, &oslo(), Some(7 * day + 8 * HOUR));
    check("Claude AI usage limit reached|1795453200", &utc, Some(HOUR));
}

#[test]
fn what_cannot_be_known_is_not_guessed() {
    for text in [
        "You've hit your limit · resets 7pm (America/Los_Angeles)",
        "try again later",
        "try again at noon",
        "resets 25:00",
        "resets 13pm",
        "resets Feb 30 at 6am",
        "it resets the counter at 5pm",
        "",
    ] {
        check(text, &oslo(), None);
    }
}

#[test]
fn spans_stay_spans() {
    let after = |text: &str| retry_after(text).map(|after| after.as_secs());
    assert_eq!(after("please try again in 20s."), Some(20));
    assert_eq!(after("please retry in 23h."), Some(23 * HOUR));
    assert_eq!(after("it will reset in 5 minutes. to continue"), Some(300));
    assert_eq!(after("your quota will reset after 23h15m3s."), Some(83_703));
    assert_eq!(after("try again in a while"), None);
}

proptest! {
    #[test]
    fn no_text_panics(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "resets ", "try again at ", "reached|", "9999999999999999999", "9999-12-31 ", "dec ",
                "31st ", "2026 ", "12", ":", "59", "pm ", "(utc)", "\u{202f}", "é", "0", "try again in ",
                "9e", "99999999999d",
            ]),
            0..12,
        ),
        seconds in any::<u64>(),
        offset in any::<i32>(),
    ) {
        let time = epoch(seconds).unwrap_or(UNIX_EPOCH);
        let text = words.concat();
        reset_at(&text, &Now::local(time, offset, "Z"));
        retry_after(&text);
    }

    #[test]
    fn days_and_dates_agree(day in -1_000_000i64..1_000_000) {
        let (year, month, day_of_month) = civil(day);
        prop_assert_eq!(days(year, month, day_of_month), Some(day));
    }
}
