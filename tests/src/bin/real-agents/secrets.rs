//! Where keys are that should be nowhere.

use std::{
    collections::BTreeSet,
    fs, io,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// How the tokens begin that the gateway lends.
const TOKEN: &str = "sk-ar-";

/// Looks for keys, and remembers where some were.
#[derive(Debug, Default)]
pub(crate) struct Search {
    keys: Vec<String>,
    found: Mutex<Found>,
}

/// What a search came upon.
#[derive(Debug, Default, Clone)]
pub(crate) struct Found {
    /// Where a key was.
    pub(crate) leaks: BTreeSet<String>,
    /// How often all processes were looked at.
    pub(crate) looks: usize,
    /// How often at least one of them had a token of the gateway.
    pub(crate) looks_with_token: usize,
    /// How many files were read.
    pub(crate) files: usize,
}

impl Search {
    pub(crate) fn new(keys: &[String]) -> Self {
        Self { keys: keys.to_vec(), found: Mutex::default() }
    }

    pub(crate) fn found(&self) -> Found {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks into the arguments and environments of all processes that we may look into: those of
    /// the runner, of the agents and of whatever these started, whoever their parent is by now.
    pub(crate) fn look_at_processes(&self) {
        let mut leaks = BTreeSet::new();
        let mut has_token = false;
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            for part in ["cmdline", "environ"] {
                // Others have ended by now, or belong to somebody else.
                let Ok(bytes) = fs::read(process.path().join(part)) else { continue };
                let text = String::from_utf8_lossy(&bytes);
                has_token |= text.contains(TOKEN);
                if self.is_in(&text) {
                    let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                    leaks.insert(format!("the {part} of {}", name.trim()));
                }
            }
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.leaks.append(&mut leaks);
        found.looks += 1;
        found.looks_with_token += usize::from(has_token);
    }

    /// Looks into all files of a folder, and at their names.
    pub(crate) fn look_at_files(&self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
            let kind = entry?;
            if kind.is_dir() {
                self.look_at_files(&path)?;
                continue;
            }
            let bytes = if kind.is_file() { fs::read(&path)? } else { Vec::new() };
            let is_leak =
                self.is_in(&String::from_utf8_lossy(&bytes)) || self.is_in(&path.to_string_lossy());
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found.files += 1;
            if is_leak {
                found.leaks.insert(path.display().to_string());
            }
        }
        Ok(())
    }

    fn is_in(&self, text: &str) -> bool {
        self.keys.iter().any(|key| text.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    use super::*;

    /// One that no other process has.
    fn key() -> String {
        format!("sk-fake-ok-{}-of-a-test", std::process::id())
    }

    /// What is found while a process lives that was started so.
    fn found_beside(variable: &str, argument: &str) -> Found {
        let search = Search::new(&[key()]);
        let mut command = Command::new("sh");
        command.args(["-c", "echo; read line || :", argument]).env("LENT", variable);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("there is sh");
        // A process that has only just begun shows neither.
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        search.look_at_processes();
        drop(child.stdin.take());
        child.wait().unwrap();
        search.found()
    }

    #[test]
    fn a_key_of_a_process_is_found() {
        let found = found_beside(&key(), "");
        assert_eq!(found.leaks, ["the environ of sh".to_owned()].into());
        let found = found_beside("", &key());
        assert_eq!(found.leaks, ["the cmdline of sh".to_owned()].into());
        let found = found_beside(&format!("{TOKEN}1"), "");
        assert_eq!((found.leaks.len(), found.looks, found.looks_with_token), (0, 1, 1));
    }

    #[test]
    fn a_key_in_a_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(folder.path().join("deep/good"), "nothing").unwrap();
        fs::write(folder.path().join("deep/bad"), [b"\xff\0", key().as_bytes(), b"\0"].concat())
            .unwrap();
        fs::write(folder.path().join(key()), "").unwrap();
        let search = Search::new(&[key()]);
        search.look_at_files(folder.path()).unwrap();
        let found = search.found();
        assert_eq!((found.leaks.len(), found.files), (2, 3), "{found:?}");
    }
}
