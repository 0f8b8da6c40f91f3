//! Other ways to lock, to torture beside ours: what is well known, and what must be caught.

mod careless;
mod known;
mod sketch;

use std::{
    fs,
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
};

/// A lock that is held, and how to release it.
struct Granted {
    token: Option<u64>,
    release: Box<dyn FnOnce()>,
}

impl Granted {
    fn new(path: &Path, release: impl FnOnce(&Path) + 'static) -> Self {
        let path: PathBuf = path.into();
        Self { token: None, release: Box::new(move || release(&path)) }
    }
}

type Acquire = Box<dyn FnMut(&Path) -> Option<Granted>>;

/// The algorithm of this name.
fn acquire_of(kind: &str) -> Option<Acquire> {
    Some(match kind {
        "sketch" => Box::new(sketch::acquire),
        "flock" => Box::new(known::flock),
        "flock-unlink" => Box::new(known::flock_unlink),
        "posix" => Box::new(known::posix),
        "pid-file" => Box::new(known::pid_file),
        "mkdir" => Box::new(known::make_dir),
        "careless-lease" => careless::lease(),
        _ => return None,
    })
}

/// Answers each line until there are no more, as `examples/torture_agent.rs` does.
pub(crate) fn serve(
    kind: &str,
    folder: &Path,
    requests: impl BufRead,
    mut answers: impl Write,
) -> io::Result<()> {
    let mut acquire = acquire_of(kind).ok_or_else(|| io::Error::other(kind.to_owned()))?;
    fs::create_dir_all(folder)?;
    let mut held: Option<Granted> = None;
    for request in requests.lines() {
        let request = request?;
        let answer = match request.split_once(' ') {
            Some((_, key)) => {
                held = acquire(&folder.join(format!("task-{key}.lock")));
                match &held {
                    Some(Granted { token: Some(token), .. }) => format!("OK {token}"),
                    Some(_) => "OK".to_owned(),
                    None => "BUSY".to_owned(),
                }
            }
            None => held.take().map_or("ERR nothing is held".to_owned(), |held| {
                (held.release)();
                "OK".to_owned()
            }),
        };
        answers.write_all(format!("{answer}\n").as_bytes())?;
    }
    Ok(())
}
