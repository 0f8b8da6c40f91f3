//! A folder of locks: how it is opened and checked.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use crate::{
    LostReason, OpenError, ReleaseError,
    claims::ClaimsOfFolder,
    lease::Leases,
    line::Lines,
    mode::LockMode,
    name::file_name,
    registry::Registry,
    spare::Spares,
    sys::{self, Folder, Locked},
};

/// How often a folder may be removed while it is opened.
const MAX_REMOVALS: u32 = 20;

/// The longest holder id in bytes.
pub(crate) const MAX_HOLDER: usize = 80;

/// The file that says how the locks of a folder are meant. Programs that differ in that must not
/// share a folder.
pub(crate) const FORMAT_FILE: &str = ".lockdir";
/// What it begins with; then comes the mode.
const FORMAT: &str = "agent-runner-lock 1";

/// The file that keeps git from seeing the locks.
pub(crate) const IGNORE_FILE: &str = ".gitignore";

/// A folder of locks, one file a key.
///
/// Clones share what they hold. Two folders opened on the same path exclude each other like two
/// processes do.
#[derive(Debug, Clone)]
pub struct LockDir {
    pub(crate) shared: Arc<Shared>,
    pub(crate) holder_id: Arc<str>,
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    path: PathBuf,
    options: LockDirBuilder,
    folder: RwLock<Arc<Folder>>,
    pub(crate) registry: Registry,
    pub(crate) lines: Lines,
    pub(crate) spares: Spares,
    /// `None` in a strict directory.
    pub(crate) leases: Option<Leases>,
    pub(crate) claims: ClaimsOfFolder,
}

impl LockDir {
    /// Opens a folder with the defaults of [`LockDirBuilder`], and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// Refuses folders in which locks would not be safe; see [`OpenError`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::builder(path).open()
    }

    /// Opens a folder in another way than the default one.
    pub fn builder(path: impl Into<PathBuf>) -> LockDirBuilder {
        LockDirBuilder {
            path: path.into(),
            holder_id: None,
            default_timeout: None,
            network_fs: NetworkFs::Refuse,
            shared_folder: false,
            mode: LockMode::Strict,
            wall_clock: SystemTime::now,
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.shared.path()
    }

    /// The name that this process gives itself in records.
    pub fn holder_id(&self) -> &str {
        &self.holder_id
    }

    /// The same locks, acquired under another name: that of one worker of many, say.
    ///
    /// # Errors
    ///
    /// [`OpenError::HolderId`].
    pub fn with_holder_id(&self, holder_id: &str) -> Result<Self, OpenError> {
        Ok(Self { holder_id: check_holder(holder_id)?, ..self.clone() })
    }

    /// The same locks, meant to be held for at most another time; `None` is for ever.
    pub fn with_timeout(&self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Releases a lock whose guard is elsewhere, if this process holds it under that name.
    ///
    /// The guard then does nothing any more. Whoever has the guard rather drops it.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::NotHeld`], [`ReleaseError::NotHolder`], and those of
    /// [`TaskLock::release`](crate::TaskLock::release).
    pub fn release(&self, key: &str, holder_id: &str) -> Result<(), ReleaseError> {
        let not_held = || ReleaseError::NotHeld { key: key.to_owned() };
        let name = file_name(key).map_err(|_| not_held())?;
        let held = self.shared.registry.get(&name).ok_or_else(not_held)?;
        let holder = held.info().holder_id;
        if holder != holder_id {
            let (key, asked) = (key.to_owned(), holder_id.to_owned());
            return Err(ReleaseError::NotHolder { key, holder_id: holder, asked });
        }
        let released = self.shared.let_go(&held);
        held.loss.declare(&LostReason::Released);
        released
    }
}

/// Whether locks may be kept on a network file system, or on FUSE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkFs {
    /// Such a folder is refused.
    #[default]
    Refuse,
    /// The caller knows that its server's `flock` excludes all clients and does not hang.
    Allow,
}

