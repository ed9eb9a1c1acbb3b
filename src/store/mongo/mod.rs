//! The store on MongoDB: a replica set, any number of processes, one order.
//!
//! **Appending.** One task per process takes an append, adds whatever queued while the last commit was under way (at most 256 or 4
//! MB), and commits them in one transaction. It updates `log_head` *first*, by a field that really changes: another process's commit
//! is then a conflict at once, and the whole transaction is tried again. Holding the head it reads what the appends need, decides
//! each on its own, and writes only what was accepted, so that a refusal aborts nothing. An error nobody foresaw aborts the
//! transaction; the batch is halved until only the culprit fails. Positions are dense and in commit order because whoever commits
//! had the head; answers are given after the commit.
//!
//! **After a crash** the server ends the transaction of the process that is gone: nothing of it is in. A commit whose outcome is
//! unknown is asked for again, and then looked up by its events' ids, inside a transaction that has updated the head first: as long
//! as the old commit may still happen, that is a conflict.
//!
//! **Reading.** From the primary, what a majority has. Positions are checked to be consecutive. A change stream on the head and a
//! poll wake who waits; they say nothing about what is true.
//!
//! **A process that stops** inside its transaction would hold the head for the server's transaction lifetime. Each process publishes
//! the session it appends in, with a lease by the database's clock; who meets conflicts for two seconds ends the sessions of those
//! whose lease lapsed.
//!
//! **Outside a transaction** are written: rotations of sessions, rewraps of user keys, leases, forgetting of records, and the lines of the
//! processes. Each is idempotent by its key, because not every server tells a repeat from the first time. The store's first keys and new
//! user keys leave no event either, but have a transaction. One that gives a user a new key is a conflict with every append that seals
//! under the old one, and with no other: such an append touches the user key.
//!
//! **The driver.** Every call runs in a task of its own: a caller that goes away drops no driver's future half-way. No call is waited
//! for without end: one that isn't answered in time is left alone, and what it may have done is ended or looked up in another session.
//! The driver's texts are never passed on.

mod boot;
mod calls;
mod cells;
mod config;
mod counter;
mod error;
mod faults;
mod follow;
mod gate;
mod leases;
mod ports;
mod process;
mod read;
mod schema;
mod session;
mod store;
mod trial;
mod watch;
mod write;

pub use boot::{Unfit, judge};
pub use config::{MongoConfig, MongoUri};
pub use error::OpenError;
pub use faults::{Fault, Faults, NoFaults};
pub use schema::FORMAT;
pub use store::MongoStore;
pub use trial::MongoGround;
