//! What a decision relied on besides the stream it writes. The store checks it again in the
//! append's transaction, so that nothing is committed on facts that no longer hold.

use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;

/// The preconditions of an append; the default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reliance {
    /// Streams that must still end at these versions; 0 for a stream that has no event.
    pub unchanged: Vec<(StreamName, u64)>,
    /// A bound on rows that were counted.
    pub fewer: Option<Fewer>,
}

/// An owner must have fewer rows in a view than a number, before the append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fewer {
    /// The view.
    pub view: &'static str,
    /// The owner of the rows.
    pub owner: UserId,
    /// One more than there may be.
    pub than: u64,
}

/// The first precondition that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    /// A stream has changed.
    #[error("the stream {stream} is at version {actual}")]
    Changed {
        /// The stream.
        stream: StreamName,
        /// Its version; 0 for no stream.
        actual: u64,
    },
    /// There are as many rows as the bound, or more.
    #[error("the view {view} has {rows} rows of this owner")]
    Full {
        /// The view.
        view: &'static str,
        /// How many there are.
        rows: u64,
    },
}
