//! What the schema needs of orchestrations: commands, reads, the feed of one.

use crate::ports::{Answer, Call, Caller, Commit};
use claviger_domain::failure::Failure;
use claviger_domain::id::{KeyId, RunId, UserId};
use claviger_domain::orchestration::{ControlRequest, Cost, Draft, Pattern, Usage};
use claviger_domain::text::{Context, ModelId, Title};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::Page;
use claviger_projections::run_feed::{FeedCursor, FeedMessage, RunView, StepText};
use claviger_projections::runs::{RunState, RunSummary};
use futures::stream::BoxStream;

/// A run that is asked for.
#[derive(Clone, Debug)]
pub struct StartRun {
    /// What it is to do, not yet checked.
    pub draft: Draft,
    /// What its owner calls it.
    pub title: Option<Title>,
    /// The model where an agent names none; the configured one without it.
    pub model: Option<ModelId>,
    /// The key that is used, or the request is refused.
    pub key: Option<KeyId>,
    /// Whose default key is looked for otherwise.
    pub context: Context,
    /// Most calls at once.
    pub max_concurrency: Option<u32>,
}

/// A command on runs.
#[derive(Clone, Debug)]
pub enum RunCommand {
    /// Start one.
    Start(Box<StartRun>),
    /// Ask something of one.
    Ask {
        /// The run.
        run: RunId,
        /// What.
        ask: ControlRequest,
    },
}

/// A command done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDone {
    /// What was committed.
    pub commit: Commit,
    /// The run it was about.
    pub run: RunId,
}

/// Commands on runs.
pub trait RunCommands: Send + Sync {
    /// Does one; `caller` is who the call's owner is and what they may do. A caller that goes away stops nothing. Without a credential the
    /// failure's detail holds all that was looked at.
    fn run(&self, call: Call, caller: Caller, command: RunCommand) -> Answer<'_, RunDone>;
}

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

/// The feed of one run: what follows a place, or a snapshot and what follows it. It ends after the run's end. A reader may be as slow as it
/// likes.
#[expect(missing_debug_implementations, reason = "a stream")]
pub struct RunMessages {
    /// The messages.
    pub messages: BoxStream<'static, Result<FeedMessage, Failure>>,
}

/// Live feeds of runs.
pub trait RunFeeds: Send + Sync {
    /// The feed of a user's run; `None` for foreign and unknown ids. `CURSOR_INVALID` for a place that the run doesn't have.
    fn follow(
        &self,
        user: UserId,
        run: RunId,
        after: Option<FeedCursor>,
    ) -> Answer<'_, Option<RunMessages>>;
}
