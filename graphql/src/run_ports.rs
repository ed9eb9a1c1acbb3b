//! The ports for orchestrations: commands, reads, and the feed of one run.

use crate::ports::{Answer, Call, Caller, Commit};
use claviger_domain::failure::Failure;
use claviger_domain::id::{KeyId, RunId, UserId};
use claviger_domain::orchestration::{Ask, Cost, Draft, Pattern, Usage};
use claviger_domain::text::{Context, ModelId, Title};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::Page;
use claviger_projections::run_feed::{FeedCursor, FeedMessage, RunView, StepText};
use claviger_projections::runs::{RunState, RunSummary};
use futures::stream::BoxStream;

/// A request to start a run.
#[derive(Clone, Debug)]
pub struct StartRun {
    /// The work to do, not yet validated.
    pub draft: Draft,
    /// The owner's title for the run, if given.
    pub title: Option<Title>,
    /// The model for agents that name none; the configured default if absent.
    pub model: Option<ModelId>,
    /// The only key that may be used; if it is unusable, the request is refused.
    pub key: Option<KeyId>,
    /// The context whose default key is used if no key is named.
    pub context: Context,
    /// Maximum number of calls at the same time.
    pub max_concurrency: Option<u32>,
}

/// A command on runs.
#[derive(Clone, Debug)]
pub enum RunCommand {
    /// Start a run.
    Start(Box<StartRun>),
    /// Request a change of a run's state.
    Ask {
        /// The run to change.
        run: RunId,
        /// The requested change.
        ask: Ask,
    },
}

/// The result of a command on runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDone {
    /// What was committed.
    pub commit: Commit,
    /// The run that the command concerned.
    pub run: RunId,
}

/// The port for commands on runs.
pub trait RunCommands: Send + Sync {
    /// Runs one command. `caller` identifies the call's owner and their rights. A caller that
    /// disconnects does not stop the command. If no credential is usable, the failure's detail
    /// lists the candidates that were considered.
    fn run(&self, call: Call, caller: Caller, command: RunCommand) -> Answer<'_, RunDone>;
}

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

/// The feed of one run: the messages after a cursor, or a snapshot and the messages after it. Ends
/// after the run's end. A slow reader loses nothing.
#[expect(missing_debug_implementations, reason = "a stream")]
pub struct RunMessages {
    /// The messages, in order.
    pub messages: BoxStream<'static, Result<FeedMessage, Failure>>,
}

/// The port for live feeds of runs.
pub trait RunFeeds: Send + Sync {
    /// The feed of a user's run; `None` for foreign and unknown ids. Fails with `CURSOR_INVALID`
    /// for a cursor that is not in the run.
    fn follow(
        &self,
        user: UserId,
        run: RunId,
        after: Option<FeedCursor>,
    ) -> Answer<'_, Option<RunMessages>>;
}
