//! A file that keeps what is known of keys for the next run, and for others on this machine.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{
    Credential, KeyRing, parse_rfc3339,
    ring::{Kept, Memory},
    time::rfc3339,
};

const VERSION: u32 = 1;
/// After so long a key that is out is tried once more: a provider can be wrong, too.
const OUT: Duration = Duration::from_secs(12 * 60 * 60);
/// For so long a reset is kept for those who have not seen it yet.
const RESET: Duration = Duration::from_secs(24 * 60 * 60);

/// A JSON file that keeps which keys are spent or out, so that a restart does not find out anew,
/// and so that the runs of one machine learn from each other.
///
/// It has no key in it, only salted fingerprints and labels. It is replaced at once, never written
/// in place, and a lock of the kernel on a file beside it keeps writers apart.
///
/// # Examples
///
/// ```no_run
/// use std::time::SystemTime;
/// use agent_runner_credentials::{KeyRing, StateFile};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ring = KeyRing::new([]);
/// let file = StateFile::new("/var/lib/mine/keys.json");
/// file.sync(&mut ring, SystemTime::now())?; // at the start, and after each key that is spent
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct StateFile {
    path: PathBuf,
}

/// What a [`sync`](StateFile::sync) did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Synced {
    /// The ring learned something.
    pub learned: bool,
    /// The file was written.
    pub written: bool,
    /// What was there could not be read as what it should be, and was begun anew.
    pub was_corrupt: bool,
}

/// Why a state file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} the state of keys in '{}'", path.display())]
pub struct StateFileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    version: u32,
    salt: String,
    /// By the fingerprint of the key.
    keys: BTreeMap<String, Vec<Entry>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    label: String,
    /// The model, if it is about one; empty for those who name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// `spent`, `out` or `ready`, which is a reset.
    state: String,
    /// In milliseconds since 1970.
    since_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(default)]
    reason: String,
}

impl StateFile {
    /// A file, which need not be there yet, nor its folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Brings a ring and the file up to date with each other; what is newer counts. It waits for
    /// others who do the same, which takes them milliseconds.
    ///
    /// # Errors
    ///
    /// The file or its lock can not be read or written. A file that makes no sense is no error: it
    /// is begun anew, and [`Synced::was_corrupt`] says so.
    pub fn sync(&self, ring: &mut KeyRing, now: SystemTime) -> Result<Synced, StateFileError> {
        let _lock = self.lock()?;
        let (mut content, was_corrupt) = self.read()?;
        let mut synced = Synced { was_corrupt, ..Synced::default() };
        let before = content.keys.clone();
        content.keys.values_mut().for_each(|entries| entries.retain(|entry| entry.is_alive(now)));
        let prints: Vec<_> =
            (0..ring.len()).map(|key| fingerprint(&content.salt, ring.credential(key))).collect();
        for (key, print) in prints.iter().enumerate() {
            for entry in content.keys.get(print).into_iter().flatten() {
                let memory = entry.memory(key);
                synced.learned |= memory.is_some_and(|memory| ring.recall(&memory, now));
            }
        }
        for memory in ring.remember(now) {
            let label = &ring.credential(memory.key).label;
            let entries = content.keys.entry(prints[memory.key].clone()).or_default();
            merge(entries, Entry::new(label, &memory));
        }
        content.keys.retain(|_, entries| !entries.is_empty());
        if content.keys != before || was_corrupt {
            self.write(&content)?;
            synced.written = true;
        }
        Ok(synced)
    }

    fn lock(&self) -> Result<File, StateFileError> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)
                .map_err(|source| self.error("make the folder for", source))?;
        }
        let path = self.path.with_extension("lock");
        let file = File::options().create(true).truncate(false).write(true).open(path);
        let locked = file.and_then(|file| file.lock().map(|()| file));
        locked.map_err(|source| self.error("lock", source))
    }

    /// What is there, and whether it made no sense.
    fn read(&self) -> Result<(Content, bool), StateFileError> {
        let new = || Content { version: VERSION, salt: salt(), keys: BTreeMap::new() };
        match fs::read(&self.path) {
            Ok(bytes) => Ok(match serde_json::from_slice::<Content>(&bytes) {
                Ok(content) if content.version == VERSION => (content, false),
                _ => (new(), true),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((new(), false)),
            Err(source) => Err(self.error("read", source)),
        }
    }

    fn write(&self, content: &Content) -> Result<(), StateFileError> {
        let error = |source| self.error("write", source);
        let mut text = serde_json::to_vec_pretty(content).map_err(|e| error(e.into()))?;
        text.push(b'\n');
        // Only who has the lock writes it.
        let new = self.path.with_extension("new");
        let mut file = File::create(&new).map_err(error)?;
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(error)?;
        fs::rename(&new, &self.path).map_err(error)
    }

    fn error(&self, action: &'static str, source: io::Error) -> StateFileError {
        StateFileError { action, path: self.path.clone(), source }
    }
}

impl Entry {
    fn new(label: &str, memory: &Memory) -> Self {
        let (state, until) = match memory.state {
            Kept::Reset => ("ready", None),
            Kept::Out => ("out", None),
            Kept::Spent(until) => ("spent", Some(rfc3339(until))),
        };
        Self {
            label: label.to_owned(),
            model: memory.model.clone(),
            state: state.to_owned(),
            since_ms: milliseconds(memory.since),
            until,
            reason: memory.reason.clone(),
        }
    }

    fn memory(&self, key: usize) -> Option<Memory> {
        let state = match &*self.state {
            "ready" => Kept::Reset,
            "out" => Kept::Out,
            "spent" => Kept::Spent(parse_rfc3339(self.until.as_deref()?)?),
            _ => return None,
        };
        let since = UNIX_EPOCH.checked_add(Duration::from_millis(self.since_ms))?;
        Some(Memory { key, model: self.model.clone(), state, since, reason: self.reason.clone() })
    }

    /// Whether it still says anything.
    fn is_alive(&self, now: SystemTime) -> bool {
        self.memory(0).is_some_and(|memory| match memory.state {
            Kept::Spent(until) => until > now,
            Kept::Out => memory.since + OUT > now,
            Kept::Reset => memory.since + RESET > now,
        })
    }
}

/// Puts an entry in the place of an older one about the same.
fn merge(entries: &mut Vec<Entry>, new: Entry) {
    match entries.iter_mut().find(|entry| entry.model == new.model) {
        Some(old) if old.since_ms < new.since_ms => *old = new,
        Some(_) => (),
        None => entries.push(new),
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Names a key without telling it.
fn fingerprint(salt: &str, credential: &Credential) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("agent-runner-credentials state file 1");
    let url = credential.base_url.as_deref().unwrap_or_default();
    for part in [salt, &credential.provider, url, credential.key.expose()] {
        hasher.update(&part.len().to_le_bytes()).update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// A text that nobody else has: the standard library seeds its hashers by the system's chance.
fn salt() -> String {
    let part = |number: u64| format!("{:016x}", RandomState::new().hash_one(number));
    (0..4).map(part).collect()
}
