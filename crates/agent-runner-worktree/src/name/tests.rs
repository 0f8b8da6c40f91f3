//! Laws of names.

use std::process::Command;

use proptest::prelude::*;

use super::{Names, encode};

fn names(folds: bool) -> Names {
    Names { prefix: "agent-runner".to_owned(), folds }
}

/// Ids as people and programs write them, with all that git dislikes in names.
fn id() -> impl Strategy<Value = String> {
    let nasty = prop_oneof![
        Just("."),
        Just(".."),
        Just("/"),
        Just(".lock"),
        Just("@{"),
        Just("@"),
        Just("~"),
        Just("^"),
        Just(":"),
        Just("?"),
        Just("*"),
        Just("["),
        Just("\\"),
        Just("-"),
        Just(" "),
        Just("\n"),
        Just("\u{7f}"),
        Just("%"),
        Just("%2f"),
        Just("+"),
        Just("+/"),
        Just("A"),
        Just("a"),
        Just("é"),
        Just("e\u{301}"),
        Just("任务"),
        Just("🦀"),
        Just("lock"),
        Just("1"),
    ];
    let mixed = proptest::collection::vec(nasty, 1..12).prop_map(|parts| parts.concat());
    let long = proptest::collection::vec(".?[a-zA-Z./%é]{1,4}", 40..120).prop_map(|p| p.concat());
    prop_oneof![mixed, "\\PC{1,40}", "[a-z]{1,8}-[0-9]{1,4}", long]
}

proptest! {
    #[test]
    fn a_name_tells_its_task(task in id(), folds: bool) {
        let names = names(folds);
        prop_assert_eq!(names.task(&names.branch(&task)), Some(task));
    }

    #[test]
    fn folded_names_differ_as_well(one in id(), two in id()) {
        let fold = |task: &str| encode(task, true).to_lowercase();
        prop_assert_eq!(encode(&one, true), fold(&one), "nothing is left to fold");
        prop_assert!(encode(&one, true).is_ascii());
        prop_assert_eq!(one == two, fold(&one) == fold(&two));
    }

    #[test]
    fn no_tasks_refs_are_in_the_way_of_anothers(one in id(), two in id(), folds: bool) {
        let names = names(folds);
        let (a, b) = (names.attempt(&one, 1), names.attempts(&two));
        prop_assert_eq!(one == two, a.starts_with(&b));
        let (a, b) = (names.branch(&one), names.branch(&two) + "/");
        prop_assert!(!a.starts_with(&b), "{} would need {} to be a folder", a, b);
    }

    #[test]
    fn no_part_is_too_long_for_a_file(task in id(), folds: bool) {
        prop_assert!(names(folds).branch(&task).split('/').all(|part| part.len() <= 200));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn git_takes_every_name(task in id(), folds: bool) {
        for name in [names(folds).branch(&task), names(folds).attempt(&task, 7)] {
            let status = Command::new("git").args(["check-ref-format", &name]).status();
            prop_assert!(status.expect("git is there").success(), "{:?}", name);
        }
    }
}

#[test]
fn usual_ids_stay_readable() {
    for id in ["42", "t-01", "PROJ-123", "fix_login", "v1.2"] {
        assert_eq!(names(false).branch(id), format!("refs/heads/agent-runner/{id}"));
    }
    assert_eq!(encode("fix the login", false), "fix%20the%20login");
    assert_eq!(encode("a/b", false), "a%2fb");
    assert_eq!(encode("x.lock", false), "x%2elock");
    assert_eq!(encode("PROJ-1", true), "%50%52%4f%4a-1");
}
