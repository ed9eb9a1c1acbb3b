//! Live feeds: of events, and of one run.

use crate::command::Answer;
use crate::reads::EventView;
use claviger_domain::failure::Failure;
use claviger_domain::id::RunId;
use claviger_domain::id::UserId;
use claviger_projections::run_feed::FeedCursor;
use claviger_projections::run_feed::FeedMessage;
use futures::stream::BoxStream;
use std::sync::Arc;

/// Whose events a feed has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One user's, with their content.
    Own(UserId),
    /// Everybody's, without content: for auditors.
    All,
}

/// Events from some point on, each once, in order, without end. A reader may be as slow as it likes.
#[expect(missing_debug_implementations, reason = "a stream")]
pub struct EventFeed {
    /// Where it begins: the feed has what comes after this position.
    pub start: u64,
    /// The events.
    pub events: BoxStream<'static, Result<Arc<EventView>, Failure>>,
}

/// Live feeds.
pub trait Feeds: Send + Sync {
    /// The events after a position, or from now on. `CURSOR_INVALID` for a position that the log hasn't reached.
    fn events(&self, scope: Scope, after: Option<u64>) -> Answer<'_, EventFeed>;
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
