//! The scanner beside a parser that reads everything.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const WANTED: &[&str] = &["usage", "model"];

/// What is found when the text comes in pieces of this size.
fn scan(mut scanner: Scanner, text: &str, piece: usize) -> (Vec<(String, Value)>, u64) {
    let mut all = Vec::new();
    for bytes in text.as_bytes().chunks(piece.max(1)) {
        scanner.feed(bytes, |found| {
            let there = &text.as_bytes()[found.range.clone()];
            assert_eq!(there, found.value, "the range is where the value stands");
            all.push((found.key.to_owned(), serde_json::from_slice(found.value).unwrap()));
        });
    }
    (all, scanner.documents())
}

#[track_caller]
fn check(text: &str, expected: &[(&str, Value)]) {
    let expected: Vec<_> = expected.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    for piece in [1, 2, 3, 7, text.len()] {
        assert_eq!(scan(Scanner::new(WANTED), text, piece).0, expected, "{text} by {piece}");
        let one_line = text.replace('\n', " ");
        assert_eq!(scan(Scanner::by_line(WANTED), &one_line, piece).0, expected, "by line: {text}");
    }
}

#[test]
fn fields_are_found_where_they_belong() {
    check(r#"{"model":"m","usage":{"a":1}}"#, &[("model", json!("m")), ("usage", json!({"a":1}))]);
    check(
        r#"{"type":"message_start","message":{"model" : "m" ,"content":[],"usage":{"a":[1,{"b":2}]}}}"#,
        &[("model", json!("m")), ("usage", json!({"a":[1,{"b":2}]}))],
    );
    check(r#"[{"usage":1},{"usage":2}]"#, &[("usage", json!(1)), ("usage", json!(2))]);
    check("{\n  \"usage\": {\n    \"a\": \"}\\\"\"\n  }\n}", &[("usage", json!({"a": "}\""}))]);
    check(
        r#"{"usage":null,"x":"\\","model":"y"}"#,
        &[("usage", json!(null)), ("model", json!("y"))],
    );
}

#[test]
fn fields_are_not_found_where_they_do_not() {
    check(r#"{"text":"\"usage\":{\"a\":1}"}"#, &[]);
    check(r#"{"content":[{"input":{"usage":{"a":1},"model":"x"}}]}"#, &[]);
    check(r#"{"other":{"usage":1},"list":["usage","model"]}"#, &[]);
    check(r#"{"message":{"deep":{"usage":1}}}"#, &[]);
    check(r#"{"x":"usage","y":"model"}"#, &[]);
    check(r#"{"usage_of":1,"amodel":2,"use":3}"#, &[]);
    check(r"not json at all } ] , : {", &[]);
}

#[test]
fn a_stream_starts_anew_on_each_line() {
    let text = "event: a\ndata: {\"usage\":{\"a\":1\n\ndata: {\"usage\":2}\n\n: \"a comment\ndata: {\"model\":\"m\"}\n\n";
    for piece in [1, 5, 1000] {
        let (found, documents) = scan(Scanner::by_line(WANTED), text, piece);
        assert_eq!(found, [("usage".into(), json!(2)), ("model".into(), json!("m"))]);
        assert_eq!(documents, 2);
    }
}

#[test]
fn long_values_are_passed_over() {
    let long = "x".repeat(2 * LONGEST_VALUE);
    check(&json!({ "model": long, "usage": 1 }).to_string(), &[("usage", json!(1))]);
    let mut scanner = Scanner::new(WANTED);
    scanner.feed(br#"{"usage":""#, |_| ());
    for _ in 0..100 {
        scanner.feed(long.as_bytes(), |_| ());
        assert!(scanner.capture.as_ref().is_some_and(|it| it.value.len() <= LONGEST_VALUE + 1));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![Just("usage"), Just("model"), Just("message"), Just("x\"\\\n{")];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i32>().prop_map(Value::from),
        prop_oneof![Just("\"usage\":1"), Just("\\"), Just("}\u{e9}]"), Just("")]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What the scanner should find, by a parser that holds all.
fn expected(value: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        if WANTED.contains(&key.as_str()) {
            all.push((key.clone(), value.clone()));
        } else if WRAPPERS.contains(&key.as_bytes()) {
            let inner = value.as_object().into_iter().flatten();
            let inner = inner.filter(|(key, _)| WANTED.contains(&key.as_str()));
            all.extend(inner.map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    all
}

proptest! {
    #[test]
    fn it_finds_what_a_parser_finds(value in any_json(), pretty: bool, piece in 1..40_usize) {
        let object = json!({ "first": value.clone(), "message": value, "usage": 7 });
        let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) };
        let text = text.unwrap();
        let (found, documents) = scan(Scanner::new(WANTED), &text, piece);
        prop_assert_eq!(found, expected(&object));
        prop_assert_eq!(documents, 1);
    }

    #[test]
    fn it_takes_anything(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8), by_line: bool) {
        let mut scanner = if by_line { Scanner::by_line(WANTED) } else { Scanner::new(WANTED) };
        for piece in pieces {
            scanner.feed(&piece, |_| ());
            prop_assert!(scanner.key.len() <= LONGEST_KEY + 1);
        }
    }
}
