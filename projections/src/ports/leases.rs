//! Leases: which process does a piece of work that one alone may do.

use super::{BoxFuture, StoreError};
use std::fmt;
use uuid::Uuid;

/// What a lease is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaseName {
    /// Doing what is due.
    Timers,
    /// Keeping a view that is written after its events.
    Follower(&'static str),
    /// Working on the runs that this process has claimed. Whoever else gets it may claim them: their owner is gone.
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

/// A process from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holder(pub Uuid);

/// What came of asking for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It is the asker's.
    Ours {
        /// Grows with every change of hands: what a write is fenced by.
        token: u64,
    },
    /// Somebody else has it.
    Theirs {
        /// Who.
        holder: Holder,
        /// It lapses after so many milliseconds, by the store's clock, unless they renew it.
        left_ms: u64,
    },
}

/// Leases. Their time is the store's: no process's clock counts.
pub trait Leases: Send + Sync {
    /// Takes a lease that is free or has lapsed, or renews the holder's own. It then ends `ttl_ms` from now; one of 0 has lapsed at once.
    /// The token grows whenever the lease changes hands, through [`Leases::release`] too, and never otherwise.
    fn hold(
        &self,
        name: LeaseName,
        holder: Holder,
        ttl_ms: u64,
    ) -> BoxFuture<'_, Result<Hold, StoreError>>;

    /// Frees a lease at once, if it is the holder's; `false` if it isn't.
    fn release(&self, name: LeaseName, holder: Holder) -> BoxFuture<'_, Result<bool, StoreError>>;
}
