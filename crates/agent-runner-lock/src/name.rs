//! From a key to the name of its file.
//!
//! Two keys never share a name, on no file system: those that fold case or Unicode forms, forbid
//! characters, or cut names at 255 bytes included.

use crate::KeyError;

/// The longest key in bytes.
pub(crate) const MAX_KEY: usize = 255;

const LONGEST_PLAIN: usize = 100;
const LONGEST_HINT: usize = 40;
const PREFIX: &str = "task-";
const SUFFIX: &str = ".lock";

/// The name of a key's file: the key itself where that is safe, else a readable hint and a hash.
///
/// A plain name has no `~`, so that none can be mistaken for a hashed one.
pub(crate) fn file_name(key: &str) -> Result<String, KeyError> {
    check(key)?;
    if is_plain(key) {
        return Ok([PREFIX, key, SUFFIX].concat());
    }
    let hint: String = key.chars().take(LONGEST_HINT).map(tame).collect();
    let hash = blake3::hash(key.as_bytes()).to_hex();
    Ok([PREFIX, &hint, "~", &hash[..32], SUFFIX].concat())
}

/// The part of a lock file's name between its fixed ends: the key, if that is plain. `None` for a
/// name that no key has.
pub(crate) fn stem(file_name: &str) -> Option<&str> {
    let stem = file_name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    match stem.rsplit_once('~') {
        None => is_plain(stem),
        Some((hint, hash)) => {
            hint.len() <= LONGEST_HINT
                && hint.bytes().all(is_plain_byte)
                && hash.len() == 32
                && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        }
    }
    .then_some(stem)
}

pub(crate) fn check(key: &str) -> Result<(), KeyError> {
    if key.is_empty() {
        return Err(KeyError::Empty);
    }
    if key.len() > MAX_KEY {
        return Err(KeyError::TooLong { len: key.len() });
    }
    if key.chars().any(char::is_control) {
        return Err(KeyError::ControlCharacter { key: key.to_owned() });
    }
    Ok(())
}

fn is_plain(key: &str) -> bool {
    (1..=LONGEST_PLAIN).contains(&key.len()) && key.bytes().all(is_plain_byte)
}

fn is_plain_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')
}

fn tame(character: char) -> char {
    let lower = character.to_ascii_lowercase();
    if u8::try_from(lower).is_ok_and(is_plain_byte) { lower } else { '_' }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_keys_are_readable() {
        assert_eq!(file_name("42").unwrap(), "task-42.lock");
        assert_eq!(file_name("fix-login_v2.1").unwrap(), "task-fix-login_v2.1.lock");
    }

    #[test]
    fn other_keys_keep_a_hint() {
        let name = file_name("../Fix Login").unwrap();
        assert!(name.starts_with("task-.._fix_login~"), "{name}");
        assert_eq!(name.len(), "task-.._fix_login~".len() + 32 + ".lock".len());
    }

    #[test]
    fn impossible_keys_are_refused() {
        assert!(matches!(file_name(""), Err(KeyError::Empty)));
        assert!(matches!(file_name(&"x".repeat(256)), Err(KeyError::TooLong { len: 256 })));
        assert!(matches!(file_name("a\nb"), Err(KeyError::ControlCharacter { .. })));
        assert!(file_name(&"x".repeat(255)).is_ok());
    }

    #[test]
    fn only_names_of_keys_have_a_stem() {
        assert_eq!(stem("task-42.lock"), Some("42"));
        let hashed = file_name("A b").unwrap();
        assert!(stem(&hashed).is_some());
        for foreign in ["task-.lock", "task-A.lock", "task-a~b.lock", "42.lock", ".gitignore", ""] {
            assert_eq!(stem(foreign), None, "{foreign}");
        }
    }

    /// Keys that some file system would fold together or refuse.
    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-cA-C]{1,3}",
            "[a-z0-9._~/-]{1,8}",
            "(CON|nul|com1|LPT9|aux)(\\.txt)?",
            "\\.{1,2}(/\\.\\.){0,3}/?[a-z]{0,4}",
            "(e\u{301}|\u{e9}|\u{130}|\u{df}|ss|SS){1,3}",
            "[^\\p{Cc}]{1,60}",
            "[a-z]{98,103}",
        ]
    }

    proptest! {
        #[test]
        fn names_are_safe_everywhere(key in key()) {
            let name = file_name(&key).unwrap();
            prop_assert!(name.len() <= 255 && name.is_ascii(), "{name}");
            prop_assert_eq!(&name.to_lowercase(), &name, "case may be folded");
            let safe = |byte| is_plain_byte(byte) || byte == b'~';
            prop_assert!(name.bytes().all(safe), "{name}");
            prop_assert!(stem(&name).is_some(), "{name}");
        }

        #[test]
        fn two_keys_never_share_a_name(keys in prop::collection::vec(key(), 2..12)) {
            let mut seen = HashMap::new();
            for key in keys {
                let other = seen.insert(file_name(&key).unwrap(), key.clone());
                prop_assert!(other.as_ref().is_none_or(|other| *other == key), "{other:?} {key:?}");
            }
        }
    }
}
