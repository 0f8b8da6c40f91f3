//! The claims of a folder while nobody can add one.

use std::{
    collections::HashMap,
    fs::{self, File},
    io, mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    AcquireAll,
    folder::{CLAIMS, ClaimsFolder},
    guard::ResourceLock,
    record::{self, ClaimRecord},
    status::ClaimStatus,
    wish::Wish,
};
use crate::{
    AcquireError, LockDir, LockInfo, Resource,
    acquire::{failed, oddity},
    dir::Shared,
    floor,
    resource::conflict,
    sys::{self, Locked},
};

/// The mutex, which also keeps the highest token.
const MUTEX: &str = ".mutex";
const HELD: &str = "claim-";
const WANTED: &str = "wish-";
const SUFFIX: &str = ".lock";

/// How often the mutex may turn out to have lost its name before we give up.
const MAX_MOVES: u32 = 100;

/// For how long to ask for the mutex.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often to ask for the mutex in one go, and when to leave the processor to others meanwhile.
const GLANCES: u32 = 20;
const QUICK_GLANCES: u32 = 4;

/// All claims, as long as this process has the mutex.
pub(super) struct Board {
    claims: Arc<ClaimsFolder>,
    mutex: Locked,
    /// The highest token in a name.
    highest: u64,
}

impl Shared {
    /// Takes the mutex; `None` if others had it all the time.
    pub(super) fn board(&self) -> Result<Option<Board>, AcquireError> {
        let mut glances = 0;
        for _ in 0..MAX_MOVES {
            let claims = self.claims_folder()?;
            let path = claims.path_of(MUTEX);
            let failed = |source| failed(&path, source);
            let file = match claims.folder.open_or_create(MUTEX) {
                Ok(file) => file,
                Err(error) if sys::absent_or_other(&error) => {
                    self.forget_claims_folder();
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            let Some(mutex) = lock_soon(file, &mut glances).map_err(failed)? else {
                return Ok(None);
            };
            let found = sys::found(mutex.file()).map_err(failed)?;
            if sys::id_at(&path, false).map_err(failed)? != Some(found.id) {
                self.forget_claims_folder();
                continue;
            }
            if let Some(what) = oddity(&found) {
                return Err(AcquireError::NotALock { path, what });
            }
            return Ok(Some(Board { claims, mutex, highest: 0 }));
        }
        Err(AcquireError::Unstable { path: self.path_of(CLAIMS) })
    }

    /// Takes the mutex, and gives up only when something must be wrong with who has it.
    pub(super) fn board_in_time(&self) -> Result<Board, AcquireError> {
        let start = Instant::now();
        loop {
            if let Some(board) = self.board()? {
                return Ok(board);
            }
            if start.elapsed() > PATIENCE {
                return Err(AcquireError::Stuck { path: self.path_of(CLAIMS).join(MUTEX) });
            }
        }
    }
}

/// Locks a file that nobody has for long.
fn lock_soon(mut file: File, glances: &mut u32) -> io::Result<Option<Locked>> {
    loop {
        match Locked::try_new(file)? {
            Ok(locked) => return Ok(Some(locked)),
            Err(refused) => file = refused,
        }
        match *glances {
            GLANCES => return Ok(None),
            ..QUICK_GLANCES => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(50)),
        }
        *glances += 1;
    }
}

impl Board {
    /// Adds a claim, unless others are in its way: who hold what it needs, or who wait for it and
    /// came before `wish`, if that is ours.
    pub(super) fn acquire(
        &mut self,
        dir: &LockDir,
        resources: &[Resource],
        wish: Option<&Wish>,
    ) -> Result<AcquireAll, AcquireError> {
        let mut in_the_way = self.find(|name, claim| {
            let is_before = wish.is_none_or(|wish| !name.waits || name.token < wish.token());
            is_before && conflict(resources, &claim.resources)
        })?;
        // One that cannot take what it waits for would keep everybody from it.
        in_the_way.retain(|claim| !claim.waiting || claim.can_go_on());
        if in_the_way.is_empty() {
            self.add(dir, resources).map(AcquireAll::Acquired)
        } else {
            Ok(AcquireAll::Held(in_the_way))
        }
    }

    /// All claims: first those that are held, then those that are waited for, oldest first.
    pub(super) fn all(&mut self) -> Result<Vec<ClaimStatus>, AcquireError> {
        self.find(|_, _| true)
    }

    /// The claims that are asked for. Those of the dead are removed.
    fn find(
        &mut self,
        asked: impl Fn(Name, &ClaimRecord) -> bool,
    ) -> Result<Vec<ClaimStatus>, AcquireError> {
        let mut known = HashMap::new();
        let mut before = mem::take(&mut *self.claims.known());
        let mut found = Vec::new();
        for (file, name) in self.names()? {
            // One that was seen alive and is not asked for may have died since: whoever minds will
            // find out.
            if let Some((file, claim)) = before.remove_entry(&file)
                && !asked(name, &claim)
            {
                known.insert(file, claim);
                continue;
            }
            match self.look(&file).map_err(|e| failed(&self.claims.path_of(&file), e))? {
                Look::Gone => {}
                Look::Odd(what) => {
                    let path = self.claims.path_of(&file);
                    return Err(AcquireError::NotALock { path, what });
                }
                // Whoever waits for we do not know what has nothing that we could need.
                Look::Unknown if name.waits => {}
                Look::Unknown => found.push(ClaimStatus::unknown()),
                Look::Held(claim) => {
                    if asked(name, &claim) {
                        found.push(ClaimStatus::of(&claim, name.waits));
                    }
                    known.insert(file, claim);
                }
            }
        }
        *self.claims.known() = known;
        Ok(found)
    }

