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

/// A complete run, folded from its own events and text, never from a view that may be behind.
#[derive(Clone, Debug, PartialEq)]
pub struct RunDetail {
    /// Id of the run.
    pub id: RunId,
    /// The run with its times.
    pub view: RunView,
    /// The text so far of each running attempt.
    pub partial: Vec<StepText>,
    /// The newest feed position included here.
    pub cursor: FeedCursor,
}

/// Selects runs; an empty list means all.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// States to include.
    pub states: Vec<RunState>,
    /// Patterns to include.
    pub patterns: Vec<Pattern>,
}

/// A page of runs.
#[derive(Clone, Debug, Default)]
pub struct RunPage {
    /// The runs, newest first.
    pub runs: Vec<RunSummary>,
    /// Number of the user's runs that match the filter.
    pub total: u64,
    /// Whether more runs follow in the direction of the page.
    pub more: bool,
}

/// Usage of one run's calls on one day with one key and one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageCell {
    /// The run that made the calls.
    pub run: RunId,
    /// UTC day on which the calls ended, in days since 1970-01-01.
    pub day: u64,
    /// The user's key; `None` for the operator's credentials.
    pub key: Option<KeyId>,
    /// Anthropic's id of the model.
    pub model: String,
    /// The run's pattern.
    pub pattern: Pattern,
    /// Number of calls.
    pub calls: u64,
    /// Tokens that the calls used.
    pub usage: Usage,
    /// Cost of the calls, if known.
    pub cost: Cost,
}

/// The port for reads of runs.
pub trait RunReads: Send + Sync {
    /// A user's run in its current state; `None` for foreign and unknown ids.
    fn run(&self, user: UserId, run: RunId) -> Answer<'_, Option<RunDetail>>;
    /// A page of a user's runs.
    fn runs(&self, user: UserId, filter: RunFilter, page: Page) -> Answer<'_, RunPage>;
    /// Usage of a user's calls on the UTC days that `[from, to)` touches.
    fn usage(&self, user: UserId, from: Timestamp, to: Timestamp) -> Answer<'_, Vec<UsageCell>>;
}
