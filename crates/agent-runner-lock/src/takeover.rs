//! Taking a lock from a holder that hangs, in the only way that is safe: the holder is ended first.
//!
//! A record can be old, copied, or from another machine, and a process's number is used again. So
//! nobody is ended because of what a record says alone: the process must be the very one that wrote
//! it, and the kernel must say that this process locked the file.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    Acquire, ClaimStatus, LockDir, LockInfo, LockState, LockStatus, NoProof, ScanError,
    TakeoverError, TaskLock,
    list::keepers,
    name::file_name,
    sys::{self, Process, Target},
    wait::Pauses,
};

/// How long a killed process may take to end: the kernel first finishes what it does for it.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// How often there may still be somebody who has the lock when all who had it have ended.
const MAX_ROUNDS: u32 = 20;

/// How to take a lock from a holder that does not release it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Takeover {
    /// Ends the holder: asks it to end (SIGTERM), and kills it when it neither ended nor released
    /// the lock in time.
    KillHolder {
        /// How long the holder has to end by itself.
        grace: Duration,
    },
}

impl LockDir {
    /// Takes a lock from the holder that a status names, and blocks until that is done.
    ///
    /// The holder is ended, and so are, after it, the children which keep its lock
    /// ([`TaskLock::keep_with_child`]); of an orphaned lock they are the only ones. Then the lock is
    /// acquired like any other, so that two holders never overlap. If the lock is free by now,
    /// nobody is ended.
    ///
    /// Only a process of this machine, PID namespace and user that is proven to have the lock is
    /// ever signalled; a signal cannot reach another process that got its number. That needs Linux.
    ///
    /// # Errors
    ///
    /// [`TakeoverError::Changed`] when the lock has another holder by now, maybe one that waited for
    /// it, and [`TakeoverError::NoProof`] when it cannot be proven who has it; nobody was signalled
    /// then who was not its holder.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use agent_runner_lock::{LockDir, Takeover};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let dir = LockDir::open(folder.path().join("locks"))?;
    /// for status in dir.list()?.iter().filter(|status| status.overdue) {
    ///     let how = Takeover::KillHolder { grace: Duration::from_secs(10) };
    ///     let lock = dir.take_over(status, how)?;
    ///     println!("took {} from {status}", lock.key());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_over(&self, status: &LockStatus, how: Takeover) -> Result<TaskLock, TakeoverError> {
        win(&TaskPrize { dir: self, status }, how)
    }

    /// Ends a claim as [`LockDir::take_over`] takes a lock: the holder that the status names is
    /// ended, and the children that keep its claim.
    ///
    /// Whoever waits may claim it then; to have it, acquire it.
    ///
    /// # Errors
    ///
    /// [`TakeoverError::NoProof`] when it cannot be proven who has it. A claim that is over by now is
    /// no error.
    pub fn end_claim(&self, claim: &ClaimStatus, how: Takeover) -> Result<(), TakeoverError> {
        win(&ClaimPrize { dir: self, claim }, how)
    }
}

/// What somebody keeps from us.
trait Prize {
    /// What we have when it is ours.
    type Won;

    /// What it is called.
    fn key(&self) -> &str;

    /// Takes it if nobody has it; `Err` as long as it is held as we were told.
    fn claim(&self) -> Result<Result<Self::Won, Holder>, TakeoverError>;

    /// The processes that keep it.
    fn keepers(&self) -> Result<Vec<sys::Keeper>, ScanError>;
}

/// Who is said to hold a prize, and whether it is dead and its children keep it.
struct Holder {
    orphaned: bool,
    info: Option<LockInfo>,
}

/// The lock of a task.
struct TaskPrize<'a> {
    dir: &'a LockDir,
    status: &'a LockStatus,
}

impl Prize for TaskPrize<'_> {
    type Won = TaskLock;

    fn key(&self) -> &str {
        &self.status.key
    }

    fn claim(&self) -> Result<Result<TaskLock, Holder>, TakeoverError> {
        let token = |info: &Option<LockInfo>| info.as_ref().map(|info| info.token);
        match self.dir.try_acquire(self.key())? {
            Acquire::Acquired(lock) => Ok(Ok(lock)),
            Acquire::Held(now) if token(&now.info) == token(&self.status.info) => {
                Ok(Err(Holder { orphaned: now.is_orphaned(), info: now.info }))
            }
            Acquire::Held(status) => Err(TakeoverError::Changed { status }),
        }
    }

    fn keepers(&self) -> Result<Vec<sys::Keeper>, ScanError> {
        let (name, shared) = (file_name(self.key())?, &self.dir.shared);
        keepers(&shared.folder(), &name)
            .map_err(|source| ScanError::Io { path: shared.path_of(&name), source })
    }
}

/// A claim. Nobody can hold the same one after its holder.
struct ClaimPrize<'a> {
    dir: &'a LockDir,
    claim: &'a ClaimStatus,
}

impl Prize for ClaimPrize<'_> {
    type Won = ();

    fn key(&self) -> &str {
        self.claim.info.as_ref().map_or("unknown", |info| &info.key)
    }

    fn claim(&self) -> Result<Result<(), Holder>, TakeoverError> {
        let Some(info) = &self.claim.info else {
            return Ok(Err(Holder { orphaned: false, info: None }));
        };
        let claims = self.dir.all_claims()?;
        let is_same =
            |claim: &ClaimStatus| claim.info.as_ref().map(|info| info.token) == Some(info.token);
        Ok(match claims.into_iter().find(is_same) {
            None => Ok(()),
            Some(claim) => {
                Err(Holder { orphaned: claim.state == LockState::Orphaned, info: claim.info })
            }
        })
    }

    fn keepers(&self) -> Result<Vec<sys::Keeper>, ScanError> {
        self.dir.keepers_of_claim(self.claim)
    }
}

