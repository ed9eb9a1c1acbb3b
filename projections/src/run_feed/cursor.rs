//! Places in the feed.

/// A place in the feed of one run: behind the `i`-th message of a stored item. Places are ordered as the messages are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedCursor {
    /// Version of the event that was last; 0 before the first.
    pub v: u64,
    /// Which row of text after that event, from 1; 0 for the event itself.
    pub d: u64,
    /// Which message of that event or row, from 1; 0 before the first. A message that stands for rows that are gone has
    /// [`FeedCursor::GAP`], behind everything these rows could have given.
    pub i: u32,
}

impl FeedCursor {
    /// `i` of the message that stands for rows that are gone.
    pub const GAP: u32 = u32::MAX;
}
