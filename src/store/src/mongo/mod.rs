//! The store on a MongoDB replica set: any number of processes, one order of events.
//!
//! **Appending.** One task per process takes an append, adds the appends queued during the last
//! commit (at most 256 or 4 MiB), and commits them in one transaction. The transaction updates
//! `log_head` *first*, in a field that really changes: another process's commit then conflicts at
//! once, and the whole transaction is retried. While it holds the head, it reads what the appends
//! need, decides each of them, and writes only what was accepted, so that a refusal aborts nothing.
//! An unexpected error aborts the transaction; the batch is halved until only the culprit fails.
//! Positions are dense and in commit order, because an append commits only while its transaction
//! holds the head. Results are sent after the commit.
//!
//! **After a crash** the server ends the transaction of the dead process: nothing of it is
//! committed. A commit whose outcome is unknown is requested again; after that its events' ids are
//! looked up, inside a transaction that has updated the head first: as long as the old commit may
//! still happen, that is a conflict.
//!
//! **Reading.** From the primary, with majority read concern. Positions are checked to be
//! consecutive. A change stream on the head and a poll wake waiting readers, which then read the
//! log itself.
//!
//! **A process that stops** inside its transaction would hold the head for the server's transaction
//! lifetime. Each process publishes the session it appends in, with a lease by the database's
//! clock. A process that meets nothing but conflicts for 500 ms ends the sessions of the processes
//! whose lease has lapsed.
//!
//! **Outside a transaction** these are written: rotations of sessions, rewraps of user keys,
//! leases, rows of streamed text, the deletion of command records, and the documents of the
//! processes. Each write is idempotent by its key, because not every server distinguishes a retry
//! from the first attempt. The store's first keys and new user keys leave no event either, but have
//! a transaction. A transaction that gives a user a new key conflicts with every append that seals
//! under the old one, and with no other: such an append touches the user key.
//!
//! **The driver.** Every call runs in a task of its own: a caller that goes away never drops a
//! driver's future midway. No call is awaited without limit: one without a reply in time is left
//! alone, and its possible effect is ended or looked up in another session. The driver's texts are
//! never passed on.

mod boot;
mod calls;
mod cells;
mod config;
mod error;
mod faults;
mod follow;
mod gate;
mod leases;
mod looked;
mod ports;
mod process;
mod read;
mod schema;
mod seeds;
mod session;
mod shape;
mod store;
mod tickets;
mod watch;
mod write;

pub use boot::{Unfit, judge};
pub use config::MongoConfig;
pub use error::OpenError;
pub use faults::{Fault, Faults, NoFaults};
pub use looked::Looked;
pub use schema::FORMAT;
pub use seeds::Unresolved;
pub use store::MongoStore;

/// The means that the store itself is made of, without what its ports promise. Only benchmarks use
/// them, so that a baseline has the same connections and settings as what is measured.
pub mod raw {
    pub use super::error::{DbError, code};
    pub use super::schema::{COMMANDS, EVENTS, VIEWS};
    pub use super::session::{Committed, abort, begin, commit, durable};
}