    /// The files of all claims, in the order of [`Board::all`].
    fn names(&mut self) -> Result<Vec<(String, Name)>, AcquireError> {
        let failed = |source| failed(&self.claims.path, source);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.claims.path).map_err(failed)? {
            let file = entry.map_err(failed)?.file_name();
            if let Some(file) = file.to_str()
                && let Some(name) = Name::parse(file)
            {
                self.highest = self.highest.max(name.token);
                names.push((file.to_owned(), name));
            }
        }
        names.sort_unstable_by_key(|(_, name)| (name.waits, name.token));
        Ok(names)
    }

    fn look(&self, name: &str) -> io::Result<Look> {
        let file = match self.claims.folder.open_file_to_write(name) {
            Ok(file) => file,
            Err(error) if sys::absent_or_other(&error) => return Ok(Look::Gone),
            Err(error) => return sys::not_a_lock(&error).map(Look::Odd).ok_or(error),
        };
        match Locked::try_new(file)? {
            Ok(nobodys) => {
                if let Some(what) = oddity(&sys::found(nobodys.file())?) {
                    return Ok(Look::Odd(what));
                }
                drop(nobodys);
                self.claims.remove(name).map(|()| Look::Gone)
            }
            Err(file) => {
                let claim = record::read(&file)?;
                Ok(claim.map_or(Look::Unknown, |claim| Look::Held(Arc::new(claim))))
            }
        }
    }

    /// Adds a claim that is held.
    fn add(&mut self, dir: &LockDir, resources: &[Resource]) -> Result<ResourceLock, AcquireError> {
        let (name, claim, locked) = self.write(dir, resources, false)?;
        let shared = Arc::clone(&dir.shared);
        Ok(ResourceLock::new(shared, Arc::clone(&self.claims), name, claim, locked))
    }

    /// Adds one that is waited for.
    pub(super) fn wish(
        &mut self,
        dir: &LockDir,
        resources: &[Resource],
    ) -> Result<Wish, AcquireError> {
        let (name, claim, locked) = self.write(dir, resources, true)?;
        Ok(Wish::new(Arc::clone(&self.claims), name, &claim.info, locked))
    }

    fn write(
        &mut self,
        dir: &LockDir,
        resources: &[Resource],
        waits: bool,
    ) -> Result<(String, Arc<ClaimRecord>, Locked), AcquireError> {
        let path = self.claims.path_of(MUTEX);
        let before = floor::read(&self.mutex).map_err(|e| failed(&path, e))?.max(self.highest);
        // Nobody takes claims away, not even where locks are leases.
        let info = LockInfo { lease: None, ..dir.info(&record::key(resources), before) };
        let name = name_of(info.token, waits);
        let claim = Arc::new(ClaimRecord { info, resources: resources.to_vec() });
        let block = claim.block().ok_or(AcquireError::TooManyResources)?;
        // Before there is a file of that name, lest it be used twice.
        floor::write(&self.mutex, claim.info.token).map_err(|e| failed(&path, e))?;

        let path = self.claims.path_of(&name);
        let failed = |source| failed(&path, source);
        let file = self.claims.folder.create_new(&name).map_err(failed)?;
        let Ok(locked) = Locked::try_new(file).map_err(failed)? else {
            return Err(AcquireError::Unstable { path });
        };
        if let Err(error) = sys::write_block(locked.file(), block.as_bytes()) {
            drop(locked);
            self.claims.remove(&name).ok();
            return Err(failed(error));
        }
        self.claims.known().insert(name.clone(), Arc::clone(&claim));
        Ok((name, claim, locked))
    }
}

/// What became of a claim.
enum Look {
    Gone,
    Held(Arc<ClaimRecord>),
    /// Held, but its record cannot be read.
    Unknown,
    /// Not a claim at all.
    Odd(&'static str),
}

/// What the name of a claim's file says.
#[derive(Debug, Clone, Copy)]
struct Name {
    token: u64,
    /// Whether nobody holds it yet.
    waits: bool,
}

impl Name {
    fn parse(file: &str) -> Option<Self> {
        let stem = file.strip_suffix(SUFFIX)?;
        let (digits, waits) = match stem.strip_prefix(WANTED) {
            Some(digits) => (digits, true),
            None => (stem.strip_prefix(HELD)?, false),
        };
        Some(Self { token: digits.parse().ok()?, waits })
    }
}

/// The name of a claim's file.
pub(super) fn name_of(token: u64, waits: bool) -> String {
    format!("{}{token:020}{SUFFIX}", if waits { WANTED } else { HELD })
}
