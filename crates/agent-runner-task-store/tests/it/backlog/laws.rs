//! What holds for any text and any task.

use std::time::{Duration, SystemTime};

use agent_runner_task_store::{
    CommandLine, NewTask, TaskId,
    backlog::{self, Format, tick},
};
use proptest::{collection::vec, option, prelude::*};
use serde_json::Value;

/// Text of one to a few lines, with what formats stumble over.
fn text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        4 => "[a-z]{1,8}",
        2 => " {1,2}",
        1 => "\\PC{1,3}",
        2 => prop::sample::select(vec![
            "\n", "\n\n", "\n  ", "\r\n", "\t", "\"", "'", "`", "```\n", "- ", "- [ ] ", "- [x] ", "* ",
            "1. ", "> ", "# ", "#", "|", ":", ": ", "---\n", "...", "{", "}", "{#a}", "[", "]", "<!--",
            "-->", ",", ";", "&a", "*a", "!", "%", "@", "\\", "\\n", "null", "true", "~", "no", "1.0",
            "=", "==", "\u{feff}", "\u{85}", "\u{2028}", "\u{0}", "\u{7f}",
        ]).prop_map(str::to_owned),
    ];
    vec(pieces, 1..12).prop_map(|pieces| pieces.concat())
}

fn prompt() -> impl Strategy<Value = String> {
    text().prop_filter("a blank prompt is none", |text| !text.trim().is_empty())
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,6}", text()].prop_filter_map("a word has no space at an end", |text| {
        let word = text.trim();
        (!word.is_empty()).then(|| word.to_owned())
    })
}

fn id() -> impl Strategy<Value = TaskId> {
    word().prop_filter_map("an id has no control characters", |word| TaskId::new(word).ok())
}

fn command() -> impl Strategy<Value = CommandLine> {
    prop_oneof![
        prompt().prop_map(CommandLine::Shell),
        prop::sample::select(vec!["[\"a\"]", "\"a\"", "[1]", "[ -f a ]", " [] "])
            .prop_map(|line| CommandLine::Shell(line.into())),
        (word(), vec(text(), 0..3)).prop_map(|(program, mut words)| {
            words.insert(0, program);
            CommandLine::Argv(words)
        }),
    ]
}

/// Any JSON without what TOML has no word for.
fn payload() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec((text(), inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (1..100_000_u64).prop_map(Duration::from_secs),
        (1..u64::MAX / 1000).prop_map(Duration::from_nanos),
    ]
}

fn time() -> impl Strategy<Value = SystemTime> {
    (0..4_000_000_000_u64, 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanos)| SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos))
}

/// A task as reading gives it, but for key and source.
fn task() -> impl Strategy<Value = NewTask> {
    let what = (option::of(id()), option::of(word()), prompt(), option::of(command()));
    let words = || vec(word(), 0..3);
    let order = (any::<i32>(), vec(id(), 0..3), words(), words(), words());
    let limits = (option::of(1..u32::MAX), option::of(duration()), option::of(duration()));
    let limits = (limits, option::of(1..u64::MAX));
    let rest = (
        option::of(command()),
        option::of(any::<bool>()),
        option::of(time()),
        option::of(payload()),
    );
    (what, order, limits, rest).prop_map(|(what, order, limits, rest)| {
        let (id, title, prompt, command) = what;
        let (priority, depends_on, locks, touches, tags) = order;
        let ((max_attempts, timeout, idle_timeout), memory) = limits;
        let (verify, expect_diff, not_before, payload) = rest;
        let first = prompt.lines().map(str::trim).find(|line| !line.is_empty());
        let title = title.map(|title| title.split_whitespace().collect::<Vec<_>>().join(" "));
        let title = title.unwrap_or_else(|| first.unwrap_or_default().to_owned());
        let payload = payload.unwrap_or_default();
        let (key, source) = (None, None);
        #[rustfmt::skip]
        let task = NewTask {
            id, key, title, prompt, command, priority, depends_on, locks, touches, tags,
            max_attempts, timeout, idle_timeout, memory, verify, expect_diff, not_before, payload, source,
        };
        task
    })
}

/// Tasks whose ids are all different.
fn tasks() -> impl Strategy<Value = Vec<NewTask>> {
    vec(task(), 1..5).prop_map(|mut tasks| {
        let mut seen = std::collections::HashSet::new();
        for task in &mut tasks {
            task.id.take_if(|id| !seen.insert(id.clone()));
        }
        tasks
    })
}

