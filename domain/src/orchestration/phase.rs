//! Where a run stands.

use super::event::PauseReason;
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The run does not exist yet.
    #[default]
    None,
    /// Requested, and not yet claimed by a process.
    Queued,
    /// Claimed. The process that claimed it may have died since.
    Running,
    /// No call is under way, and none is started until the run is resumed.
    Paused(PauseReason),
    /// Ended with a result.
    Completed,
    /// Ended without a result.
    Failed,
    /// Ended on request.
    Cancelled,
}

impl Phase {
    /// The run has ended: nothing follows.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}
