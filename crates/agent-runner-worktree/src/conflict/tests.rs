//! How places are found and cut, and what is said about them.

use super::{Conflict, ConflictedFile, Hunk, MAX_BYTES, MAX_HUNKS, MAX_LINES, cut, hunks};
use crate::CommitId;

fn marked(count: usize) -> String {
    let place = |n| format!("a\n<<<<<<< 1234\nthe {n}th\n=======\n{n}\nlines\n>>>>>>> 5678\nb\n");
    (0..count).map(place).collect()
}

#[test]
fn places_are_counted_and_the_first_are_shown() {
    let (found, places) = hunks(marked(5).as_bytes());
    assert_eq!((found.len(), places), (MAX_HUNKS, 5));
    assert_eq!(found[1], Hunk { target: "the 1th".into(), task: "1\nlines".into() });
    assert_eq!(hunks(b"no marker\n=======\n"), (vec![], 0));
}

#[test]
fn a_long_side_is_cut() {
    let many = cut(&"x\n".repeat(500));
    assert_eq!(many.lines().count(), MAX_LINES + 1, "{many}");
    let long = cut(&"é".repeat(5_000));
    assert!(long.chars().count() <= MAX_BYTES + 1 && long.ends_with('…'));
    assert_eq!(cut("two\nlines\n"), "two\nlines");
}

#[test]
fn a_conflict_reads_well() {
    let (hunks, places) = hunks(marked(4).as_bytes());
    let other = |path: &str, kind: &str| ConflictedFile {
        path: path.into(),
        kind: kind.into(),
        hunks: vec![],
        places: 0,
    };
    let conflict = Conflict {
        target: "main".into(),
        onto: CommitId("0123456789abcdef".into()),
        files: vec![
            ConflictedFile {
                hunks: hunks[..1].to_vec(),
                places,
                ..other("src/a b.rs", "contents")
            },
            other("gone", "modify/delete"),
        ],
    };
    let expected = "conflict with main (0123456789) in src/a b.rs, gone\nsrc/a b.rs (contents)\n  main has:\n    \
        the 0th\n  the task has:\n    0\n    lines\n  and 3 more places\ngone (modify/delete)";
    assert_eq!(conflict.to_string(), expected);
}
