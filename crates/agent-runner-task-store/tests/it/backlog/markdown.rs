//! Checklists, and ticking off what is done.

use agent_runner_task_store::{
    NewTask, TaskId,
    backlog::{self, Format, tick},
};

use super::{prompts, tasks};

fn is_done(task: &NewTask) -> bool {
    task.prompt.contains("done")
}

fn check(before: &str, after: &str) {
    let ticked = tick(before, is_done);
    assert_eq!(ticked.as_deref().unwrap_or(before), after);
    assert_eq!(ticked.is_none(), before == after, "`None` says that nothing changed");
    assert_eq!(tick(after, is_done), None, "ticking again changes nothing");
}

#[test]
fn only_boxes_of_what_is_done_change() {
    check("- [ ] done\n- [ ] open\n", "- [x] done\n- [ ] open\n");
    check("* [ ] done\r\n+ [ ] open\r\n", "* [x] done\r\n+ [ ] open\r\n");
    check("\u{feff}1. [ ] done {#a}\n", "\u{feff}1. [x] done {#a}\n");
    check("-   [ ]   done", "-   [x]   done");
    check("- [\t] done\n", "- [x] done\n");
    check("> - [ ] done\n", "> - [x] done\n");
    check("- a\n  - [ ] done\n    - [ ] step\n", "- a\n  - [x] done\n    - [ ] step\n");
    check("- [x] done\n- [X] done\n", "- [x] done\n- [X] done\n");
    check("Ä ö ü [ ]\n\n- [ ] doneß\n", "Ä ö ü [ ]\n\n- [x] doneß\n");
}

#[test]
fn what_is_no_checklist_item_stays() {
    for text in [
        "",
        "[ ] done\n",
        "- [] done\n",
        "- [ ]done\n",
        "- [ ]\n- [ ] \n",
        "- [\u{b}] done\n",
        "```\n- [ ] done\n```\n",
        "    - [ ] done\n",
        "<!--\n- [ ] done\n-->\n",
        "`- [ ] done`\n",
        "\\- [ ] done\n",
        "| [ ] |\n|---|\n| done |\n",
    ] {
        check(text, text);
    }
}

#[test]
fn a_task_is_known_by_its_key_also_after_others_were_ticked() {
    let text = "- [ ] again\n- [ ] again\n- [ ] again\n";
    let keys: Vec<_> = tasks(Format::Markdown, text).into_iter().map(|task| task.key).collect();
    let first = tick(text, |task| task.key == keys[0]).expect("it is open");
    assert_eq!(first, "- [x] again\n- [ ] again\n- [ ] again\n");
    let last = tick(&first, |task| task.key == keys[2]).expect("it is open");
    assert_eq!(last, "- [x] again\n- [ ] again\n- [x] again\n");
}

#[test]
fn the_text_of_an_item_stands_alone() {
    for (text, prompt) in [
        ("- [ ] one\n  two\n", "one\ntwo"),
        ("- [ ] one\ntwo\n", "one\ntwo"),
        ("- [ ] one\n\n  two\n\nthree\n", "one\n\ntwo"),
        ("- [ ] one\n  - two\n    - three\n", "one\n- two\n  - three"),
        ("- [ ] one\n\t- two\n", "one\n\t- two"),
        ("  * [ ] one\n    two\n", "one\ntwo"),
        ("12. [ ] one\n    two\n", "one\ntwo"),
        ("> - [ ] one\n>   two\n", "one\ntwo"),
        ("- [ ] one\r\n  two\r\n", "one\ntwo"),
        ("- [ ] one {#a}\n  two {#b}\n", "one\ntwo {#b}"),
        ("- [ ] {#a}\n  two\n", "\ntwo"),
        ("- [ ] # one\n", "# one"),
        ("- [ ] [one](two)\n", "[one](two)"),
    ] {
        assert_eq!(prompts(&tasks(Format::Markdown, text)), [prompt], "{text:?}");
    }
}

#[test]
fn a_backlog_whose_tasks_are_all_done_is_fine() {
    assert_eq!(tasks(Format::Markdown, "- [x] done\n"), []);
}

#[test]
fn what_is_ticked_is_told_to_those_who_depend_on_it() {
    let text = "- [x] a {#a}\n- [ ] c {#c depends_on=\"a b\"}\n- [x] b {#b}\n- [x] no id\n";
    let mut reader = backlog::read("tasks.md", Format::Markdown, text.as_bytes());
    assert_eq!(reader.by_ref().filter_map(Result::ok).count(), 1);
    let done: Vec<_> = reader.done().iter().map(TaskId::as_str).collect();
    assert_eq!(done, ["a", "b"]);
}
