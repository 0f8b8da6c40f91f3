//! The reader beside serde_json, and where they part.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(chunks: &[&[u8]]) -> Vec<Value> {
    let mut reader = Reader::new(|kind| kind != "unwanted", &["unread"]);
    let mut objects = Vec::new();
    for chunk in chunks {
        reader.feed(chunk, &mut |object| objects.push(object));
    }
    objects
}

#[track_caller]
fn check(text: &str, expected: &[Value]) {
    assert_eq!(read(&[text.as_bytes()]), expected, "{text}");
}

#[test]
fn an_object_is_handed_over_with_its_last_byte() {
    let mut reader = Reader::new(|_| true, &[]);
    let mut count = 0;
    reader.feed(br#"{"a":1"#, &mut |_| count += 1);
    assert_eq!(count, 0);
    reader.feed(b"}", &mut |object| {
        assert_eq!(object, json!({"a": 1}));
        count += 1;
    });
    assert_eq!(count, 1);
}

#[test]
fn what_is_no_object_is_passed_over() {
    check("", &[]);
    check(
        "hello\n{\"a\":1}\nworld {\"b\":2}\n[1]\n\"{\"\n7\n  {\"c\":3}\n",
        &[json!({"a": 1}), json!({"c": 3})],
    );
    check("{\"a\":1} {\"b\":2}\n", &[json!({"a": 1})]);
    for broken in [
        "{a:1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":[1,]}",
        "{\"a\":1]",
        "{\"a\":01}",
        "{\"a\":t}",
        "{\"a\":1 2}",
        "{\"a\":\"x\ny\"}",
        "{\"a\"1}",
        "{\"a\":-}",
        "{1:2}",
        "{\"a\":[1}",
    ] {
        check(broken, &[]);
    }
}

#[test]
fn a_line_that_was_cut_costs_itself_alone() {
    for cut in [
        "{",
        "{\"a",
        "{\"a\":",
        "{\"a\":[",
        "{\"a\":{\"b\":\"c\\",
        "{\"a\":1,",
        "{\"a\":\"{",
        "{\"x\":[[[[",
    ] {
        check(&format!("{cut}\n{{\"b\":2}}\n"), &[json!({"b": 2})]);
    }
}

#[test]
fn an_object_may_go_over_lines() {
    let value = json!({"a": [1, {"b": null}], "c": {"d": "e\nf"}});
    let text = serde_json::to_string_pretty(&value).unwrap();
    check(&text, std::slice::from_ref(&value));
    check(&text.replace('\n', "\r\n"), &[value]);
}

#[test]
fn an_unwanted_type_is_forgotten() {
    check(
        "{\"type\":\"unwanted\",\"a\":[{\"type\":\"b\"}]}\n{\"type\":\"c\"}\n",
        &[json!({"type": "c"})],
    );
    check("{\"a\":{\"type\":\"unwanted\"}}\n", &[json!({"a": {"type": "unwanted"}})]);
    check("{\"a\":1,\"type\":\"unwanted\"}\n{\"b\":1}", &[json!({"b": 1})]);
}

#[test]
fn fields_that_nobody_reads_are_left_out() {
    check(
        r#"{"unread":"a\"{","b":{"unread":[{"c":"}"}],"d":["e"],"unread":{}},"f":1}"#,
        &[json!({"b": {"d": ["e"]}, "f": 1})],
    );
    check("{\"unread\":\"a\"\"b\"}\n{\"c\":1}", &[json!({"c": 1})]);
}

