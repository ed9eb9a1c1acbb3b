//! The feed of a run: its events, and between two of them the text that was written meanwhile, as one ordered sequence of messages.
//!
//! [`RunFeed`] is a function of what was read: it does no IO and knows no clock. Whoever drives it registers for hints first, then
//! reads events, **then** rows (so that what an event counts on is there), hands both over, and sends what comes back:
//! ```text
//! loop {
//!     events = log.read_stream(run, feed.events_after(), n);  rows = deltas.read(run, feed.rows_after(), n)
//!     outbox.push(feed.take(Batch { events, rows, events_end, rows_end })?)      // until feed.is_done()
//!     if events_end && rows_end && !feed.needs_rows() { wait for a hint }
//! }
//! ```
//! What a hint carries may be handed over without reading, `rows_end` being false: if it is not what comes next, nothing comes back, and
//! [`RunFeed::needs_rows`] or the next hint leads to the store again. The sequence depends on what is stored, never on who reads when; only
//! text that a stopped owner wrote after its successor had counted is seen by some and not by others, and the successor's `RunClaimed`
//! cuts it off for all.

mod cursor;
mod feed;
mod fold;
mod message;
mod outbox;
mod text;

pub use cursor::FeedCursor;
pub use feed::{Batch, FeedError, RunFeed};
pub use fold::RunFold;
pub use message::{
    Body, FeedMessage, RunRecord, RunView, StepText, StepView, Superseded, TextDelta,
};
pub use outbox::Outbox;
pub use text::{DeltaItem, OpenedDeltas, from_json, to_json};
