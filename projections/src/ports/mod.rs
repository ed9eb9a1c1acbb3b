//! What the core needs of a store. `src/store` implements it; `suite` says what every implementation must do.

mod deltas;
mod followers;
mod leases;
mod log;
mod repairs;
mod rotation;
mod rows;
mod views;

pub use deltas::*;
pub use followers::*;
pub use leases::*;
pub use log::*;
pub use repairs::*;
pub use rotation::*;
pub use rows::*;
pub use views::*;

/// A boxed future: ports are used as trait objects, because the store is chosen at run time.
pub type BoxFuture<'a, T> = futures::future::BoxFuture<'a, T>;

/// A store went wrong. Texts of drivers may hold values, so they stay in the store's own log lines: this says what and where, never with
/// what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Can't be reached, is full, is read-only: try later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What was read isn't what was written. Names the row.
    #[error("corrupt row: {0}")]
    Corrupt(String),
    /// Positions read were not consecutive: never to be passed over.
    #[error("the log has a gap: position {expected} is missing")]
    Gap {
        /// The position that should have come next.
        expected: u64,
    },
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// Everything a store offers.
pub trait Store: Log + Rows + Views + Leases + Followers + Repairs + Rotation + Deltas {}
impl<T: Log + Rows + Views + Leases + Followers + Repairs + Rotation + Deltas> Store for T {}
