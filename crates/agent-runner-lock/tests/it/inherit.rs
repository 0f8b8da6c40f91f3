//! Locks that pass to a child. Holders and children are processes, because that is what is tested.

use std::{
    env,
    error::Error,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    slice::from_ref,
    sync::Barrier,
    thread,
};

use agent_runner_lock::{CleanOptions, LockDir, LockState, LostError};

use crate::{
    alone::{alone, under},
    lock_dir, take,
};

const FOLDER: &str = "AGENT_RUNNER_LOCK_TEST_FOLDER";

/// A program that ends when its standard input does.
fn cat() -> Command {
    let mut cat = Command::new("cat");
    cat.stdout(Stdio::null());
    cat
}

fn on_another_thread(act: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(act).join().unwrap());
}

/// A holder whose child keeps its lock. The child ends with `input`.
pub(crate) struct Family {
    pub(crate) holder: Child,
    pub(crate) child: u32,
    pub(crate) input: ChildStdin,
}

impl Family {
    pub(crate) fn start(folder: &Path) -> Self {
        let mut holder = Command::new(env::current_exe().unwrap())
            .args(["--exact", "inherit::a_killed_holders_child_keeps_the_lock", "--nocapture"])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = holder.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stderr.take().unwrap()).read_line(&mut line).unwrap();
        Self { holder, child: line.trim().parse().unwrap(), input }
    }

    /// What the holder does, in a process of its own.
    fn play(folder: &OsStr) {
        let lock = take(&LockDir::open(folder).unwrap(), "42");
        let mut child = lock.keep_with_child(&mut cat()).unwrap();
        std::io::stderr().write_all(format!("{}\n", child.id()).as_bytes()).unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_killed_holders_child_keeps_the_lock() {
    if let Some(folder) = env::var_os(FOLDER) {
        return Family::play(&folder);
    }
    let (_folder, dir) = lock_dir();
    let Family { mut holder, child, input } = Family::start(dir.path());
    let mut both = dir.keepers("42").unwrap();
    both.sort_unstable();
    let mut expected = [holder.id(), child];
    expected.sort_unstable();
    assert_eq!(both, expected);
    assert_eq!(dir.status("42").unwrap().state, LockState::Held);

    holder.kill().unwrap();
    // It dies a moment later; and nobody has asked yet how it ended.
    while !dir.status("42").unwrap().is_orphaned() {
        thread::yield_now();
    }
    assert_eq!(dir.keepers("42").unwrap(), [child]);
    holder.wait().unwrap();

    let status = dir.status("42").unwrap();
    assert!(status.is_held() && status.is_orphaned() && !status.by_this_process);
    let says = format!(
        "task 42 is held by a child of its dead holder pid-{0}, pid {0} on host ",
        holder.id()
    );
    assert!(status.to_string().starts_with(&says), "{status}");
    assert_eq!(dir.list().unwrap(), from_ref(&status));
    let mut options = CleanOptions::default();
    options.retention = std::time::Duration::ZERO;
    assert_eq!(dir.clean_stale(&options).unwrap().held, from_ref(&status));
    let agent_runner_lock::Acquire::Held(seen) = dir.try_acquire("42").unwrap() else {
        panic!("a task on which somebody works was handed out");
    };
    assert_eq!(*seen, status);

    drop(input);
    // In the kernel's queue: it comes when the child has ended.
    let lock = dir.acquire_blocking("42", None).unwrap();
    assert_eq!(lock.previous().unwrap().pid, holder.id());
    assert_eq!(dir.keepers("42").unwrap(), [std::process::id()]);
}

#[test]
fn a_release_frees_the_lock_whatever_daemons_have_open() {
    alone("inherit::a_release_frees_the_lock_whatever_daemons_have_open", || {
        let (_folder, dir) = lock_dir();
        let lock = take(&dir, "42");
        let mut parent = Command::new("setsid");
        // It ends at once and leaves its child behind.
        parent.args(["--fork", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut parent = lock.keep_with_child(&mut parent).unwrap();
        let input = parent.stdin.take().unwrap();
        parent.wait().unwrap();
        let keepers = dir.keepers("42").unwrap();
        assert_eq!(keepers.len(), 2, "this process and the daemon: {keepers:?}");

        lock.release().unwrap();
        assert_eq!(dir.status("42").unwrap().state, LockState::Free);
        let again = take(&dir, "42");
        assert_eq!(again.previous(), None);
        assert_eq!(dir.keepers("42").unwrap(), [std::process::id()]);
        drop(input);
    });
}

#[test]
fn a_child_gets_no_lock_but_its_own() {
    alone("inherit::a_child_gets_no_lock_but_its_own", || {
        let (_folder, dir) = lock_dir();
        let start = Barrier::new(2);
        // How many of 50 children have a lock that is not theirs, or lack their own.
        let work = |key| {
            let lock = take(&dir, key);
            let is_wrong = |_: &u32| {
                start.wait();
                let mut child = lock.keep_with_child(cat().stdin(Stdio::piped())).unwrap();
                start.wait();
                // Both children live now.
                let mut keepers = dir.keepers(key).unwrap();
                keepers.retain(|pid| *pid != std::process::id());
                start.wait();
                drop(child.stdin.take());
                child.wait().unwrap();
                keepers != [child.id()]
            };
            (0..50).filter(is_wrong).count()
        };
        thread::scope(|scope| {
            let (a, b) = (scope.spawn(|| work("a")), scope.spawn(|| work("b")));
            assert_eq!((a.join().unwrap(), b.join().unwrap()), (0, 0));
        });
    });
}

#[test]
fn a_child_can_keep_several_locks() {
    alone("inherit::a_child_can_keep_several_locks", || {
        let (_folder, dir) = lock_dir();
        let (one, two) = (take(&dir, "1"), take(&dir, "2"));
        let mut command = cat();
        command.stdin(Stdio::piped());
        let both = one.while_inheritable(|| two.while_inheritable(|| command.spawn()));
        let mut child = both.unwrap().unwrap().unwrap();
        for key in ["1", "2"] {
            assert!(dir.keepers(key).unwrap().contains(&child.id()));
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        // The turn is over, for this thread too.
        on_another_thread(|| one.while_inheritable(|| ()).unwrap());
    });
}

#[test]
fn a_panic_ends_the_turn() {
    alone("inherit::a_panic_ends_the_turn", || {
        let (_folder, dir) = lock_dir();
        let lock = take(&dir, "42");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            lock.while_inheritable(|| std::panic::resume_unwind(Box::new("on purpose")))
        }));
        assert!(panicked.is_err());
        let in_turn = || lock.while_inheritable(|| ()).unwrap();
        in_turn();
        on_another_thread(in_turn);
        let child = cat().stdin(Stdio::piped()).spawn().unwrap();
        assert_eq!(dir.keepers("42").unwrap(), [std::process::id()]);
        child.wait_with_output().unwrap();
    });
}

#[test]
fn a_child_is_told_of_its_lock() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"printf "%s %s" "$AGENT_RUNNER_LOCK_TOKEN" "$AGENT_RUNNER_LOCK_PATH""#]);
    let child = lock.keep_with_child(shell.stdout(Stdio::piped())).unwrap();
    let said = child.wait_with_output().unwrap().stdout;
    let path = dir.path().join("task-42.lock");
    assert_eq!(String::from_utf8(said).unwrap(), format!("{} {}", lock.token(), path.display()));
}

