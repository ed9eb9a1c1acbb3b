//! Makes the text of running attempts durable: one flush in flight for all runs of the process, and what arrives meanwhile goes into the
//! next. No timer: alone, a piece of text waits for nothing; under load rows grow instead of queues.
//!
//! Each run has a **gate**. Its owner closes it before an append ([`FlushHandle::close`]), which flushes what was written before and says
//! how many rows are durable since the event before: that is the event's `prev_d`. No row of that run is written until the append was
//! answered and the gate is opened again ([`FlushHandle::open`]), so a row never stands behind an event that didn't count it.

mod actor;
mod book;

pub use actor::{FlushHandle, Flusher, FlusherParts};
pub use book::{FlushFailure, FlushListener, Flushed, RunOwner, SealText};
