//! The highest token among the files that were cleaned away.
//!
//! A key's file remembers its token. When the file goes, the clock alone would have to make the next
//! token higher, and clocks are set back. So a collector notes the token first, for all keys in one
//! file, and who finds no record begins above that.

use std::io;

use crate::{
    record,
    sys::{self, Folder, Locked},
};

/// The file. There is none before the first lock file is cleaned away.
pub(crate) const FLOOR_FILE: &str = ".highest-token";

/// The highest token that was cleaned away; 0 if none was.
pub(crate) fn floor(folder: &Folder) -> io::Result<u64> {
    match folder.open_file_to_write(FLOOR_FILE) {
        // Locked, lest we read half of what a collector writes.
        Ok(file) => read(&Locked::wait(file)?),
        Err(error) if sys::absent_or_other(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Notes a token before its file is cleaned away.
pub(crate) fn raise_floor(folder: &Folder, token: u64) -> io::Result<()> {
    let locked = Locked::wait(folder.open_or_create(FLOOR_FILE)?)?;
    if read(&locked)? < token {
        write(&locked, token)?;
    }
    Ok(())
}

/// Writes a token to a file that has nothing else.
pub(crate) fn write(locked: &Locked, token: u64) -> io::Result<()> {
    // Always as long, so that no digit of the one before is left. Byte 0 as in a record.
    sys::write_block(locked.file(), format!(" {token:020}\n").as_bytes())
}

/// Reads it; 0 if there is none.
pub(crate) fn read(locked: &Locked) -> io::Result<u64> {
    let mut block = [0; record::LEN];
    let text = sys::read_block(locked.file(), &mut block)?;
    let token = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
    // Garbage, as after a power cut, is as good as none: the clock has gone on since.
    Ok(token.filter(|token| record::is_token(*token)).unwrap_or(0))
}
