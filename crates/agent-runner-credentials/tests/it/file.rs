//! Keys from a file.

use std::fs;

use agent_runner_credentials::{
    Environment, Form, KeyFileError, LoadError, Notice, SecretRef, Source, load, parse_key_file,
};
use proptest::prelude::*;

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = parse_key_file(text).expect_err("the file is wrong");
    assert_eq!(error.to_string(), expected, "{text}");
}

#[test]
fn a_file_can_name_keys_in_three_ways() {
    let specs = parse_key_file(
        r#"
        [[key]]
        provider = "anthropic"
        label = "work"
        command = ["op", "read", "op://work/anthropic/key"]
        model = "claude"

        [[key]]
        provider = "openai"
        env = "OTHER_KEY"
        base_url = "https://proxy.example/v1"

        [[key]]
        provider = "openai"
        key = "sk-here"
        "#,
    )
    .unwrap();
    let labels: Vec<_> = specs.iter().map(|spec| spec.label.as_str()).collect();
    assert_eq!(labels, ["work", "openai-2", "openai-3"]);
    assert!(matches!(&specs[0].secret, SecretRef::Command(argv) if argv.len() == 3));
    assert!(matches!(&specs[1].secret, SecretRef::Variable(name) if name == "OTHER_KEY"));
    assert!(matches!(&specs[2].secret, SecretRef::Key(key) if key.expose() == "sk-here"));
    assert_eq!(specs[2].line, 13);
}

#[test]
fn a_file_can_name_accounts_of_agents() {
    let account = |rest: &str| format!("[[key]]\nprovider = 'anthropic'\n{rest}");
    let folder = parse_key_file(&account("folder = '/home/me/.claude team'")).unwrap();
    assert_eq!(folder[0].form, Form::ConfigFolder);
    let token = parse_key_file(&account("form = 'oauth_token'\nenv = 'TOKEN'")).unwrap();
    assert_eq!(token[0].form, Form::OAuthToken);
    check_error(&account("folder = 'x'"), "line 1: a configuration folder is an absolute path");
    check_error(
        "[[key]]\nprovider = 'gemini'\nform = 'oauth_token'\nkey = 'x'",
        "line 1: tokens are known of anthropic (Claude Code)",
    );
    check_error(
        &account("folder = '/x'\nkey = 'sk-1'"),
        "line 1: a key has one of key, env, command and folder, not two",
    );
}

#[test]
fn mistakes_have_a_line_and_a_word() {
    check_error(
        "[[key]]\nprovider = 'x'\nkee = 'sk-secret'",
        "line 3: unknown field 'kee', expected one of \
         provider, label, key, env, command, folder, form, base_url, model",
    );
    check_error("\n[[keys]]\nprovider = 'x'", "line 2: unknown field 'keys', expected [[key]]");
    check_error("[key]\nprovider = 'x'", "line 1: keys are written as [[key]]");
    check_error("key = ['x']", "line 1: keys are written as [[key]]");
    check_error("[[key]]\nkey = 'sk-1'", "line 1: the key has no provider");
    check_error(
        "[[key]]\nprovider = 'x'\nenv = 'sk-secret'",
        "line 3: 'env' is the name of a variable, not the secret",
    );
    check_error(
        "[[key]]\nprovider = 'x'",
        "line 1: the key has neither key, env, command nor folder",
    );
    check_error(
        "[[key]]\nprovider = 'x'\nkey = 'sk-1'\nenv = 'KEY'",
        "line 1: a key has one of key, env, command and folder, not two",
    );
    check_error("[[key]]\nprovider = 'x'\nkey = '  '", "line 3: 'key' is blank");
    check_error("[[key]]\nprovider = 7", "line 2: 'provider' is a string");
    check_error(
        "[[key]]\nprovider = 'x'\nkey = 'sk 1'",
        "line 3: the key has white space or an unprintable character inside",
    );
    check_error(
        "[[key]]\nprovider = 'x'\ncommand = 'op read'",
        "line 3: 'command' is a list of strings, the program first",
    );
    check_error(
        "[[key]]\nprovider = 'x'\nbase_url = 'proxy'",
        "line 3: a base URL starts with https:// or http://",
    );
    check_error(
        "[[key]]\nprovider = x",
        "line 2: this is not TOML; strings are quoted, as in key = \"...\"",
    );
}

#[test]
fn a_file_is_found_and_its_variables_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    fs::write(&path, "[[key]]\nprovider = 'openai'\nenv = 'OTHER'\nlabel = 'mine'").unwrap();
    let sources = [Source::file(&path)];

    let environment = Environment::from_iter([("OTHER", "sk-other")]);
    let loaded = load(&sources, &environment).unwrap();
    assert_eq!(loaded.credentials[0].label, "mine");
    assert_eq!(loaded.credentials[0].key.expose(), "sk-other");
    assert_eq!(loaded.notices, [], "a file without a secret may be read by all");

    let error = load(&sources, &Environment::default()).unwrap_err();
    let expected = format!("'{}:1' names variable 'OTHER', which is not set", path.display());
    assert_eq!(error.to_string(), expected);

    let twice = [Source::variables("OTHER"), Source::file(&path), Source::file(&path)];
    let loaded = load(&twice, &environment).unwrap();
    assert_eq!(loaded.credentials.len(), 1);
    assert!(matches!(&loaded.notices[..], [Notice::Duplicate { .. }]), "{:?}", loaded.notices);
}

#[test]
fn a_label_names_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let key = "[[key]]\nprovider = 'x'\nlabel = 'same'\nkey = ";
    fs::write(&path, format!("{key}'sk-1'\n{key}'sk-2'")).unwrap();
    let error = load(&[Source::file(&path)], &Environment::default()).unwrap_err();
    assert!(matches!(error, LoadError::DuplicateLabel { label } if label == "same"));
}

#[cfg(unix)]
#[test]
fn a_file_of_secrets_that_others_can_read_is_pointed_out() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    fs::write(&path, "[[key]]\nprovider = 'x'\nkey = 'sk-1'").unwrap();
    let notices = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        load(&[Source::file(&path)], &Environment::default()).unwrap().notices
    };
    assert_eq!(notices(0o600), []);
    assert_eq!(notices(0o644), [Notice::ReadableByOthers { path: path.clone() }]);
}

#[test]
fn a_missing_file_is_named() {
    let error = load(&[Source::file("/nowhere/keys.toml")], &Environment::default()).unwrap_err();
    assert_eq!(error.to_string(), "could not read key file '/nowhere/keys.toml'");
}

const SECRET: &str = "sk-ant-very-secret";

proptest! {
    /// Cut, doubled or peppered with other characters, a file may be wrong in any way.
    #[test]
    fn no_mistake_in_a_file_shows_its_secret(
        from in 0..120_usize,
        to in 0..120_usize,
        noise in "[\\[\\]='\"#.\\n\\\\{},a-z0-9]{0,6}",
        quote in prop_oneof![Just("'"), Just("\""), Just(""), Just("'''")],
        field in prop_oneof![Just("key"), Just("command"), Just("kee"), Just("provider.x"), Just("")],
    ) {
        let text = format!(
            "[[key]]\nprovider = 'x'\n{field} = {quote}{SECRET}{quote}\n[[key]]\nprovider = 'y'\nenv = 'Y'\n"
        );
        let (from, to) = (from.min(text.len()), to.min(text.len()));
        let broken = format!("{}{noise}{}", &text[..from], &text[to..]);
        let result: Result<_, KeyFileError> = parse_key_file(&broken);
        let shown = format!("{result:?}");
        prop_assert!(!shown.contains("very-secret"), "{shown}");
    }
}
