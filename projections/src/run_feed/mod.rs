//! The feed of a run: its events, and between two of them the text that was written meanwhile, as
//! one ordered sequence of messages.
//!
//! [`RunFeed`] depends only on the data that was read: it does no IO and uses no clock. Its caller
//! registers for hints first, then reads events, **then** rows (so that the rows that an event
//! counts are there), passes both to the feed, and sends the returned messages:
//! ```text
//! loop {
//!     events = log.read_stream(run, feed.events_after(), n)
//!     rows = deltas.read(run, feed.rows_after(), n)
//!     // until feed.is_done()
//!     outbox.push(feed.take(Batch { events, rows, events_end, rows_end })?)
//!     if events_end && rows_end && !feed.needs_rows() { wait for a hint }
//! }
//! ```
//! The content of a hint may be passed on without reading, with `rows_end` false. If it is not the
//! next item, the feed returns nothing, and [`RunFeed::needs_rows`] or the next hint leads back to
//! the store.
//!
//! In a process, the readers of a run share one fold ([`SharedFeed`]); each of them is a
//! [`Subscriber`].
//!
//! The sequence depends only on what is stored, never on who reads when. The one exception is text
//! that a stopped owner wrote after its successor had counted: some readers see it and others do
//! not, and the successor's `RunClaimed` cuts it off for all.

mod cursor;
mod feed;
mod fold;
mod message;
mod outbox;
mod shared;
mod size;
mod subscriber;
mod text;
mod waiting;

pub use cursor::FeedCursor;
pub use feed::{Batch, FeedError, RunFeed};
pub use fold::RunFold;
pub use message::{
    Body, FeedMessage, RunRecord, RunView, StepText, StepView, Superseded, TextDelta,
};
pub use outbox::Outbox;
pub use shared::SharedFeed;
pub use size::{definition_bytes, step_bytes};
pub use subscriber::{Subscriber, Wants};
pub use text::{DeltaItem, OpenedDeltas, from_json, to_json};
pub use waiting::{Wait, WaitReason, on_resume};
