//! Inline views: their rows are written in the transaction of their events. The rows are functions
//! of the events and of their places in the log, because the times are known only then.

use super::owner_state::OwnerState;
use crate::system::environment::Environment;
use claviger_domain::id::{ContextTag, KeyId, UserId};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{StoreError, ViewRow};
use claviger_vault::ContentKey;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// One inline view, over the state that its owner's events fold to.
pub(super) trait InlineView: Send + Sync {
    /// Whether the view depends on the events of this stream.
    fn reads(&self, stream: StreamName) -> bool;

    /// The stream that a row belongs to. Its content key seals the row's content.
    fn stream(&self, owner: UserId, id: Uuid) -> StreamName;

    /// Whether rows have a sealed part.
    fn has_content(&self) -> bool {
        true
    }

    /// Ids of the rows that the view should have.
    fn ids(&self, state: &OwnerState) -> BTreeSet<Uuid>;

    /// Whether a stored row of the right stream is the row that the view should have. Sealed bytes
    /// can't be compared, because their nonces are random: the row is opened.
    fn agrees(&self, state: &OwnerState, row: &ViewRow, key: Option<&ContentKey>) -> bool;

    /// Encodes the row that the view should have; `None` if it should have none of this id.
    fn encode(
        &self,
        state: &OwnerState,
        id: Uuid,
        key: Option<&ContentKey>,
        env: &Environment,
    ) -> Result<Option<ViewRow>, StoreError>;

    /// All defaults that the owner should have; `None` for a view that has none.
    fn defaults(&self, _: &OwnerState) -> Option<BTreeMap<ContextTag, KeyId>> {
        None
    }
}
