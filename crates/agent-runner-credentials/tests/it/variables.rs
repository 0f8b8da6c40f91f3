//! Keys from the environment.

use agent_runner_credentials::{
    Credential, Environment, ExposeSecret, LoadError, Loaded, Notice, Source, is_key_variable,
    load, numbered_variables,
};

fn try_load(prefix: &str, variables: &[(&str, &str)]) -> Result<Loaded, LoadError> {
    let environment: Environment = variables.iter().copied().collect();
    load(&[Source::variables(prefix)], &environment)
}

/// Label, key, base URL and model of each.
fn loaded(prefix: &str, variables: &[(&str, &str)]) -> Vec<[String; 4]> {
    let row = |c: Credential| {
        let text = |option: Option<String>| option.unwrap_or_else(|| "-".to_owned());
        [c.label, c.key.expose().to_owned(), text(c.base_url), text(c.model)]
    };
    try_load(prefix, variables)
        .expect("the keys are fine")
        .credentials
        .into_iter()
        .map(row)
        .collect()
}

fn error(variables: &[(&str, &str)]) -> String {
    let error = try_load("ANTHROPIC", variables).expect_err("a key is wrong");
    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

#[test]
fn numbers_count_whatever_their_gaps() {
    let keys = loaded(
        "ANTHROPIC",
        &[
            ("ANTHROPIC_API_KEY_10", "sk-10"),
            ("ANTHROPIC_API_KEY_2", "sk-2"),
            ("ANTHROPIC_BASE_URL_2", "https://two.example"),
            ("ANTHROPIC_MODEL_10", "claude-ten"),
            ("ANTHROPIC_API_KEY_007", "sk-7"),
            ("ANTHROPIC_API_KEY_OLD", "sk-old"),
            ("OPENAI_API_KEY_1", "sk-other"),
        ],
    );
    assert_eq!(
        keys,
        [
            ["ANTHROPIC_API_KEY_2", "sk-2", "https://two.example", "-"],
            ["ANTHROPIC_API_KEY_007", "sk-7", "-", "-"],
            ["ANTHROPIC_API_KEY_10", "sk-10", "-", "claude-ten"],
        ]
    );
}

#[test]
fn without_numbers_the_single_key_is_taken() {
    let keys = loaded(
        "MY_PROXY",
        &[
            ("MY_PROXY_API_KEY", " sk-one\n"),
            ("MY_PROXY_BASE_URL", "http://localhost:8080"),
            ("MY_PROXY_MODEL", "small"),
        ],
    );
    assert_eq!(keys, [["MY_PROXY_API_KEY", "sk-one", "http://localhost:8080", "small"]]);
    assert!(loaded("MY_PROXY", &[]).is_empty());
    assert!(loaded("MY_PROXY", &[("MY_PROXY_API_KEY", "")]).is_empty(), "empty means none");
}

#[test]
fn settings_without_a_number_are_for_all() {
    let keys = loaded(
        "OPENAI",
        &[
            ("OPENAI_API_KEY_1", "sk-1"),
            ("OPENAI_API_KEY_2", "sk-2"),
            ("OPENAI_BASE_URL", "https://all.example"),
            ("OPENAI_BASE_URL_2", "https://two.example"),
        ],
    );
    assert_eq!(keys[0][2], "https://all.example");
    assert_eq!(keys[1][2], "https://two.example");
}

#[test]
fn what_cannot_be_a_key_is_named() {
    assert_eq!(
        error(&[("ANTHROPIC_API_KEY_1", "sk-1"), ("ANTHROPIC_API_KEY_2", " \t")]),
        "could not use the key of variable 'ANTHROPIC_API_KEY_2': the key is blank"
    );
    assert_eq!(
        error(&[("ANTHROPIC_API_KEY_2", "")]),
        "could not use the key of variable 'ANTHROPIC_API_KEY_2': the key is blank"
    );
    assert_eq!(
        error(&[("ANTHROPIC_API_KEY", "sk one")]),
        "could not use the key of variable 'ANTHROPIC_API_KEY': \
         the key has white space or an unprintable character inside"
    );
    assert_eq!(
        error(&[("ANTHROPIC_API_KEY_1", "sk-1"), ("ANTHROPIC_BASE_URL", "api.example")]),
        "could not use the base URL of variable 'ANTHROPIC_BASE_URL': \
         a base URL starts with https:// or http://"
    );
}

#[test]
fn the_same_key_twice_is_one_key() {
    let loaded = try_load(
        "ANTHROPIC",
        &[
            ("ANTHROPIC_API_KEY_1", "sk-1"),
            ("ANTHROPIC_API_KEY_2", "sk-1"),
            ("ANTHROPIC_API_KEY_3", "sk-1"),
            ("ANTHROPIC_BASE_URL_3", "https://elsewhere.example"),
            ("ANTHROPIC_API_KEY", "sk-other"),
        ],
    )
    .unwrap();
    assert_eq!(loaded.credentials.len(), 2, "the third is sent elsewhere");
    let duplicate = Notice::Duplicate {
        label: "ANTHROPIC_API_KEY_2".to_owned(),
        kept: "ANTHROPIC_API_KEY_1".to_owned(),
    };
    let single = Notice::SingleIgnored { variable: "ANTHROPIC_API_KEY".to_owned() };
    assert_eq!(loaded.notices, [duplicate, single]);
    assert_eq!(
        loaded.notices[0].to_string(),
        "'ANTHROPIC_API_KEY_2' is the same key as 'ANTHROPIC_API_KEY_1', and is used once"
    );
}

#[test]
fn a_child_gets_its_key_and_no_other() {
    let environment: Environment = [
        ("ANTHROPIC_API_KEY_1", "sk-1"),
        ("ANTHROPIC_BASE_URL_1", "https://one.example"),
        ("ANTHROPIC_MODEL", "claude"),
    ]
    .into_iter()
    .collect();
    let loaded = load(&Source::known_variables(), &environment).unwrap();
    let variables = loaded.credentials[0].environment();
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    assert_eq!(
        variables,
        [
            ("ANTHROPIC_API_KEY", "sk-1"),
            ("ANTHROPIC_BASE_URL", "https://one.example"),
            ("ANTHROPIC_MODEL", "claude"),
        ]
    );

    let parent = [
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_API_KEY_7",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_BASE_URL_7",
        "ANTHROPIC_MODEL",
        "ANTHROPIC_API_KEY_HELPER",
        "XANTHROPIC_API_KEY",
        "ANTHROPIC_API_KEY_",
        "OPENAI_API_KEY",
        "HOME",
    ];
    let stripped: Vec<_> = numbered_variables(parent, "ANTHROPIC").collect();
    assert_eq!(stripped, parent[..4]);
    assert!(is_key_variable("OPENAI_API_KEY", "OPENAI"), "each family is asked for by itself");
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_text_is_named() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};

    let broken = OsString::from_vec(vec![b's', b'k', 0xff]);
    let environment: Environment = [("ANTHROPIC_API_KEY_1", broken)].into_iter().collect();
    let error = load(&[Source::variables("ANTHROPIC")], &environment).unwrap_err();
    assert_eq!(error.to_string(), "variable 'ANTHROPIC_API_KEY_1' is not Unicode");
}