fn win<P: Prize>(prize: &P, how: Takeover) -> Result<P::Won, TakeoverError> {
    let Takeover::KillHolder { grace } = how;
    for _ in 0..MAX_ROUNDS {
        let holder = match prize.claim()? {
            Ok(won) => return Ok(won),
            Err(holder) => holder,
        };
        match targets(prize, &holder).and_then(|targets| end(prize, &targets, grace)) {
            Ok(Some(won)) => return Ok(won),
            Ok(None) => {}
            // What could not be proven is no matter if it was released under our eyes.
            Err(error) => return prize.claim()?.map_err(|_| error),
        }
    }
    Err(no_proof(prize.key(), NoProof::NobodySeen))
}

/// The processes to end: the holder if it lives, else who has its lock.
fn targets(prize: &impl Prize, holder: &Holder) -> Result<Vec<Target>, TakeoverError> {
    let no_proof = |why| no_proof(prize.key(), why);
    let info = holder.info.as_ref().ok_or(no_proof(NoProof::UnknownHolder))?;
    prove_writer(info, &Process::now()).map_err(no_proof)?;
    let pids = if holder.orphaned {
        prize.keepers()?.iter().map(|keeper| keeper.pid).collect()
    } else {
        vec![info.pid]
    };
    let open = |pid| {
        let failed = |source| TakeoverError::Signal { key: prize.key().to_owned(), pid, source };
        Target::open(pid).map_err(failed)
    };
    let targets = pids.into_iter().filter_map(|pid| open(pid).transpose());
    let mut targets = targets.collect::<Result<Vec<_>, _>>()?;
    // Only now that they cannot become others any more.
    let keepers = prize.keepers()?;
    let prove = if holder.orphaned {
        // Its children start children of their own, which end at any time.
        targets.retain(|target| keepers.iter().any(|keeper| keeper.pid == target.pid()));
        prove_heir
    } else {
        prove_holder
    };
    targets.iter().try_for_each(|target| prove(target, info, &keepers)).map_err(no_proof)?;
    Ok(targets)
}

/// Ends processes, but no longer than until the prize can be had; `None` if all of them ended
/// and it still cannot.
fn end<P: Prize>(
    prize: &P,
    targets: &[Target],
    grace: Duration,
) -> Result<Option<P::Won>, TakeoverError> {
    let signal = |signal| {
        targets.iter().try_for_each(|target| {
            let (key, pid) = (prize.key().to_owned(), target.pid());
            let failed = |source| TakeoverError::Signal { key, pid, source };
            target.signal(signal).map_err(failed)
        })
    };
    signal(sys::Signal::Term)?;
    let start = Instant::now();
    let mut killed = None;
    let mut pauses = Pauses::new();
    loop {
        if let Ok(won) = prize.claim()? {
            return Ok(Some(won));
        }
        let alive = || targets.iter().filter(|target| !target.has_ended()).map(Target::pid);
        if alive().next().is_none() {
            return Ok(None);
        }
        match killed {
            None if start.elapsed() >= grace => {
                signal(sys::Signal::Kill)?;
                killed = Some(Instant::now());
            }
            Some(killed) if killed.elapsed() >= AFTER_KILL => {
                let (key, pids) = (prize.key().to_owned(), alive().collect());
                return Err(TakeoverError::Survived { key, pids });
            }
            _ => {}
        }
        thread::sleep(pauses.next());
    }
}

fn no_proof(key: &str, why: NoProof) -> TakeoverError {
    TakeoverError::NoProof { key: key.to_owned(), why }
}

/// Proves that the numbers in a record mean here what they meant to its writer, and that the writer
/// was not another user.
fn prove_writer(info: &LockInfo, ours: &Process) -> Result<(), NoProof> {
    let known = info.start_time.is_some() && ours.start_time.is_some();
    if info.host != ours.host {
        Err(NoProof::OtherHost { host: info.host.clone() })
    } else if info.boot_id != ours.boot_id {
        Err(NoProof::OtherBoot)
    } else if info.pid_ns != ours.pid_ns {
        Err(NoProof::OtherPidNamespace)
    } else if info.uid != ours.uid {
        Err(NoProof::OtherUser { uid: info.uid })
    } else if !known || info.boot_id.is_none() || info.pid_ns.is_none() {
        Err(NoProof::UnknownProcess)
    } else if ours.wrote(info) {
        Err(NoProof::ThisProcess)
    } else {
        Ok(())
    }
}

/// Proves that a process wrote the record, and that the kernel gave the lock to it.
fn prove_holder(target: &Target, info: &LockInfo, keepers: &[sys::Keeper]) -> Result<(), NoProof> {
    let pid = target.pid();
    if Some(target.start_time()) != info.start_time {
        return Err(NoProof::OtherProcess { pid });
    }
    let locked_it = keepers.contains(&sys::Keeper { pid, locked_by: pid });
    if locked_it { Ok(()) } else { Err(NoProof::NotLockedBy { pid }) }
}

/// Proves that a process has the lock from the dead holder.
fn prove_heir(target: &Target, info: &LockInfo, keepers: &[sys::Keeper]) -> Result<(), NoProof> {
    let pid = target.pid();
    if pid == std::process::id() {
        return Err(NoProof::ThisProcess);
    }
    // Where the dead have no number any more, it says 0.
    let inherited = |keeper: &sys::Keeper| {
        keeper.pid == pid && keeper.locked_by != pid && [info.pid, 0].contains(&keeper.locked_by)
    };
    if keepers.iter().any(inherited) { Ok(()) } else { Err(NoProof::NotInherited { pid }) }
}
