//! Makes the text of running attempts durable. One flush is in flight for all runs of the process;
//! text that arrives meanwhile goes into the next one. There is no timer: a single piece of text is
//! flushed immediately, and under load rows grow instead of queues.
//!
//! Each run has a **gate**. Its owner closes the gate before an append ([`FlushHandle::close`]).
//! This flushes everything written before and returns the number of rows that are durable since the
//! previous event: the new event's `prev_d`. No row of that run is written until the append has
//! completed and the gate is open again ([`FlushHandle::open`]), so no row ever follows an event
//! that did not count it.

mod actor;
mod book;

pub use actor::{FlushHandle, Flusher, FlusherParts};
pub use book::{FlushFailure, FlushListener, Flushed, RunOwner, SealText};
