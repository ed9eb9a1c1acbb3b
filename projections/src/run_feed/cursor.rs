//! Positions in a run's feed.

/// A position in the feed of one run: after the `i`-th message of a stored item. Cursors are
/// ordered like the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedCursor {
    /// Version of the last event; 0 before the first.
    pub v: u64,
    /// Number of the row of text after that event, from 1; 0 for the event itself.
    pub d: u64,
    /// Number of the message of that event or row, from 1; 0 before the first. A message in place
    /// of lost rows has [`FeedCursor::GAP`], which comes after every message that these rows could
    /// have produced.
    pub i: u32,
}

impl FeedCursor {
    /// `i` of a message in place of lost rows.
    pub const GAP: u32 = u32::MAX;
}
