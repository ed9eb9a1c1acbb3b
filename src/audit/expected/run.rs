//! What must be stored of a run's text.

use crate::views::DELTAS_MS;
use claviger_domain::id::UserId;
use claviger_domain::orchestration::RunEvent;
use claviger_domain::timestamp::Timestamp;
use std::collections::BTreeMap;

/// Rows of text between two events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// As many as the later event says.
    pub(crate) expected: u64,
    /// As many as were found of them.
    pub(crate) found: u64,
}

pub(crate) struct RunText {
    pub(crate) owner: UserId,
    pub(crate) version: u64,
    /// By the version of the event that they follow.
    pub(crate) rows: BTreeMap<u64, Counted>,
    /// When the text of an ended run expires.
    pub(crate) expires_at: Option<Timestamp>,
    /// The timer of that expiry was found.
    pub(crate) has_timer: bool,
}

impl RunText {
    pub(super) const fn of(owner: UserId) -> Self {
        Self { owner, version: 0, rows: BTreeMap::new(), expires_at: None, has_timer: false }
    }

    pub(super) fn take(&mut self, event: &RunEvent, version: u64, at: Timestamp) {
        self.version = version;
        let (expected, v) = (event.prev_d(), version.saturating_sub(1));
        if expected > 0 {
            self.rows.insert(v, Counted { expected, found: 0 });
        }
        let is_end = matches!(
            event,
            RunEvent::RunCompleted(_) | RunEvent::RunCancelled(_) | RunEvent::RunFailed(..)
        );
        if is_end || self.expires_at.is_some() {
            self.expires_at = Some(at.plus_ms(DELTAS_MS));
        }
    }

    /// The owner's erasure deletes the text.
    pub(super) fn erase(&mut self) {
        self.rows.clear();
    }
}