#[test]
fn a_lock_that_was_released_is_not_handed_on() {
    let (_folder, dir) = lock_dir();
    let lock = take(&dir, "42");
    dir.release("42", dir.holder_id()).unwrap();
    assert!(matches!(lock.while_inheritable(|| panic!("called")), Err(LostError::Released { .. })));
    let refused = lock.keep_with_child(&mut cat()).unwrap_err();
    assert!(refused.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<LostError>), "{refused}");
}

#[cfg(feature = "tokio")]
#[test]
fn tokios_child_keeps_the_lock_too() {
    alone("inherit::tokios_child_keeps_the_lock_too", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_folder, dir) = lock_dir();
            let lock = take(&dir, "42");
            let mut command = tokio::process::Command::from(cat());
            let mut child = lock.keep_with_child(command.stdin(Stdio::piped())).unwrap();
            assert!(dir.keepers("42").unwrap().contains(&child.id().unwrap()));
            drop(child.stdin.take());
            child.wait().await.unwrap();
            assert_eq!(dir.keepers("42").unwrap(), [std::process::id()]);
        });
    });
}

/// A plain fork copies the page tables of a process that may be big; `posix_spawn` shares the
/// memory until the child has become another program.
#[test]
fn a_child_that_keeps_a_lock_is_started_without_copying_this_process() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let tool = ["strace", "-f", "-e", "trace=clone,clone3,fork,vfork,execve", "-o"].map(OsStr::new);
    let test = "inherit::a_child_that_keeps_a_lock_is_started_without_copying_this_process";
    let traced = under(&[&tool[..], &[trace.as_os_str()]].concat(), test, || {
        let (_folder, dir) = lock_dir();
        let lock = take(&dir, "42");
        lock.keep_with_child(cat().stdin(Stdio::null())).unwrap().wait().unwrap();
    });
    if !traced {
        return;
    }
    let trace = fs::read_to_string(trace).unwrap();
    assert!(trace.contains("[\"cat\"]"), "{trace}");
    let started = |line: &&str| line.contains("CLONE_") || line.contains("fork(");
    let is_thread = |line: &&str| line.contains("CLONE_THREAD");
    let mut children = trace.lines().filter(started).filter(|line| !is_thread(line)).peekable();
    assert!(children.peek().is_some(), "{trace}");
    let shares = |line: &str| line.contains("CLONE_VFORK") || line.contains("vfork(");
    assert!(children.all(shares), "{trace}");
}
