//! Leases: at most one process at a time does a given piece of work.

use super::{BoxFuture, StoreError};
use std::fmt;
use uuid::Uuid;

/// The work that a lease covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaseName {
    /// Running the due timers.
    Timers,
    /// Maintaining a view that is written after its events.
    Follower(&'static str),
    /// Working on the runs that the process with this id has claimed. Getting another engine's
    /// lease means that engine is gone, so its runs may be claimed.
    Engine(Uuid),
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timers => f.write_str("timers"),
            Self::Follower(view) => write!(f, "follower/{view}"),
            Self::Engine(process) => write!(f, "engine/{process}"),
        }
    }
}

/// A process, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holder(pub Uuid);

/// The outcome of requesting a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The caller holds the lease.
    Ours {
        /// Incremented whenever the holder changes; fences the holder's writes.
        token: u64,
    },
    /// Another process holds the lease.
    Theirs {
        /// The current holder.
        holder: Holder,
        /// Milliseconds until the lease lapses, by the store's clock, unless the holder renews it.
        left_ms: u64,
    },
}

/// The port for leases. Only the store's clock counts, never a process's.
pub trait Leases: Send + Sync {
    /// Takes a lease that is free or has lapsed, or renews the holder's own. The lease then ends
    /// `ttl_ms` from now; with 0 it lapses immediately. The token is incremented whenever the
    /// holder changes, also through [`Leases::release`], and never otherwise.
    fn hold(
        &self,
        name: LeaseName,
        holder: Holder,
        ttl_ms: u64,
    ) -> BoxFuture<'_, Result<Hold, StoreError>>;

    /// Frees a lease immediately if the caller holds it; otherwise returns `false`.
    fn release(&self, name: LeaseName, holder: Holder) -> BoxFuture<'_, Result<bool, StoreError>>;
}
