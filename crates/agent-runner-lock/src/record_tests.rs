//! What a record promises: what is written can be read, and nothing else can.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;

fn text(longest: usize) -> impl Strategy<Value = String> {
    let cut = move |mut text: String| {
        while text.len() > longest {
            text.pop();
        }
        text
    };
    prop_oneof![
        "[a-z0-9/._-]{0,20}".prop_map(cut),
        "\\PC{0,80}".prop_map(cut),
        "[\"\\\\]{0,300}".prop_map(cut),
    ]
}

prop_compose! {
    fn info()(
        token in 0..i64::MAX as u64,
        key in text(crate::name::MAX_KEY),
        holder_id in text(crate::dir::MAX_HOLDER),
        host in text(64),
        note in proptest::option::of("(?s).{0,50}|[\u{1}\"]{150}"),
        pid: u32,
        micros in 0..253_402_300_800_000_000_u64,
        timeout in proptest::option::of(0..u64::from(u32::MAX)),
        numbers: (Option<u64>, Option<u64>, Option<u32>),
        lease in proptest::option::of((0..=u64::MAX, 0..=u64::MAX)),
    ) -> LockInfo {
        let mut note: Option<String> = note;
        while note.as_ref().is_some_and(|note| note.len() > crate::TaskLock::MAX_NOTE) {
            note.as_mut().and_then(String::pop);
        }
        LockInfo {
            token,
            key,
            holder_id,
            pid,
            acquired_at: UNIX_EPOCH + Duration::from_micros(micros),
            timeout: timeout.map(Duration::from_millis),
            host,
            boot_id: Some("01234567-89ab-cdef-0123-456789abcdef".into()),
            start_time: numbers.0,
            pid_ns: numbers.1,
            uid: numbers.2,
            note,
            lease: lease.map(|(ttl, renewals)| crate::LeaseInfo {
                ttl: Duration::from_millis(ttl),
                renewals,
            }),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_can_be_read(info in info()) {
        let mut block = Block::held(&info);
        prop_assert_eq!(block.as_bytes().len(), LEN);
        let held = parse(block.as_bytes());
        prop_assert_eq!(held.as_ref().map(|record| record.state), Some(State::Held));
        prop_assert_eq!(held.map(|record| record.info), Some(info.clone()));

        block.set_state(State::Free);
        let free = parse(block.as_bytes());
        prop_assert_eq!(free, Some(Record { state: State::Free, info }));
    }

    #[test]
    fn a_record_is_json_for_anybody(info in info()) {
        let block = Block::held(&info);
        let json: serde_json::Value = serde_json::from_slice(block.as_bytes()).unwrap();
        prop_assert_eq!(json["task_id"].as_str(), Some(info.key.as_str()));
        for key in ["holder_id", "pid", "acquired_at", "timeout", "token", "state", "check"] {
            prop_assert!(json.get(key).is_some(), "{key} is missing");
        }
    }

    #[test]
    fn a_changed_byte_is_noticed(info in info(), at in 1..LEN, byte: u8) {
        let block = Block::held(&info);
        let mut changed = block.as_bytes().to_vec();
        let inside = at < block.body + tail_len();
        prop_assume!(inside && changed[at] != byte);
        changed[at] = byte;
        prop_assert_eq!(parse(&changed), None);
    }

    #[test]
    fn half_of_one_and_half_of_another_is_noticed(one in info(), two in info(), at in 1..LEN) {
        let (one, two) = (Block::held(&one), Block::held(&two));
        let torn = [&one.as_bytes()[..at], &two.as_bytes()[at..]].concat();
        prop_assume!(torn.trim_ascii() != one.as_bytes().trim_ascii());
        prop_assume!(torn.trim_ascii() != two.as_bytes().trim_ascii());
        prop_assert_eq!(parse(&torn), None);
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..LEN + 8)) {
        prop_assert_eq!(parse(&bytes), None);
    }

    #[test]
    fn sealed_garbage_never_panics(body in " (\\{\"v\":1,\"state\":\"(held|free)\",\"token\":[0-9]{0,30})?\\PC{0,80}") {
        let sealed = [body.as_bytes(), seal(body.as_bytes()).as_slice()].concat();
        if let Some(record) = parse(&sealed) {
            prop_assert!(i64::try_from(record.info.token).is_ok());
        }
    }
}

#[test]
fn a_record_of_the_first_sketch_is_not_ours() {
    let theirs = br#"{"task_id": 42, "holder_id": "worker-0", "pid": 1, "acquired_at": "2026-11-23T19:21:34.123456", "timeout": 300}"#;
    assert_eq!(parse(theirs), None);
    assert_eq!(parse(b""), None);
}

#[test]
fn the_longest_record_fits() {
    let info = LockInfo {
        token: (u64::MAX >> 1) - 1,
        key: "\"".repeat(crate::name::MAX_KEY),
        holder_id: "\"".repeat(crate::dir::MAX_HOLDER),
        pid: u32::MAX,
        acquired_at: UNIX_EPOCH + Duration::from_micros(253_402_300_799_999_999),
        timeout: Some(Duration::from_micros(u64::from(u32::MAX) * 1_000_000 + 1)),
        host: "\"".repeat(64),
        boot_id: Some("01234567-89ab-cdef-0123-456789abcdef".into()),
        start_time: Some(u64::MAX),
        pid_ns: Some(u64::MAX),
        uid: Some(u32::MAX),
        note: Some("\u{1}".repeat(crate::TaskLock::MAX_NOTE)),
        lease: Some(crate::LeaseInfo { ttl: Duration::from_millis(u64::MAX), renewals: u64::MAX }),
    };
    // Which panics if it does not fit. Fractions of a timeout are rounded.
    let block = Block::held(&info);
    assert_eq!(parse(block.as_bytes()).map(|record| record.info.key), Some(info.key));
}
