//! Reads of runs.

use crate::command::Answer;
use claviger_domain::id::KeyId;
use claviger_domain::id::RunId;
use claviger_domain::id::UserId;
use claviger_domain::orchestration::Cost;
use claviger_domain::orchestration::Pattern;
use claviger_domain::orchestration::Usage;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::Page;
use claviger_projections::run_feed::FeedCursor;
use claviger_projections::run_feed::RunView;
use claviger_projections::run_feed::StepText;
use claviger_projections::runs::RunState;
use claviger_projections::runs::RunSummary;

/// A run, whole: from one fold of its own events and text, never from a view that may be behind.
#[derive(Clone, Debug, PartialEq)]
pub struct RunDetail {
    /// Its id.
    pub id: RunId,
    /// The run and its times.
    pub view: RunView,
    /// The text so far of each running attempt.
    pub partial: Vec<StepText>,
    /// The newest place of the feed contained here.
    pub cursor: FeedCursor,
}

/// Which runs are wanted; empty lists mean all.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only those that stand so.
    pub states: Vec<RunState>,
    /// Only those of these patterns.
    pub patterns: Vec<Pattern>,
}

/// A page of runs.
#[derive(Clone, Debug, Default)]
pub struct RunPage {
    /// Newest first.
    pub runs: Vec<RunSummary>,
    /// How many the user has that pass the filter.
    pub total: u64,
    /// There are more in the direction of the page.
    pub more: bool,
}

/// What calls of one run used on one day with one key and model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageCell {
    /// The run.
    pub run: RunId,
    /// Day of the calls' ends, counted from 1970-01-01, UTC.
    pub day: u64,
    /// The user's key; `None` for the operator's credentials.
    pub key: Option<KeyId>,
    /// The model.
    pub model: String,
    /// How the run's agents work together.
    pub pattern: Pattern,
    /// How many calls.
    pub calls: u64,
    /// What they used.
    pub usage: Usage,
    /// What that cost.
    pub cost: Cost,
}

/// Reads of runs.
pub trait RunReads: Send + Sync {
    /// A run of a user, as it is now; `None` for foreign and unknown ids.
    fn run(&self, user: UserId, run: RunId) -> Answer<'_, Option<RunDetail>>;
    /// A page of a user's runs.
    fn runs(&self, user: UserId, filter: RunFilter, page: Page) -> Answer<'_, RunPage>;
    /// What a user's calls used on the UTC days that `[from, to)` touches.
    fn usage(&self, user: UserId, from: Timestamp, to: Timestamp) -> Answer<'_, Vec<UsageCell>>;
}
