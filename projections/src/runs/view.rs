//! Rows of the runs view.

use claviger_domain::id::{BootId, RunId};
use claviger_domain::orchestration::{Cost, Pattern, PauseReason, Usage};
use claviger_domain::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// The state of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Requested; no process works on it yet.
    #[default]
    Queued,
    /// A process works on it, or did until it crashed.
    Running,
    /// Waits until it is resumed or cancelled.
    Paused,
    /// Finished with a result.
    Completed,
    /// Ended in failure.
    Failed,
    /// Stopped permanently on request.
    Cancelled,
}

impl RunState {
    /// Whether the run has ended.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// The part of a run's row that is stored in clear text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// How its agents work together.
    pub pattern: Pattern,
    /// The current state.
    pub state: RunState,
    /// Why it is paused; `None` if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseReason>,
    /// When it was requested; sorts the rows.
    pub created_at: Timestamp,
    /// When a process first claimed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended; `None` before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Number of calls that ended.
    pub calls: u64,
    /// Tokens that the calls used.
    pub usage: Usage,
    /// Cost of the calls; unknown if the cost of any call is.
    pub cost: Cost,
    /// Version of the run's stream.
    pub version: u64,
    /// Version of the control stream up to which requests have been handled.
    pub control: u64,
    /// The process that claimed it last; `None` before the first claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<BootId>,
}

/// The sealed part of a run's row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunContent {
    /// The owner's title, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// A run in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Id of the run.
    pub id: RunId,
    /// The part that is stored in clear text.
    pub facts: RunFacts,
    /// The sealed part; `None` once erased.
    pub content: Option<RunContent>,
}

/// A run that has not ended, with the data that a process needs to find work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRun {
    /// The process that claimed it last; absent before the first claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<BootId>,
    /// Whether the run waits for a request to continue.
    pub is_paused: bool,
    /// Version of the control stream up to which requests have been handled.
    pub control: u64,
}

impl RunSummary {
    /// The row for processes that look for work; `None` once the run has ended.
    pub fn open(&self) -> Option<OpenRun> {
        let RunFacts { state, owner, control, .. } = self.facts;
        (!state.is_final()).then_some(OpenRun {
            owner,
            is_paused: state == RunState::Paused,
            control,
        })
    }
}
