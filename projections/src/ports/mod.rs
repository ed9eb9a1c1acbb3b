//! What the core needs of a store. `src/store` implements these ports; `suite` tests every
//! implementation.

mod deltas;
mod followers;
mod inspect;
mod leases;
mod log;
mod other_clock;
mod reliance;
mod repairs;
mod rotation;
mod rows;
mod signing;
mod tickets;
mod views;

pub use deltas::*;
pub use followers::*;
pub use inspect::*;
pub use leases::*;
pub use log::*;
pub use other_clock::*;
pub use reliance::*;
pub use repairs::*;
pub use rotation::*;
pub use rows::*;
pub use signing::*;
pub use tickets::*;
pub use views::*;

/// A boxed future: ports are used as trait objects, because the store is chosen at run time.
pub type BoxFuture<'a, T> = futures::future::BoxFuture<'a, T>;

/// A failure of the store. Texts of database drivers may contain values, so they stay in the
/// store's own log lines. This error names the operation and the place, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, is full or is read-only: try later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A stored row cannot be what was written. Names the row.
    #[error("corrupt row: {0}")]
    Corrupt(String),
    /// Positions read were not consecutive. A reader must never skip the gap.
    #[error("the log has a gap: position {expected} is missing")]
    Gap {
        /// The position that should have come next.
        expected: u64,
    },
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// All ports of a store.
pub trait Store:
    Log + Rows + Views + Leases + Followers + Repairs + Rotation + Deltas + UsedTickets + Inspection
{
}
impl<T> Store for T where
    T: Log
        + Rows
        + Views
        + Leases
        + Followers
        + Repairs
        + Rotation
        + Deltas
        + UsedTickets
        + Inspection
{
}