/// How to open a [`LockDir`].
///
/// | option | default |
/// |---|---|
/// | [`holder_id`](Self::holder_id) | `pid-` and the number of the process |
/// | [`default_timeout`](Self::default_timeout) | none: no lock is ever overdue |
/// | [`network_fs`](Self::network_fs) | refused |
/// | [`allow_shared_folder`](Self::allow_shared_folder) | no |
/// | [`lease`](Self::lease) | none: nothing but a release or death ends a lock |
/// | [`wall_clock`](Self::wall_clock) | the system's |
#[derive(Debug, Clone)]
#[must_use = "nothing is opened before `open`"]
pub struct LockDirBuilder {
    path: PathBuf,
    holder_id: Option<String>,
    default_timeout: Option<Duration>,
    network_fs: NetworkFs,
    shared_folder: bool,
    mode: LockMode,
    wall_clock: fn() -> SystemTime,
}

impl LockDirBuilder {
    /// The name that this process gives itself in records: 1 to 80 bytes.
    pub fn holder_id(mut self, holder_id: impl Into<String>) -> Self {
        self.holder_id = Some(holder_id.into());
        self
    }

    /// How long a lock is meant to be held at most. Nothing but a report happens after it.
    pub fn default_timeout(mut self, timeout: Duration) -> Self {
        self.default_timeout = Some(timeout);
        self
    }

    /// Whether the folder may be on a network file system.
    pub fn network_fs(mut self, network_fs: NetworkFs) -> Self {
        self.network_fs = network_fs;
        self
    }

    /// Accepts a folder that belongs to another user, or that others can write to. They can take
    /// the locks away.
    pub fn allow_shared_folder(mut self, allow: bool) -> Self {
        self.shared_folder = allow;
        self
    }

    /// Makes it a lease directory: a holder that shows no sign of life for `ttl` loses its lock to
    /// whoever waits for it. All who use the folder must say the same.
    ///
    /// A thread of this crate renews what this process holds, every third of `ttl`. So a holder that
    /// works stays in, however long it takes; one that is stopped, or whose disk does not answer, is
    /// deposed, and hears of it by [`TaskLock::lost`](crate::TaskLock::lost) and
    /// [`TaskLock::check`](crate::TaskLock::check) as soon as it runs again. Until then it may
    /// write: **only a store that checks the token on every write keeps it from doing harm.** Even
    /// the token of a lock that was just acquired may be old already, if the process was stopped
    /// on its way out of the call.
    ///
    /// Take 30 seconds or more: a busy machine can stop a process for a second. At least 100 ms are
    /// required.
    pub fn lease(mut self, ttl: Duration) -> Self {
        self.mode = LockMode::Lease { ttl };
        self
    }

    /// What says which time it is, for records and tokens. No lock depends on it: it may stand
    /// still, or jump, as far as it likes.
    pub fn wall_clock(mut self, now: fn() -> SystemTime) -> Self {
        self.wall_clock = now;
        self
    }

    /// Opens the folder, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// Refuses folders in which locks would not be safe; see [`OpenError`].
    pub fn open(self) -> Result<LockDir, OpenError> {
        let holder_id = match &self.holder_id {
            Some(holder_id) => check_holder(holder_id)?,
            None => format!("pid-{}", std::process::id()).into(),
        };
        // Absolute, because the current folder may change; with its symbolic links, because the
        // path that others use is the one that must lead to our files.
        let path = std::path::absolute(&self.path).map_err(|e| io_error(&self.path, e))?;
        let leases = self.mode.leases(&path)?;
        let folder = RwLock::new(Arc::new(self.open_folder(&path)?));
        let (registry, lines) = (Registry::default(), Lines::default());
        let spares = Spares::default();
        let claims = ClaimsOfFolder::default();
        let timeout = self.default_timeout;
        let shared =
            Shared { path, options: self, folder, registry, lines, spares, leases, claims };
        let shared = Arc::new(shared);
        Ok(LockDir { shared, holder_id, timeout })
    }

