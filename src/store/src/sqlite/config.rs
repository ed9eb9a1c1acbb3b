//! Configuration of the embedded store.

use super::faults::{Faults, NoFaults};
use crate::skipped::Skipped;
use claviger_domain::catalogue::Readable;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{NoClock, OtherClock};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Settings of a [`super::SqliteStore`].
#[derive(Clone)]
pub struct SqliteConfig {
    /// The data directory. Created with mode 0700 if it does not exist; the mode of an existing
    /// directory is left alone.
    pub dir: PathBuf,
    /// This process's name for another process that finds the store in use, for example `claviger
    /// serve`.
    pub program: String,
    /// When this process started, for the same purpose.
    pub started_at: Timestamp,
    /// Number of threads for long reads, and of connections for short ones, 1 to 64.
    pub readers: usize,
    /// Maximum size of the database in pages of 4 KiB. Beyond it, the store behaves as if the disk
    /// were full.
    pub max_pages: Option<u32>,
    /// What this program can read in a log. A store that holds anything else is refused, and
    /// nothing else is appended.
    pub reads: Arc<Readable>,
    /// Contradicts an append whose time is far ahead.
    pub other_clock: Arc<dyn OtherClock>,
    /// Counts rows that are passed over because they cannot be decoded.
    pub skipped: Arc<Skipped>,
    /// Failpoints, for tests.
    pub faults: Arc<dyn Faults>,
}

impl SqliteConfig {
    /// A store in `dir`, opened by `program`, which started at `started_at`; four readers, no limit
    /// of size.
    pub fn new(dir: impl Into<PathBuf>, program: impl Into<String>, started_at: Timestamp) -> Self {
        Self {
            dir: dir.into(),
            program: program.into(),
            started_at,
            readers: 4,
            max_pages: None,
            reads: Arc::new(Readable::current()),
            other_clock: Arc::new(NoClock),
            skipped: Arc::default(),
            faults: Arc::new(NoFaults),
        }
    }
}

impl fmt::Debug for SqliteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteConfig")
            .field("dir", &self.dir)
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}
