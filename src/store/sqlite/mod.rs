//! The embedded store: one file, `claviger.db`, in the data directory.
//!
//! **Who touches the file.** One thread writes, checkpoints and keeps the end of the log in memory; a few threads read, each with
//! a connection of its own. A lock file keeps every other process out, so nobody else moves the end of the log.
//!
//! **Appending.** The writer takes an append, adds whatever queued while the last commit was under way (at most 256 tasks or 4
//! MB), and commits them in one transaction, each in a savepoint: a refusal leaves its neighbours alone and leaves nothing
//! behind. Answers are given after the commit. If a statement fails for a reason nobody foresaw, the batch is rolled back and
//! each task gets a transaction of its own, so that only the culprit fails. A caller that goes away stops nothing.
//!
//! **After a crash** the file holds exactly the commits that were answered, and perhaps one more whose answer was lost; the lock
//! is gone with its process; the next start goes on from the head, which must agree with the last event.
//!
//! **When the disk fails** during a commit or a checkpoint nobody can say what is on it: the store writes no more, tells whoever
//! watches [`SqliteStore::failure`], and never repeats an fsync. A full disk is no such failure: the append is refused as
//! unavailable.
//!
//! **Shredding.** `secure_delete` overwrites what is deleted; [`Rows::scrub`](claviger_projections::ports::Rows::scrub) truncates
//! the write-ahead log, where older pages would live on. Readers hold their snapshot for one question only, so they seldom stand
//! in the way.

mod bare;
mod cells;
mod config;
mod connection;
mod error;
mod faults;
mod follow;
mod leases;
mod lock;
mod near;
mod ports;
mod query;
mod read;
mod readers;
mod schema;
mod store;
mod trial;
mod write;

pub use bare::SqliteRows;
pub use config::SqliteConfig;
pub use connection::DATABASE_FILE;
pub use error::OpenError;
pub use faults::{Fault, Faults, NoFaults};
pub use lock::LOCK_FILE;
pub use schema::FORMAT;
pub use store::SqliteStore;
pub use trial::SqliteGround;
pub use write::Failure;
