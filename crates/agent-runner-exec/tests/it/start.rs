//! Starting: programs, arguments, environment, directory, stdin.

use std::{env, fs, os::unix::fs::PermissionsExt};

use agent_runner_exec::{Command, End, SpawnError, Stdin};

use crate::support::{TestResult, Yard, wait};

#[tokio::test]
async fn exit_codes_are_told() -> TestResult {
    for code in [0, 1, 7, 255] {
        let exit = wait(Command::new("sh").args(["-c", &format!("exit {code}")]).spawn()?).await;
        assert_eq!((exit.end, exit.code, exit.signal), (End::Exited(code), Some(code), None));
        assert_eq!(exit.is_success(), code == 0);
    }
    Ok(())
}

#[tokio::test]
async fn signals_are_told() -> TestResult {
    let exit = wait(Command::new("sh").args(["-c", "kill -9 $$"]).spawn()?).await;
    assert_eq!((exit.end, exit.code, exit.signal), (End::Signaled(9), None, Some(9)));
    assert_eq!(exit.end.to_string(), "ended by signal 9 (SIGKILL)");
    Ok(())
}

#[tokio::test]
async fn an_unknown_program_is_named_with_the_folders_searched() {
    let error = Command::new("no-such-agent").env("PATH", "/a:/b").spawn().unwrap_err();
    assert!(matches!(&error, SpawnError::ProgramNotFound { searched, .. } if searched.len() == 2));
    assert_eq!(error.to_string(), "could not find program 'no-such-agent' in PATH");
    let error = Command::new("./no/such/agent").spawn().unwrap_err();
    assert_eq!(error.to_string(), "could not find program './no/such/agent'");
    assert!(matches!(Command::new("").spawn(), Err(SpawnError::ProgramNotFound { .. })));
}

#[tokio::test]
async fn what_cannot_be_executed_is_told_apart() -> TestResult {
    let yard = Yard::new();
    let file = yard.path("agent");
    fs::write(&file, "#!/no/such/interpreter\n")?;
    let start = || Command::new(&file).spawn().unwrap_err();
    assert!(matches!(start(), SpawnError::NotExecutable { .. }), "a file without the x bit");
    let found = Command::new("agent").env("PATH", yard.path("")).spawn().unwrap_err();
    assert!(matches!(found, SpawnError::NotExecutable { .. }), "the same, found in PATH");

    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    assert!(matches!(start(), SpawnError::Interpreter { .. }), "a script that nothing can run");

    let folder = Command::new(yard.path("")).spawn().unwrap_err();
    assert!(matches!(folder, SpawnError::NotExecutable { .. }), "a folder");
    Ok(())
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let yard = Yard::new();
    for dir in [yard.path("missing"), yard.path("ready")] {
        let error = Command::new("true").current_dir(&dir).spawn().unwrap_err();
        assert!(matches!(&error, SpawnError::WorkingDirectory { path, .. } if *path == dir));
    }
}

#[tokio::test]
async fn the_childs_own_path_is_searched() -> TestResult {
    let yard = Yard::new();
    let file = yard.path("my-agent");
    fs::write(&file, "#!/bin/sh\necho \"$1 in $PWD\"\n")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    let command = Command::new("my-agent").arg("a b").env("PATH", yard.path("")).current_dir("/");
    assert_eq!(wait(command.spawn()?).await.last_line(), Some("a b in /"));
    Ok(())
}

#[tokio::test]
async fn the_environment_is_what_was_asked_for() -> TestResult {
    let script = "echo \"${A-unset} ${B-unset} ${HOME-unset}\"";
    let command = Command::new("sh").args(["-c", script]).env("A", "1").env("B", "2");
    let kept = wait(command.clone().env_remove("B").spawn()?).await;
    assert_eq!(
        kept.last_line(),
        Some(&*format!("1 unset {}", env::var("HOME").unwrap_or_default()))
    );
    let cleared = wait(command.env_clear().envs([("B", "3")]).spawn()?).await;
    assert_eq!(cleared.last_line(), Some("unset 3 unset"));
    Ok(())
}

#[tokio::test]
async fn stdin_is_empty_or_what_was_given() -> TestResult {
    assert_eq!(wait(Command::new("cat").spawn()?).await.stdout_bytes, 0);
    let text = "do it\n".repeat(500_000).into_bytes();
    let len = text.len() as u64;
    let exit = wait(Command::new("cat").stdin(Stdin::Bytes(text)).spawn()?).await;
    assert_eq!((exit.end, exit.stdout_bytes), (End::Exited(0), len));
    Ok(())
}

#[tokio::test]
async fn a_child_that_does_not_read_is_no_error() -> TestResult {
    for script in ["exit 0", "exec <&-; read -r line < ready; exit 0"] {
        let yard = Yard::new();
        let fifo = yard.path("ready");
        let child = yard.sh(script).stdin(Stdin::Bytes(vec![b'x'; 8 << 20])).spawn()?;
        let write = async {
            if script.contains("ready") {
                let write = move || fs::write(fifo, "go on\n");
                tokio::task::spawn_blocking(write).await.unwrap().unwrap();
            }
        };
        let (exit, ()) = tokio::join!(wait(child), write);
        assert!(exit.is_success(), "{exit:?}");
    }
    Ok(())
}

#[test]
fn debug_shows_no_argument_and_no_secret() {
    let command = Command::new("agent")
        .arg("--key=hush")
        .env("KEY", "hush")
        .mask(["hush"])
        .stdin(Stdin::Bytes(b"hush".to_vec()));
    assert!(!format!("{command:?} {:?}", Stdin::Bytes(b"hush".to_vec())).contains("hush"));
}
