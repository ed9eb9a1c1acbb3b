//! Views: rows that can be made anew from the log.

use super::{BoxFuture, StoreError};
use claviger_domain::id::{ContextTag, KeyId, UserId};
use claviger_domain::stream::StreamName;
use uuid::Uuid;

/// The view of keys.
pub const KEYS: &str = "keys";
/// The view of accounts; its row id is the user's.
pub const ACCOUNTS: &str = "accounts";
/// The view of what calls taught about keys; written after its events.
pub const ACTIVITY: &str = "activity";
/// The view of runs.
pub const RUNS: &str = "runs";
/// The runs that haven't ended, for whoever works on them; its row id is the run's.
pub const OPEN_RUNS: &str = "open_runs";
/// The view of what the calls of a run used on a day; written after its events.
pub const USAGE: &str = "usage";

/// A row of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRow {
    /// Which view.
    pub view: &'static str,
    /// Whose.
    pub owner: UserId,
    /// Which row.
    pub id: Uuid,
    /// Sort key within (view, owner); ties are broken by the id.
    pub sort: u64,
    /// The stream it was folded from, whose content key seals the content.
    pub stream: StreamName,
    /// JSON bytes, facts only.
    pub facts: Vec<u8>,
    /// Sealed box with the JSON of the personal part.
    pub content: Option<Vec<u8>>,
}

/// Which rows of a view are wanted: those strictly between two places in the order (sort, id), `newest first` always in the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Only rows after this one in newest-first order, that is with a smaller (sort, id).
    pub after: Option<(u64, Uuid)>,
    /// Only rows before this one in newest-first order, that is with a greater (sort, id).
    pub before: Option<(u64, Uuid)>,
    /// Take the last `limit` of them instead of the first.
    pub from_end: bool,
    /// At most so many.
    pub limit: usize,
}

/// An answer to [`Views::page`], all from one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOf {
    /// The rows, newest first.
    pub rows: Vec<ViewRow>,
    /// How many rows the view has for this owner, whatever the page.
    pub total: u64,
    /// There are rows after the last one given (for `from_end`: before the first one given) within the bounds asked for.
    pub more: bool,
}

/// Views.
pub trait Views: Send + Sync {
    /// A page of an owner's rows.
    fn page(
        &self,
        view: &'static str,
        owner: UserId,
        page: Page,
    ) -> BoxFuture<'_, Result<PageOf, StoreError>>;

    /// One row.
    fn row(
        &self,
        view: &'static str,
        owner: UserId,
        id: Uuid,
    ) -> BoxFuture<'_, Result<Option<ViewRow>, StoreError>>;

    /// The default key of a context.
    fn default_key(
        &self,
        owner: UserId,
        tag: ContextTag,
    ) -> BoxFuture<'_, Result<Option<KeyId>, StoreError>>;

    /// All defaults of a user, ordered by tag.
    fn defaults(
        &self,
        owner: UserId,
    ) -> BoxFuture<'_, Result<Vec<(ContextTag, KeyId)>, StoreError>>;

    /// Rows of a view, whoever owns them, behind the one with this owner and id; ordered by owner and id, at most `limit`.
    fn rows_of_all(
        &self,
        view: &'static str,
        after: Option<(UserId, Uuid)>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ViewRow>, StoreError>>;

    /// Owners that have rows in a view, with id above `after`, ordered by id, at most `limit`.
    fn owners(
        &self,
        view: &'static str,
        after: Option<UserId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<UserId>, StoreError>>;
}
