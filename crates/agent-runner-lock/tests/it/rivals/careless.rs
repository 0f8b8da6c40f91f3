//! A lease as ours, but that a breaker neither takes a mutex nor looks again: a positive control.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::fs::{FlockOperation, flock};

use super::{Acquire, Granted};
use crate::agent::TTL;

/// Remembers what it was refused, as every contender must.
pub(super) fn lease() -> Acquire {
    let mut seen = HashMap::new();
    Box::new(move |path| acquire(path, &mut seen).ok().flatten())
}

fn acquire(
    path: &Path,
    seen: &mut HashMap<PathBuf, (String, Instant)>,
) -> io::Result<Option<Granted>> {
    loop {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let record = io::read_to_string(&file)?;
            let (before, since) =
                seen.entry(path.into()).or_insert_with(|| (record.clone(), Instant::now()));
            if *before != record {
                (*before, *since) = (record, Instant::now());
            } else if since.elapsed() >= TTL {
                // As slow as a busy machine makes anybody now and then.
                thread::sleep(Duration::from_millis(20));
                let copy = path.with_extension(process::id().to_string());
                fs::write(&copy, record)?;
                fs::rename(copy, path)?;
                seen.remove(path);
                continue;
            }
            return Ok(None);
        }
        if fs::metadata(path).is_ok_and(|found| found.ino() == inode(&file)) {
            seen.remove(path);
            return grant(&file).map(|token| {
                let mut granted = Granted::new(path, move |_| drop(file));
                granted.token = Some(token);
                Some(granted)
            });
        }
    }
}

fn inode(file: &File) -> u64 {
    file.metadata().map_or(0, |found| found.ino())
}

fn grant(file: &File) -> io::Result<u64> {
    let before: u64 = io::read_to_string(file)?.parse().unwrap_or(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let token = (before + 1).max(u64::try_from(now).unwrap_or(0));
    file.write_all_at(token.to_string().as_bytes(), 0)?;
    Ok(token)
}
