//! Rows of views whose view or owner no comparison visits. The rows of known owners are compared
//! with the fold, view by view.

use super::Walk;
use crate::views::registry::{View, named};
use claviger_domain::id::{KeyId, UserId};
use claviger_projections::ports::{Checkpoint, Quarantined};
use uuid::Uuid;

impl Walk<'_> {
    pub(super) fn view(&mut self, view: &str, owner: UserId, id: Uuid) {
        if named(view).is_none() {
            self.unknown(&format!(
                "row {id} of {owner} in the view {view:?}, which does not exist,"
            ));
        }
    }

    /// The defaults of users in the log are compared with the view of keys.
    pub(super) fn default_key(&mut self, owner: UserId, key: KeyId) {
        if !self.expected.users.contains_key(&owner) {
            self.unknown(&format!("the default key {key} of {owner}"));
        }
    }

    pub(super) fn checkpoint(&mut self, view: &str, at: Checkpoint) {
        if named(view).and_then(View::followed).is_none() {
            self.unknown(&format!("a checkpoint of {view:?}"));
        } else if at.position > self.last {
            self.problem(format!(
                "the view {view} has followed the log to position {}, and the log ends at {}: \
                 delete the checkpoint and the rows of the view, a server writes them again",
                at.position, self.last
            ));
        }
    }

    pub(super) fn quarantined(&mut self, view: &str, row: &Quarantined) {
        if named(view).and_then(View::followed).is_none() {
            self.unknown(&format!("row {} of {} in quarantine of {view:?}", row.id, row.owner));
        }
    }
}
