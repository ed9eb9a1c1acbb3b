//! Bounds the wait for a server. The driver waits for an answer as long as a connection looks alive, and one that swallows everything
//! looks alive for a quarter of an hour. Its futures are never dropped half-way either: a call nobody waits for any more goes on alone.

use super::error::DbError;
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// Runs calls of the driver, each in a task of its own.
#[derive(Clone)]
pub(super) struct Calls {
    tracker: TaskTracker,
    /// How long an answer is waited for.
    limit: Duration,
}

impl Calls {
    /// Calls that are given up after `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self { tracker: TaskTracker::new(), limit }
    }

    /// The same, with more patience.
    pub(super) fn with_patience(&self, times: u32) -> Self {
        Self { tracker: self.tracker.clone(), limit: self.limit * times }
    }

    /// The outcome of a call, or nothing when the limit is over. Then the call may still be done, now or later.
    pub(super) async fn within<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        timeout(self.limit, self.tracker.spawn(call)).await.ok()?.ok()
    }

    /// The same for a question that can fail: silence is an error.
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

    /// Waits for what is under way, but for no longer than for an answer.
    pub(super) async fn end(&self) {
        self.tracker.close();
        drop(timeout(self.limit, self.tracker.wait()).await);
    }
}
