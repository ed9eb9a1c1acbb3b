//! The embedded store: one file, `claviger.db`, in the data directory.
//!
//! **Access to the file.** One thread writes, checkpoints and keeps the end of the log in memory; a
//! few threads read, each with a connection of its own. A lock file keeps every other process out,
//! so only this process moves the end of the log.
//!
//! **Appending.** The writer takes an append, adds the tasks queued during the last commit (at most
//! 256 tasks or 4 MiB), and commits them in one transaction, each in a savepoint: a refusal leaves
//! the other tasks alone and leaves nothing behind. Results are sent after the commit. If a
//! statement fails unexpectedly, the batch is rolled back and each task gets a transaction of its
//! own, so that only the culprit fails. A caller that goes away stops nothing.
//!
//! **After a crash** the file holds exactly the acknowledged commits, and perhaps one more whose
//! acknowledgement was lost. The lock is gone with its process. The next start continues from the
//! head, which must agree with the last event.
//!
//! **When the disk fails** during a commit or a checkpoint, its contents are unknown: the store
//! stops writing, reports the failure through [`SqliteStore::failure`], and never repeats an fsync.
//! A full disk is not such a failure: the append is refused as unavailable.
//!
//! **Shredding.** `secure_delete` overwrites deleted data;
//! [`Rows::scrub`](claviger_projections::ports::Rows::scrub) truncates the write-ahead log, where
//! older pages would survive. Readers hold their snapshot for one query only, so they seldom
//! prevent the truncation. [`SqliteStore::snapshot`] holds one until it is dropped, and truncations
//! wait for that.

mod cells;
mod config;
mod connection;
mod error;
mod faults;
mod follow;
mod inline_reads;
mod leases;
mod lock;
mod looked;
mod ports;
mod query;
mod read;
mod readers;
mod schema;
mod shape;
mod store;
mod tickets;
mod write;

pub use config::SqliteConfig;
pub use connection::DATABASE_FILE;
pub use error::OpenError;
pub use faults::{Fault, Faults, NoFaults};
pub use lock::LOCK_FILE;
pub use looked::Looked;
pub use schema::FORMAT;
pub use store::SqliteStore;
pub use write::Failure;

/// The means that the store itself is made of, without what its ports promise. Only benchmarks use
/// them, so that a baseline has the same connections and settings as what is measured.
pub mod raw {
    pub use super::cells::Cells;
    pub use super::connection::{make_dir, open_reader, open_writer};
    pub use super::error::code;
    pub use super::inline_reads::InlineReads;
    pub use super::query::{DbError, count, row, rows};
    pub use super::readers::Readers;
    pub use super::write::{CHECKPOINT_BYTES, COMMIT_BYTES};
}
