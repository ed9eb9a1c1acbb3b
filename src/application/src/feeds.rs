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

/// The events that a feed contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One user's events, with their content.
    Own(UserId),
    /// All events, without content: for auditors.
    All,
}

/// The events after some position, each once, in order, without end. A slow reader loses nothing.
#[expect(missing_debug_implementations, reason = "a stream")]
pub struct EventFeed {
    /// The feed contains the events after this position.
    pub start: u64,
    /// The events, in log order.
    pub events: BoxStream<'static, Result<Arc<EventView>, Failure>>,
}

/// The port for live feeds.
pub trait Feeds: Send + Sync {
    /// The events after a position, or from now on, for a reader who pays for what waits. Fails with `CURSOR_INVALID` for a position
    /// beyond the end of the log.
    fn events(&self, reader: UserId, scope: Scope, after: Option<u64>) -> Answer<'_, EventFeed>;
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
