//! Rows of the view.

use claviger_domain::id::{BootId, RunId};
use claviger_domain::orchestration::{Cost, Pattern, PauseReason, Usage};
use claviger_domain::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Asked for, and nobody works on it yet.
    #[default]
    Queued,
    /// Somebody works on it, or did until they vanished.
    Running,
    /// It stands still.
    Paused,
    /// It is done.
    Completed,
    /// It came to nothing.
    Failed,
    /// It was stopped for good.
    Cancelled,
}

impl RunState {
    /// Nothing will happen to it any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// What may always be read of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// How its agents work together.
    pub pattern: Pattern,
    /// Where it stands.
    pub state: RunState,
    /// Why it stands still, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseReason>,
    /// When it was asked for: sorts the rows.
    pub created_at: Timestamp,
    /// When somebody began to work on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Calls that ended.
    pub calls: u64,
    /// What they used.
    pub usage: Usage,
    /// What that cost, as far as every call's is known.
    pub cost: Cost,
    /// Version of its stream.
    pub version: u64,
    /// Version of the control stream up to which requests are spent.
    pub control: u64,
    /// Who claimed it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<BootId>,
}

/// What is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunContent {
    /// What its owner calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// A run in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Its id.
    pub id: RunId,
    /// What may always be read.
    pub facts: RunFacts,
    /// What is sealed; `None` once erased.
    pub content: Option<RunContent>,
}

/// A run that hasn't ended: what whoever looks for work must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRun {
    /// Who claimed it last; absent before the first claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<BootId>,
    /// It stands still until somebody asks for something.
    pub is_paused: bool,
    /// Version of the control stream up to which requests are spent.
    pub control: u64,
}

impl RunSummary {
    /// The row for those who look for work; `None` once the run has ended.
    pub fn open(&self) -> Option<OpenRun> {
        let RunFacts { state, owner, control, .. } = self.facts;
        (!state.is_final()).then_some(OpenRun {
            owner,
            is_paused: state == RunState::Paused,
            control,
        })
    }
}