    /// Opens the folder, and begins again if it is removed under our eyes.
    fn open_folder(&self, path: &Path) -> Result<Folder, OpenError> {
        for _ in 1..MAX_REMOVALS {
            match self.try_open_folder(path) {
                Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
        }
        self.try_open_folder(path)
    }

    fn try_open_folder(&self, path: &Path) -> Result<Folder, OpenError> {
        let folder = match Folder::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                sys::create_folder(path).and_then(|()| Folder::open(path))
            }
            other => other,
        }
        .map_err(|e| io_error(path, e))?;

        self.check_owner(&folder, path)?;
        if self.network_fs == NetworkFs::Refuse {
            let kind = folder.network_kind().map_err(|e| io_error(path, e))?;
            if let Some(kind) = kind {
                return Err(OpenError::NetworkFileSystem { path: path.into(), kind });
            }
        }
        // Begins with a blank as records do, see `crate::record`.
        let format = format!(" {FORMAT} {}\n", self.mode.word());
        let found = write_once(&folder, FORMAT_FILE, &format).map_err(|e| io_error(path, e))?;
        if found != format.as_bytes() {
            return Err(self.other_format(path, &String::from_utf8_lossy(&found)));
        }
        write_once(&folder, IGNORE_FILE, "*\n").map_err(|e| io_error(path, e))?;
        Ok(folder)
    }

    fn other_format(&self, path: &Path, found: &str) -> OpenError {
        let (path, found) = (path.to_owned(), found.trim());
        if let Some(found) = found.strip_prefix(FORMAT).and_then(LockMode::parse) {
            return OpenError::Mode { path, found, asked: self.mode };
        }
        OpenError::Format { path, found: found.chars().take(80).collect(), known: FORMAT }
    }

    /// Checks that nobody else can take files away in a folder.
    fn check_owner(&self, folder: &Folder, path: &Path) -> Result<(), OpenError> {
        if self.shared_folder { Ok(()) } else { folder.check_owner(path) }
    }
}

impl Shared {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The time of people.
    pub(crate) fn wall_clock(&self) -> SystemTime {
        (self.options.wall_clock)()
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn folder(&self) -> Arc<Folder> {
        Arc::clone(&self.folder.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A folder in ours, made if need be.
    pub(crate) fn subfolder(&self, name: &str) -> Result<Folder, OpenError> {
        let path = self.path_of(name);
        let folder = self.folder_again()?.subfolder(name).map_err(|e| io_error(&path, e))?;
        self.options.check_owner(&folder, &path)?;
        Ok(folder)
    }

    /// The folder that has our path now: another one than before if ours was removed or replaced.
    pub(crate) fn folder_again(&self) -> Result<Arc<Folder>, OpenError> {
        let mut folder = self.folder.write().unwrap_or_else(PoisonError::into_inner);
        let at_path = sys::id_at(&self.path, true).map_err(|e| io_error(&self.path, e))?;
        if at_path != Some(folder.id().map_err(|e| io_error(&self.path, e))?) {
            *folder = Arc::new(self.options.open_folder(&self.path)?);
        }
        Ok(Arc::clone(&folder))
    }
}

fn check_holder(holder_id: &str) -> Result<Arc<str>, OpenError> {
    let good = (1..=MAX_HOLDER).contains(&holder_id.len());
    if !good || holder_id.chars().any(char::is_control) {
        return Err(OpenError::HolderId { holder_id: holder_id.to_owned() });
    }
    Ok(holder_id.into())
}

/// Gives a file this content unless it has one, and returns what it has.
///
/// The file is locked meanwhile, so that nobody reads half of it, and a process that dies between
/// making and writing leaves an empty file to the next.
fn write_once(folder: &Folder, name: &str, content: &str) -> io::Result<Vec<u8>> {
    let locked = Locked::wait(folder.open_or_create(name)?)?;
    let mut block = [0; crate::record::LEN];
    let found = sys::read_block(locked.file(), &mut block)?;
    if !found.is_empty() {
        return Ok(found.to_vec());
    }
    sys::write_block(locked.file(), content.as_bytes())?;
    Ok(content.into())
}

fn io_error(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io { path: path.into(), source }
}