#[test]
fn texts_are_unescaped_and_cut() {
    check(r#"{"a":"\"\\\/\n\u00e9\ud83d\ude00"}"#, &[json!({"a": "\"\\/\né😀"})]);
    check(r#"{"a":"x\ud83dy"}"#, &[json!({"a": "x\\ud83dy"})]);
    let long = "x".repeat(MAX_STRING - 3);
    check(&format!("{{\"a\":\"{long}\\u00e9é\",\"b\":1}}"), &[json!({"a": long, "b": 1})]);
    let objects = read(&[b"{\"a\":\"\xff\"}"]);
    assert_eq!(objects, [json!({"a": "\u{fffd}"})]);
}

#[test]
fn what_comes_after_something_huge_is_kept() {
    let huge = "x".repeat(1_000_000);
    let list = vec!["y"; 100_000];
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let line = format!(
        "{{\"a\":\"{huge}\",\"b\":{},\"c\":{deep},\"type\":\"result\",\"d\":true}}\n",
        json!(list)
    );
    let objects = read(&[line.as_bytes()]);
    assert_eq!(objects.len(), 1);
    assert_eq!((&objects[0]["type"], &objects[0]["d"]), (&json!("result"), &json!(true)));
    assert_eq!(objects[0]["a"].as_str().map(str::len), Some(MAX_STRING));
    assert!(objects[0]["b"].as_array().is_some_and(|list| (100..1000).contains(&list.len())));
}

/// What a value takes, about in bytes.
fn held(value: &Value) -> usize {
    match value {
        Value::String(text) => VALUE_COST + text.len(),
        Value::Array(list) => VALUE_COST + list.iter().map(held).sum::<usize>(),
        Value::Object(fields) => OBJECT_COST + held_fields(fields),
        _ => VALUE_COST,
    }
}

fn held_fields(fields: &Map<String, Value>) -> usize {
    fields.iter().map(|(name, value)| name.len() + held(value)).sum()
}

impl Reader {
    fn held(&self) -> usize {
        let of_open = |open: &Open| match open {
            Open::List(list) => list.iter().map(held).sum::<usize>(),
            Open::Object { fields, name } => name.capacity() + held_fields(fields),
        };
        self.token.capacity() + self.open.iter().map(of_open).sum::<usize>()
    }
}

/// The worst that a stream can do: each field as large as is kept, in each way there is.
#[test]
fn memory_is_bounded() {
    let bound = MAX_FIELDS * (MAX_FIELD + MAX_STRING + OBJECT_COST) + 3 * MAX_STRING;
    for item in ["\"xxxxxxxxxxxxxxxx\",", "0,", "[],", "{\"k\":0},", "[[[[[[[[[[", "\"k\\u0000\","]
    {
        let mut reader = Reader::new(|_| true, &[]);
        reader.feed(b"{", &mut |_| {});
        let items = item.repeat(2_000);
        for field in 0..MAX_FIELDS + 10 {
            let name = format!("\"{field}{}\":[", "n".repeat(2 * MAX_STRING));
            reader.feed(name.as_bytes(), &mut |_| {});
            reader.feed(items.as_bytes(), &mut |_| {});
            assert!(reader.held() <= bound, "{} of {bound} after {item}", reader.held());
            reader.feed(b"0],", &mut |_| {});
        }
    }
}

/// Values that are kept whole.
fn small_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        "[\\\\\"\n\t\u{0}-\u{20}é😀]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"\\\\é]{0,3}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// What JSON is made of; a backslash only where it escapes something.
fn parts() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        8 => prop::sample::select(["{", "}", "[", "]", "\"", ":", ",", "\n"].as_slice()),
        8 => prop::sample::select(["0", "1", "10", ".", "e", "E", "+", "-", " "].as_slice()),
        4 => prop::sample::select(["true", "false", "null", "t", "rue", "n"].as_slice()),
        1 => prop::sample::select(["\\\"", "\\\\", "\\n", "\\u00e9"].as_slice()),
    ]
}

#[test]
fn an_escape_that_there_is_not_stays_as_it_is() {
    assert_eq!(read(&[br#"{"a":"\:"}"#]), [json!({ "a": "\\:" })]);
}

proptest! {
    #[test]
    fn small_objects_are_read_as_serde_json_reads_them(
        values in prop::collection::vec(small_values(), 0..4),
        size in 1usize..20,
        is_pretty in any::<bool>(),
    ) {
        let objects: Vec<_> = values.into_iter().map(|value| json!({ "value": value })).collect();
        let write = if is_pretty { serde_json::to_string_pretty } else { serde_json::to_string };
        let lines: Vec<_> = objects.iter().map(|object| write(object).unwrap() + "\n").collect();
        let text = lines.concat();
        let chunks: Vec<_> = text.as_bytes().chunks(size).collect();
        prop_assert_eq!(read(&chunks), objects);
    }

    /// Whatever is handed over was JSON, but for texts: bytes that JSON wants escaped and escapes that
    /// it does not know are kept as they are.
    #[test]
    fn nothing_else_is_read_as_an_object(parts in prop::collection::vec(parts(), 0..40)) {
        let line = format!("{{\"a\":{}", parts.concat());
        for line in line.lines().take(1) {
            let expected: Result<Vec<Value>, _> =
                serde_json::Deserializer::from_str(line).into_iter().take(1).collect();
            prop_assert_eq!(read(&[line.as_bytes()]), expected.unwrap_or_default());
        }
    }
}
