//! Repair of views in place, owner by owner, while everything goes on.

use super::{BoxFuture, Quarantined, StoreError, ViewRow};
use claviger_domain::id::{ContextTag, KeyId, UserId};

/// What the rows were made of, and so what must not have changed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// A view written with its events: all events of the owner up to this one, their last (0 for none).
    Inline {
        /// Its position.
        last: u64,
    },
    /// A view written after its events: all events of the owner up to this checkpoint's position.
    Followed {
        /// Where the checkpoint stood.
        position: u64,
    },
}

/// The rows of one owner in one view, as they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// Which view.
    pub view: &'static str,
    /// Whose rows.
    pub owner: UserId,
    /// What they were made of.
    pub basis: Basis,
    /// All rows there should be.
    pub rows: Vec<ViewRow>,
    /// All defaults there should be, for the view of keys.
    pub defaults: Option<Vec<(ContextTag, KeyId)>>,
    /// All rows that should stand still.
    pub quarantined: Vec<Quarantined>,
}

/// Why nothing was replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplaceError {
    /// An event of the owner came in between: read again.
    #[error("the owner has newer events")]
    Moved,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Repairs.
pub trait Repairs: Send + Sync {
    /// In one transaction, in which nothing else is appended: checks the basis, replaces all rows of the owner in the view, and the
    /// defaults and quarantines with them. With [`Basis::Inline`] the owner's last event must still be the one given. With
    /// [`Basis::Followed`] the owner must have no event between the position given and the checkpoint as it is now, which then counts
    /// one repair more.
    fn replace(&self, replace: Replace) -> BoxFuture<'_, Result<(), ReplaceError>>;

    /// Owners that have a user key, with id above `after`, ordered by id, at most `limit`.
    fn owners_with_keys(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<UserId>, StoreError>>;
}
