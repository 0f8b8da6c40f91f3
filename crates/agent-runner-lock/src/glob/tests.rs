//! What a pattern promises, against a matcher that tries everything and all short paths.

use std::{sync::LazyLock, time::Instant};

use proptest::prelude::*;

use super::*;

fn glob(pattern: &str) -> Glob {
    Glob::new(pattern).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_pattern_claims_what_it_matches_and_what_is_in_it() {
    for (pattern, claimed, free) in [
        ("src", vec!["src", "src/a", "src/a/b.rs"], vec!["srcs", "a/src", "sr", ""]),
        ("./src/", vec!["src", "./src/a"], vec!["./srcs"]),
        (".", vec!["a", "a/b", ".git"], vec!["", ".", "..", "../a", "/a", "a//b"]),
        ("src/**", vec!["src/a", "src/a/b", "src/.x"], vec!["src", "src/", "src/.."]),
        ("**/a", vec!["a", "x/a", "x/y/a", "x/a/b"], vec!["xa", "x/ya"]),
        ("a/**/b", vec!["a/b", "a/x/b", "a/x/y/b"], vec!["ab", "a/xb", "b"]),
        ("*.rs", vec!["a.rs", ".rs", "x.rs/in/it"], vec!["a/b.rs", "rs"]),
        ("s?c/[a-c]x", vec!["src/ax", "söc/cx"], vec!["s/c/ax", "src/dx", "src/x"]),
        ("[!a-c^]", vec!["d", "-", "é"], vec!["a", "b", "^", ".", "/"]),
        ("[]a-]", vec!["]", "a", "-"], vec!["b"]),
        ("[\\]\\-z]", vec!["]", "-", "z"], vec!["a"]),
        ("{a,b{c,d}}/{,x}y", vec!["a/y", "bc/xy", "bd/y"], vec!["b/y", "a/x"]),
        ("{src,tests}/**/*.{rs,toml}", vec!["src/a.rs", "tests/x/y.toml"], vec!["src/rs"]),
        ("{src/**,docs}/x", vec!["src/x", "src/a/x", "docs/x"], vec!["docs/a/x"]),
        ("app/\\[id\\]/page", vec!["app/[id]/page"], vec!["app/i/page"]),
        ("a,b!-", vec!["a,b!-"], vec!["a"]),
    ] {
        let glob = glob(pattern);
        for path in claimed {
            assert!(glob.matches(path), "{pattern} claims {path}");
        }
        for path in free {
            assert!(!glob.matches(path), "{pattern} does not claim {path}");
        }
    }
    let literal = Glob::literal("app/[id]/{a,b}*?\\!.rs").unwrap();
    assert!(literal.matches("app/[id]/{a,b}*?\\!.rs") && !literal.matches("app/i/a!.rs"));
}

#[test]
fn overlaps_of_everyday_patterns() {
    for (a, b, expected) in [
        ("src/auth", "src/auth/login.rs", true),
        ("src/auth", "src/author", false),
        ("src/auth/**", "src/auth", true),
        ("src/*", "src/auth/login.rs", true),
        ("src/*.rs", "src/auth/login.rs", false),
        ("**/*.rs", "docs/**", true),
        ("*.rs", "*.md", false),
        ("docs/*.md", "src/**", false),
        ("a*", "*b", true),
        ("a[!b]*", "ab*", false),
        ("**/test_*.py", "pkg/**/*_test.py", true),
        ("[.]*", "?", false), // Only `.` is both, and that is no name.
        ("crates/{lock,pool}/**", "crates/*/src", true),
        ("crates/{lock,pool}/**", "crates/exec/**", false),
    ] {
        assert_eq!(glob(a).overlaps(&glob(b)), expected, "{a} and {b}");
        assert_eq!(paths_overlap(b, a), expected, "{b} and {a}");
    }
    assert!(paths_overlap("../x", "src") && paths_overlap("src", "{"), "no pattern, no promise");
}

#[test]
fn texts_that_are_no_patterns() {
    for (pattern, problem) in [
        ("", "relative path"),
        ("/src", "relative path"),
        ("a//b", "relative path"),
        ("a/{,b}/c", "relative path"),
        ("..", "`..`"),
        ("a/../b", "`..`"),
        ("{a,.}./b", "`..`"),
        ("a/./b", "`.`"),
        ("src/**.rs", "`**`"),
        ("***", "`**`"),
        ("a{b,**}", "`**`"),
        ("a\nb", "control"),
        ("{a,b", "close a brace"),
        ("a}", "not opened"),
        ("a]", "not opened"),
        ("[a", "close a bracket"),
        ("[]", "close a bracket"),
        ("[a/b]", "slash in brackets"),
        ("[z-a]", "range"),
        ("[[:alpha:]]", "class"),
        ("src\\auth", "backslash"),
        ("a\\", "backslash"),
        ("!src", "take paths out"),
        (&"a".repeat(1025), "too long"),
        (&"{a,b}".repeat(9), "too long"),
        (&"{,}".repeat(300), "too long"),
        (&format!("{}{}", "{".repeat(500), "}".repeat(500)), "relative path"),
    ] {
        let error = Glob::new(pattern).expect_err(pattern).to_string();
        assert!(error.contains(problem), "{error}");
    }
    assert!(Glob::new("a".repeat(1024)).is_ok());
}

#[test]
fn text_and_json() {
    let glob: Glob = "./src/{a,b}/".parse().unwrap();
    assert_eq!((glob.to_string().as_str(), glob.as_str()), ("src/{a,b}", "src/{a,b}"));
    assert_eq!(serde_json::to_string(&glob).unwrap(), r#""src/{a,b}""#);
    assert_eq!(serde_json::from_str::<Glob>(r#""src/{a,b}""#).unwrap(), glob);
    assert!(serde_json::from_str::<Glob>(r#""/src""#).is_err());
}

#[test]
fn no_pattern_is_slow() {
    let many = |unit: &str| unit.repeat(Glob::MAX_LEN / unit.len());
    let start = Instant::now();
    for (a, b) in [
        (many("**/"), many("a/**/")),
        (many("*a"), many("*b")),
        (many("[!a]*"), many("a*")),
        (format!("{}x", "**/*a/".repeat(170)), format!("{}y", "*a/**/".repeat(170))),
    ] {
        glob(&a).overlaps(&glob(&b));
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

/// All paths of up to seven signs.
static PATHS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut all = vec![String::new()];
    let mut start = 0;
    for _ in 0..7 {
        let end = all.len();
        for at in start..end {
            let longer = ['a', 'b', '.', '/'].map(|sign| format!("{}{sign}", all[at]));
            all.extend(longer);
        }
        start = end;
    }
    let is_name = |name: &str| !matches!(name, "" | "." | "..");
    all.retain(|path| path.split('/').all(is_name));
    all
});

/// The meaning of a pattern, by trying everything.
fn claims(pattern: &str, path: &str) -> bool {
    if let Some(start) = pattern.find('{') {
        let end = start + pattern[start..].find('}').unwrap();
        let (before, after) = (&pattern[..start], &pattern[end + 1..]);
        let mut inner = pattern[start + 1..end].split(',');
        return inner.any(|inner| claims(&format!("{before}{inner}{after}"), path));
    }
    let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
    folders.chain([path]).any(|path| {
        let pattern: Vec<_> = pattern.split('/').collect();
        let path: Vec<_> = path.split('/').collect();
        folders_match(&pattern, &path)
    })
}

fn folders_match(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], _) => path.is_empty(),
        (["**"], _) => !path.is_empty(),
        (["**", rest @ ..], _) => (0..=path.len()).any(|n| folders_match(rest, &path[n..])),
        ([name, rest @ ..], [first, others @ ..]) => {
            name_matches(name, first) && folders_match(rest, others)
        }
        (_, []) => false,
    }
}

fn name_matches(pattern: &str, name: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix('*') {
        return (0..=name.len()).any(|n| name_matches(rest, &name[n..]));
    }
    let Some(first) = name.chars().next() else { return pattern.is_empty() };
    for (sign, matched) in [
        ("[ab]", matches!(first, 'a' | 'b')),
        ("[!a]", first != 'a'),
        ("[.]", first == '.'),
        ("?", true),
        ("a", first == 'a'),
        ("b", first == 'b'),
        (".", first == '.'),
    ] {
        if let Some(rest) = pattern.strip_prefix(sign) {
            return matched && name_matches(rest, &name[1..]);
        }
    }
    false
}

/// Of so few signs that two of them which overlap have a short path in common.
fn pattern(signs_a_name: usize) -> impl Strategy<Value = String> {
    let signs = vec!["a", "a", "b", ".", "?", "*", "*", "[ab]", "[!a]", "[.]", "{a,.b}", "{,a}"];
    let name = prop::collection::vec(prop::sample::select(signs), 1..=signs_a_name)
        .prop_map(|s| s.concat());
    let name = prop_oneof![3 => name, 1 => Just("**".to_owned())];
    let pattern = prop::collection::vec(name, 1..3).prop_map(|names| names.join("/"));
    // What `claims` would take for something else.
    let is_plain =
        |text: &String| text != "." && !text.starts_with("./") && !text.contains("*{,a}*");
    pattern.prop_filter("no pattern", move |text| is_plain(text) && Glob::new(&**text).is_ok())
}

proptest! {
    #[test]
    fn matching_is_what_trying_everything_finds(pattern in pattern(3), at in any::<prop::sample::Index>()) {
        let glob = glob(&pattern);
        for path in PATHS.iter().cycle().skip(at.index(PATHS.len())).take(50) {
            prop_assert_eq!(glob.matches(path), claims(&pattern, path), "{} and {}", pattern, path);
        }
    }

    #[test]
    fn overlapping_is_to_have_a_path_in_common(a in pattern(2), b in pattern(1)) {
        let common = PATHS.iter().find(|path| claims(&a, path) && claims(&b, path));
        let claims_any = PATHS.iter().any(|path| claims(&a, path));
        let (a, b) = (glob(&a), glob(&b));
        prop_assert_eq!(a.overlaps(&b), common.is_some(), "{} and {}: {:?}", a, b, common);
        prop_assert_eq!(b.overlaps(&a), common.is_some());
        prop_assert_eq!(a.overlaps(&a), claims_any);
    }

    #[test]
    fn no_text_panics(a in "\\PC*|[ab./*?{},\\[\\]!^\\\\-]{0,40}", b in "[ab./*{},]{0,20}") {
        let overlap = paths_overlap(&a, &b);
        prop_assert_eq!(overlap, paths_overlap(&b, &a));
        if let Ok(literal) = Glob::literal(&a) {
            prop_assert!(literal.matches(&a) || a == ".", "{a}");
        }
    }
}