fn without_traces(mut tasks: Vec<NewTask>) -> Vec<NewTask> {
    for task in &mut tasks {
        (task.key, task.source) = (None, None);
    }
    tasks
}

/// Bytes that are often nearly a backlog.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..200),
        text().prop_map(String::into_bytes),
        (prop::sample::select(Format::ALL.to_vec()), tasks(), vec(any::<(u16, u8)>(), 0..4))
            .prop_map(|(format, tasks, changes)| {
                let mut bytes = Vec::new();
                // Some tasks cannot be written as lines; what was written before them will do.
                let _ = backlog::write(format, &tasks, &mut bytes).is_ok();
                for (place, byte) in changes {
                    let length = bytes.len().max(1);
                    if let Some(changed) = bytes.get_mut(usize::from(place) % length) {
                        *changed = byte;
                    }
                }
                bytes
            }),
    ]
}

fn formats() -> impl Strategy<Value = Format> {
    prop::sample::select(Format::ALL.to_vec())
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        format in formats().prop_filter("lines say less", |&format| format != Format::Lines),
        tasks in tasks(),
    ) {
        let mut text = Vec::new();
        backlog::write(format, &tasks, &mut text).expect("memory takes all");
        let read = backlog::parse("t", format, &text)
            .map_err(|errors| TestCaseError::fail(format!("{errors}")))?;
        prop_assert_eq!(without_traces(read), tasks, "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn no_bytes_make_a_panic_or_an_endless_backlog(format in formats(), bytes in bytes()) {
        let read: Vec<_> = backlog::read("t", format, bytes.as_slice()).collect();
        prop_assert!(read.len() <= bytes.len() + 1);
        for error in read.iter().filter_map(|task| task.as_ref().err()) {
            let message = error.to_string();
            prop_assert!(message.starts_with("t:") && !message.ends_with('.'), "{}", message);
        }
        let _ = Format::sniff(&bytes);
    }

    #[test]
    fn what_is_read_can_be_written_and_is_the_same(format in formats(), bytes in bytes()) {
        if let Ok(tasks) = backlog::parse("t", format, &bytes) {
            let mut text = Vec::new();
            backlog::write(Format::Jsonl, &tasks, &mut text).expect("memory takes all");
            let again = backlog::parse("t", Format::Jsonl, &text);
            prop_assert_eq!(tasks.is_empty(), again.is_err(), "only an empty backlog is refused");
            prop_assert_eq!(without_traces(again.unwrap_or_default()), without_traces(tasks));
        }
    }

    #[test]
    fn reading_twice_gives_the_same(format in formats(), bytes in bytes()) {
        let read = || backlog::parse("t", format, &bytes).map_err(|errors| errors.to_string());
        prop_assert_eq!(read(), read());
    }

    #[test]
    fn ticking_changes_boxes_of_what_is_done_and_nothing_else(
        lines in vec((prop::sample::select(vec![
            "- [ ] ", "- [x] ", "* [ ] ", "  - [ ] ", "1. [ ] ", "> - [ ] ", "", "  ", "```\n", "\n", "# ",
        ]), text()), 0..12),
        bits in any::<u64>(),
    ) {
        let text = lines.iter().flat_map(|(start, rest)| [start, rest.as_str(), "\n"]).collect::<String>();
        let mut asked = 0;
        let mut ticked_keys = Vec::new();
        let ticked = tick(&text, |task| {
            asked += 1;
            let done = bits >> (asked % 64) & 1 == 1;
            if done {
                ticked_keys.push((task.id.clone(), task.key.clone()));
            }
            done
        });
        prop_assert_eq!(ticked.is_some(), !ticked_keys.is_empty());
        let ticked = ticked.unwrap_or_else(|| text.clone());
        let changed: Vec<_> = text.bytes().zip(ticked.bytes()).enumerate()
            .filter(|(_, (before, after))| before != after).collect();
        prop_assert_eq!((text.len(), changed.len()), (ticked.len(), ticked_keys.len()));
        for (place, (before, after)) in changed {
            prop_assert!(before.is_ascii_whitespace() && after == b'x');
            prop_assert_eq!((&ticked[place - 1..place], &ticked[place + 1..place + 2]), ("[", "]"));
        }
        let again = tick(&ticked, |task| {
            ticked_keys.contains(&(task.id.clone(), task.key.clone()))
        });
        prop_assert_eq!(again, None, "what is ticked is not asked about again");
    }
}
