//! Keys: the same task is the same task when it is read again.

use agent_runner_task_store::backlog::Format;

use super::tasks;

fn keys(format: Format, text: &str) -> Vec<String> {
    let tasks = tasks(format, text).into_iter();
    tasks.map(|task| task.key.expect("these have no id")).collect()
}

fn key(text: &str) -> String {
    keys(Format::Jsonl, text).remove(0)
}

#[test]
fn reading_again_gives_the_same_keys() {
    let text = "first\nsecond\nfirst\nfirst\n";
    let read = keys(Format::Lines, text);
    assert_eq!(read, keys(Format::Lines, text));
    let mut distinct = read.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 4, "each of the same lines is a task of its own");
    assert_eq!(keys(Format::Lines, "a new one\nsecond\nfirst\n")[1..], [&*read[1], &*read[0]]);
}

#[test]
fn a_key_is_what_is_done_and_not_how() {
    let plain = key(r#"{"prompt": "Fix it"}"#);
    for same in [
        r#"{"prompt": "Fix it", "priority": 5, "tags": ["a"], "timeout": "5m", "attempts": 9}"#,
        r#"{"prompt": "Fix it", "title": "The thing"}"#,
        r#"{"prompt": "Fix it", "payload": null}"#,
        r#""Fix it""#,
    ] {
        assert_eq!(key(same), plain, "{same}");
    }
    for other in [
        r#"{"prompt": "Fix it!"}"#,
        r#"{"prompt": "Fix it", "command": "fix"}"#,
        r#"{"prompt": "Fix it", "command": ["fix"]}"#,
        r#"{"prompt": "Fix it", "payload": {"part": 1}}"#,
    ] {
        assert_ne!(key(other), plain, "{other}");
    }
}

#[test]
fn a_key_does_not_change_between_versions() {
    // Stores keep keys: another hash would do all work again.
    assert_eq!(key(r#""Fix it""#), "8802b18c1b323a943d83901a702680c3");
    assert_eq!(
        key(r#"{"prompt": "Fix it", "command": ["fix", "it"], "payload": {"part": 1}}"#),
        "b4090b2a1848e1b4ce77ce5669da3442",
    );
}

#[test]
fn ticked_tasks_count_and_ticked_steps_do_not() {
    let open = keys(Format::Markdown, "- [ ] a\n- [ ] a\n  - [ ] step\n- [ ] a\n");
    let ticked = keys(Format::Markdown, "- [x] a\n- [ ] a\n  - [x] step\n- [ ] a\n");
    assert_eq!(open[1..], ticked);
}
