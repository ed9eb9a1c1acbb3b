//! One process at a time: a lock on `claviger.lock`, which the kernel releases when its holder
//! dies, however it dies.

use super::connection::open_or_make;
use super::error::OpenError;
use claviger_domain::timestamp::Timestamp;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// The name of the lock file in the data directory.
pub const LOCK_FILE: &str = "claviger.lock";

/// Held while the store is open. The file is never removed: otherwise two processes could lock two
/// files of that name.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock and writes the holder's name into the file.
    pub(super) fn take(
        dir: &Path,
        program: &str,
        started_at: Timestamp,
    ) -> Result<Self, OpenError> {
        let path = dir.join(LOCK_FILE);
        let mut file = open_or_make(&path).map_err(|source| OpenError::from_io(&path, source))?;
        if let Err(errno) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if errno == rustix::io::Errno::WOULDBLOCK {
                return Err(OpenError::InUse { dir: dir.to_owned(), holder: holder(&mut file) });
            }
            return Err(OpenError::from_io(&path, errno.into()));
        }
        let text = format!(
            "{} (process {}, started {started_at})\n",
            one_line(program),
            std::process::id()
        );
        rewrite(&mut file, &text).map_err(|source| OpenError::from_io(&path, source))?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    /// Empties the file, so that it does not name a holder that is gone; closing it releases the
    /// lock. A failure has no consequence: the text is only a courtesy, the lock is the kernel's.
    fn drop(&mut self) {
        if let Err(error) = self.0.set_len(0) {
            tracing::debug!(%error, "the lock file could not be emptied");
        }
    }
}

fn rewrite(file: &mut File, text: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())
}

/// Names the holder: "another process" between its taking the lock and its writing the line.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(512).read_to_string(&mut text);
    let line = one_line(&text);
    if read.is_err() || line.is_empty() { "another process".to_owned() } else { line }
}

fn one_line(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(200).collect()
}
