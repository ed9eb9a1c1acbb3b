//! Views: rows that can be rebuilt from the log.

use super::{BoxFuture, StoreError};
use claviger_domain::id::{ContextTag, KeyId, UserId};
use claviger_domain::stream::StreamName;
use uuid::Uuid;

/// The view of keys.
pub const KEYS: &str = "keys";
/// The view of accounts. Its row id is the user's id.
pub const ACCOUNTS: &str = "accounts";
/// The view of what calls revealed about keys; written after its events.
pub const ACTIVITY: &str = "activity";
/// The view of runs.
pub const RUNS: &str = "runs";
/// The view of runs that have not ended, for the engines. Its row id is the run's id.
pub const OPEN_RUNS: &str = "open_runs";
/// The view of the usage of a run's calls per day; written after its events.
pub const USAGE: &str = "usage";

/// A row of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRow {
    /// Name of the view.
    pub view: &'static str,
    /// The user who owns the row.
    pub owner: UserId,
    /// Id of the row.
    pub id: Uuid,
    /// Sort key within (view, owner); ties are ordered by id.
    pub sort: u64,
    /// The stream that the row was folded from; its content key seals the content.
    pub stream: StreamName,
    /// JSON bytes, facts only.
    pub facts: Vec<u8>,
    /// Sealed box holding the JSON of the personal part.
    pub content: Option<Vec<u8>>,
}

/// Selects the rows of a view strictly between two places in the order (sort, id). The result is
/// always newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Only rows after this one in newest-first order, that is with a smaller (sort, id).
    pub after: Option<(u64, Uuid)>,
    /// Only rows before this one in newest-first order, that is with a greater (sort, id).
    pub before: Option<(u64, Uuid)>,
    /// Whether to take the last `limit` of these rows instead of the first.
    pub from_end: bool,
    /// Maximum number of rows.
    pub limit: usize,
}

/// The result of [`Views::page`], all from one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOf {
    /// The rows, newest first.
    pub rows: Vec<ViewRow>,
    /// Number of rows that the view has for this owner, regardless of the page.
    pub total: u64,
    /// Whether there are rows within the requested bounds after the last returned one (for
    /// `from_end`: before the first returned one).
    pub more: bool,
}

/// The port for views.
pub trait Views: Send + Sync {
    /// A page of an owner's rows.
    fn page(
        &self,
        view: &'static str,
        owner: UserId,
        page: Page,
    ) -> BoxFuture<'_, Result<PageOf, StoreError>>;

    /// One row; `None` if it does not exist.
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

    /// Rows of a view of all owners, after the row with this owner and id; ordered by owner and id,
    /// at most `limit`.
    fn rows_of_all(
        &self,
        view: &'static str,
        after: Option<(UserId, Uuid)>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ViewRow>, StoreError>>;

    /// Owners that have rows in a view, with an id above `after`, ordered by id, at most `limit`.
    fn owners(
        &self,
        view: &'static str,
        after: Option<UserId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<UserId>, StoreError>>;
}
