//! Bounds the wait for a server. The driver waits for a reply as long as the connection looks
//! alive, and one that swallows everything looks alive for a quarter of an hour. The driver's
//! futures are never dropped midway either: a call that nobody waits for any longer continues
//! alone.

use super::error::DbError;
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// Runs calls of the driver, each in a task of its own.
#[derive(Clone)]
pub(super) struct Calls {
    tracker: TaskTracker,
    /// How long to wait for a reply.
    limit: Duration,
}

impl Calls {
    /// Calls that are abandoned after `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self { tracker: TaskTracker::new(), limit }
    }

    /// The same, with a limit that is `times` as long.
    pub(super) fn with_patience(&self, times: u32) -> Self {
        Self { tracker: self.tracker.clone(), limit: self.limit * times }
    }

    /// The outcome of a call, or `None` after the limit. The call may then still take effect, now
    /// or later.
    pub(super) async fn within<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        timeout(self.limit, self.tracker.spawn(call)).await.ok()?.ok()
    }

    /// The same for a call that can fail: a missing reply is an error.
    pub(super) async fn ask<T, E>(
        &self,
        question: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, DbError>
    where
        T: Send + 'static,
        E: Into<DbError> + Send + 'static,
    {
        self.within(question).await.ok_or(DbError::Silent)?.map_err(Into::into)
    }

    /// Waits for calls in progress, but no longer than for a reply.
    pub(super) async fn end(&self) {
        self.tracker.close();
        drop(timeout(self.limit, self.tracker.wait()).await);
    }
}