#[test]
fn accounts_of_agents_are_lent_to_processes_as_a_token_or_a_folder() {
    use agent_runner_credentials::{Form, KeyRing, Want};

    let environment: Environment = [
        ("ANTHROPIC_API_KEY_1", "sk-1"),
        ("CLAUDE_CODE_OAUTH_TOKEN_2", "sk-ant-oat01-two"),
        ("CLAUDE_CONFIG_DIR", "/home/me/.claude"),
        ("CLAUDE_CONFIG_DIR_1", "/home/me/.claude work"),
        ("CODEX_HOME_1", "/home/me/.codex-1"),
    ]
    .into_iter()
    .collect();
    let loaded = load(&Source::known_variables(), &environment).unwrap();
    let lent = loaded.credentials.iter().map(|credential| {
        let variables = credential.environment();
        let (name, value) = &variables[0];
        (credential.form, name.clone(), value.expose_secret().to_owned())
    });
    let expected = [
        (Form::ApiKey, "ANTHROPIC_API_KEY", "sk-1"),
        (Form::OAuthToken, "CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-two"),
        (Form::ConfigFolder, "CLAUDE_CONFIG_DIR", "/home/me/.claude work"),
        (Form::ConfigFolder, "CODEX_HOME", "/home/me/.codex-1"),
    ];
    let expected = expected.map(|(form, name, value)| (form, name.to_owned(), value.to_owned()));
    assert_eq!(lent.collect::<Vec<_>>(), expected);

    let mut ring = KeyRing::new(loaded.credentials);
    let now = std::time::SystemTime::now();
    let mut forms = |want: Want| {
        let leases: Vec<_> = (0..3).filter_map(|_| ring.lease(now, &want).ok()).collect();
        leases.iter().map(|lease| lease.credential().form).collect::<Vec<_>>()
    };
    let process = forms(Want::process().provider("anthropic"));
    assert_eq!(
        process,
        [Form::ApiKey, Form::OAuthToken, Form::ConfigFolder],
        "one after the other"
    );
    assert_eq!(forms(Want::call().provider("anthropic")), [Form::ApiKey; 3], "calls need a key");
    assert_eq!(forms(Want::call().provider("openai")), []);

    for name in ["CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR_1"] {
        assert!(is_key_variable(name, "ANTHROPIC"), "{name} is not for a child with another one");
    }
    assert!(!is_key_variable("CLAUDE_CONFIG_DIR", "ANTHROPIC"), "a setting of the user's own");
    assert!(is_key_variable("CODEX_HOME_1", "OPENAI"));
}

#[test]
fn a_configuration_folder_is_an_absolute_path() {
    let environment: Environment = [("CODEX_HOME_1", "~/.codex")].into_iter().collect();
    let error = load(&[Source::Accounts], &environment).unwrap_err();
    assert_eq!(
        error.to_string(),
        "could not use the configuration folder of variable 'CODEX_HOME_1': \
         a configuration folder is an absolute path"
    );
}
