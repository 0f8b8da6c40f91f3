//! What the tables promise of themselves.

use std::collections::BTreeSet;

use super::*;

fn all() -> impl Iterator<Item = &'static Rule> {
    [claude::RULES, codex::RULES, gemini::RULES, opencode::RULES, providers::RULES]
        .into_iter()
        .flatten()
}

fn texts(rule: &Rule) -> impl Iterator<Item = &'static str> {
    rule.when.iter().filter_map(|test| match test {
        Test::Word(text) | Test::WordHas(text) | Test::Starts(text) | Test::Says(text) => {
            Some(*text)
        }
        _ => None,
    })
}

#[test]
fn each_rule_has_a_name_of_its_own_and_something_to_look_at() {
    let mut names = BTreeSet::new();
    for rule in all() {
        assert!(names.insert(rule.id), "{} is there twice", rule.id);
        assert!(!rule.when.is_empty(), "{} always holds", rule.id);
    }
}

/// A rule with a capital or a curly apostrophe would never hold.
#[test]
fn rules_are_written_as_texts_are_folded() {
    for rule in all() {
        for text in texts(rule) {
            assert_eq!(text::fold(text), text, "{}", rule.id);
        }
    }
}

/// A rule that stands below one that always holds when it does is never reached.
#[test]
fn each_text_leads_to_its_own_rule_or_to_the_same_outcome() {
    for format in Format::ALL {
        for rule in rules(format) {
            let mut trouble = Trouble::default();
            let mut exit_code = None;
            let mut summary = Summary::new(format);
            for test in rule.when {
                match test {
                    Test::Word(word) | Test::WordHas(word) => {
                        trouble.words.push((*word).to_owned());
                    }
                    Test::Status(range) => trouble.status = Some(*range.start()),
                    Test::Starts(text) | Test::Says(text) => trouble.text.push_str(text),
                    Test::LongWait => trouble.retry_after = Some(LONGEST_RATE * 2),
                    Test::WindowSpent => summary.rate_limit = Some(spent_window()),
                    Test::Exit(code) => exit_code = Some(*code),
                }
            }
            let (found, by) = outcome(&summary, &trouble, exit_code);
            assert_eq!(found, rule.outcome, "{format}: {by:?} comes before {}", rule.id);
        }
    }
}

fn spent_window() -> crate::RateLimit {
    crate::RateLimit {
        state: crate::LimitState::Rejected,
        window: Some("five_hour".to_owned()),
        reset_at: None,
        utilization: None,
    }
}

#[test]
fn versions_are_read() {
    assert_eq!(parse_version("2.1.197"), Some([2, 1, 197]));
    assert_eq!(parse_version("1.0.44 (Claude Code)"), Some([1, 0, 44]));
    assert_eq!(parse_version("2.0.0-beta.1"), Some([2, 0, 0]));
    for none in ["", "2", "2.1", "two", "99999999999999999999.0.0"] {
        assert_eq!(parse_version(none), None, "{none}");
    }
}
