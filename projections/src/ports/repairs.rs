//! Repairs views in place, owner by owner, while the system keeps running.

use super::{BoxFuture, Quarantined, StoreError, ViewRow};
use claviger_domain::id::{ContextTag, KeyId, UserId};

/// The events that the rows were built from, and therefore the part of the log that must not have
/// changed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// A view written with its events: all events of the owner up to their last one.
    Inline {
        /// Position of the owner's last event; 0 for none.
        last: u64,
    },
    /// A view written after its events: all events of the owner up to the checkpoint's position.
    Followed {
        /// The checkpoint's position.
        position: u64,
    },
}

/// The correct rows of one owner in one view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// Name of the view.
    pub view: &'static str,
    /// The user who owns the rows.
    pub owner: UserId,
    /// The events that the rows were built from.
    pub basis: Basis,
    /// All rows of the owner.
    pub rows: Vec<ViewRow>,
    /// All defaults of the owner, for the view of keys.
    pub defaults: Option<Vec<(ContextTag, KeyId)>>,
    /// All rows to quarantine.
    pub quarantined: Vec<Quarantined>,
}

/// Why nothing was replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplaceError {
    /// The owner has a newer event: read again.
    #[error("the owner has newer events")]
    Moved,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The port for repairs.
pub trait Repairs: Send + Sync {
    /// In one transaction, during which nothing else is appended: checks the basis and replaces all
    /// rows of the owner in the view, with the defaults and quarantines. With [`Basis::Inline`],
    /// the given event must still be the owner's last one. With [`Basis::Followed`], the owner must
    /// have no event between the given position and the current checkpoint, whose repair count is
    /// then incremented.
    fn replace(&self, replace: Replace) -> BoxFuture<'_, Result<(), ReplaceError>>;

    /// Owners that have a user key, with an id above `after`, ordered by id, at most `limit`.
    fn owners_with_keys(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<UserId>, StoreError>>;
}
