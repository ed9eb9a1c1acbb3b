//! Views that are written after their events, by a follower: how far they are, what stands in the way, and how they move on.

use super::{BoxFuture, LeaseName, StoreError, ViewRow};
use claviger_domain::id::UserId;
use uuid::Uuid;

/// How far a view is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything up to here is in the view.
    pub position: u64,
    /// How often rows of it were repaired: who read rows before a repair must not write what it made of them.
    pub repairs: u64,
}

/// Says that the writer is still the one who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Under which lease it writes.
    pub lease: LeaseName,
    /// The token it was given.
    pub token: u64,
}

/// Why a row of a view stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoisonReason {
    /// The event is of a type or shape that this program doesn't know.
    UnknownEvent,
    /// The row as it was can't be read.
    UnreadableRow,
    /// The row as it would be can't be written.
    UnwritableRow,
}

impl PoisonReason {
    /// Every reason.
    pub const ALL: &'static [Self] =
        &[Self::UnknownEvent, Self::UnreadableRow, Self::UnwritableRow];

    /// The word stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownEvent => "unknown_event",
            Self::UnreadableRow => "unreadable_row",
            Self::UnwritableRow => "unwritable_row",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }
}

/// A row that stands still because of an event that could not be folded into it. Later events of the row are passed over until it is
/// made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Whose row.
    pub owner: UserId,
    /// Which.
    pub id: Uuid,
    /// Position of the event.
    pub position: u64,
    /// Why.
    pub reason: PoisonReason,
}

/// What a view becomes. Wipes come first, then deletes, then puts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewChanges {
    /// Owners all of whose rows and quarantines go.
    pub wiped: Vec<UserId>,
    /// Rows that go.
    pub deleted: Vec<(UserId, Uuid)>,
    /// Rows inserted or replaced.
    pub put: Vec<ViewRow>,
    /// Rows that stand still from now on.
    pub quarantined: Vec<Quarantined>,
}

/// One step of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Which view.
    pub view: &'static str,
    /// The checkpoint the changes were made on top of.
    pub from: Checkpoint,
    /// The position it then has.
    pub to: u64,
    /// Who may.
    pub fence: Fence,
    /// What is written.
    pub changes: ViewChanges,
}

/// Why nothing of an advance was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdvanceError {
    /// The lease has changed hands.
    #[error("the lease has changed hands")]
    Fenced,
    /// The view has moved on or was repaired meanwhile.
    #[error("the view is at position {} after {} repairs", at.position, at.repairs)]
    Moved {
        /// Where it is.
        at: Checkpoint,
    },
    /// The store failed. Whether the advance is in can be seen by the checkpoint.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Views that are written after their events.
pub trait Followers: Send + Sync {
    /// How far a view is; position 0 for one that nobody began.
    fn checkpoint(&self, view: &'static str) -> BoxFuture<'_, Result<Checkpoint, StoreError>>;

    /// In one transaction: checks that the fence's token is the lease's newest and that the view is at `from`, then writes the changes
    /// and the new checkpoint.
    fn advance(&self, advance: Advance) -> BoxFuture<'_, Result<(), AdvanceError>>;

    /// Rows of a view that stand still, ordered by owner and id, at most `limit`.
    fn quarantined(
        &self,
        view: &'static str,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Quarantined>, StoreError>>;

    /// How many rows of a view stand still.
    fn count_quarantined(&self, view: &'static str) -> BoxFuture<'_, Result<u64, StoreError>>;
}
