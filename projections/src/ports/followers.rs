//! Views that a follower writes after their events: their checkpoints, quarantined rows, and how
//! they advance.

use super::{BoxFuture, LeaseName, StoreError, ViewRow};
use claviger_domain::id::UserId;
use uuid::Uuid;

/// The progress of a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Every event up to this position is in the view.
    pub position: u64,
    /// Number of repairs of its rows. A follower that read rows before a repair must not write
    /// changes based on them.
    pub repairs: u64,
}

/// Proves that the writer still holds the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lease under which it writes.
    pub lease: LeaseName,
    /// The token that it received with the lease.
    pub token: u64,
}

/// Why a row of a view is quarantined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoisonReason {
    /// The event has a type or schema that this program does not know.
    UnknownEvent,
    /// The stored row cannot be decoded.
    UnreadableRow,
    /// The new row cannot be encoded.
    UnwritableRow,
}

impl PoisonReason {
    /// All reasons.
    pub const ALL: &'static [Self] =
        &[Self::UnknownEvent, Self::UnreadableRow, Self::UnwritableRow];

    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownEvent => "unknown_event",
            Self::UnreadableRow => "unreadable_row",
            Self::UnwritableRow => "unwritable_row",
        }
    }

    /// Parses the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }
}

/// A quarantined row: an event could not be folded into it. Later events of the row are skipped
/// until it is rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The user who owns the row.
    pub owner: UserId,
    /// Id of the row.
    pub id: Uuid,
    /// Position of the event that could not be folded.
    pub position: u64,
    /// Why it could not be folded.
    pub reason: PoisonReason,
}

/// The changes of a view. Wipes come first, then deletes, then puts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewChanges {
    /// Owners whose rows and quarantines are all removed.
    pub wiped: Vec<UserId>,
    /// Rows to delete.
    pub deleted: Vec<(UserId, Uuid)>,
    /// Rows to insert or replace.
    pub put: Vec<ViewRow>,
    /// Rows that are quarantined from now on.
    pub quarantined: Vec<Quarantined>,
}

/// One step of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Name of the view.
    pub view: &'static str,
    /// The checkpoint that the changes are based on.
    pub from: Checkpoint,
    /// The view's position after the step.
    pub to: u64,
    /// The writer's fence.
    pub fence: Fence,
    /// The changes to write.
    pub changes: ViewChanges,
}

/// Why nothing of an advance was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdvanceError {
    /// The lease has a newer token than the fence: its holder has changed.
    #[error("the lease has changed hands")]
    Fenced,
    /// The view has advanced or was repaired meanwhile.
    #[error("the view is at position {} after {} repairs", at.position, at.repairs)]
    Moved {
        /// The current checkpoint.
        at: Checkpoint,
    },
    /// The store failed. The checkpoint shows whether the advance was written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The port for views that are written after their events.
pub trait Followers: Send + Sync {
    /// The progress of a view; position 0 before its first step.
    fn checkpoint(&self, view: &'static str) -> BoxFuture<'_, Result<Checkpoint, StoreError>>;

    /// In one transaction: checks that the fence's token is the newest of the lease and that the
    /// view is at `from`, then writes the changes and the new checkpoint.
    fn advance(&self, advance: Advance) -> BoxFuture<'_, Result<(), AdvanceError>>;

    /// Quarantined rows of a view, ordered by owner and id, at most `limit`.
    fn quarantined(
        &self,
        view: &'static str,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Quarantined>, StoreError>>;

    /// Number of quarantined rows of a view.
    fn count_quarantined(&self, view: &'static str) -> BoxFuture<'_, Result<u64, StoreError>>;
}
