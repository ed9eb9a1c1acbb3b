//! Wake-ups: a change stream on the head, and a poll beside it in case the stream is silent. Both
//! only wake readers, which then read the log itself. Each has a task of its own, and neither waits
//! without limit, so that a stream whose connection swallows everything never silences the poll.

use super::calls::Calls;
use super::cells::Cells;
use super::error::{DbError, code};
use super::read;
use super::schema::{HEAD, HEAD_ID};
use claviger_projections::ports::StoreError;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::ChangeStreamEvent;
use mongodb::options::ReadConcern;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// The shortest and the longest time between two polls.
const POLL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// How long the server holds a request for changes. A driver's future is never dropped midway, so
/// closing waits for it.
const AWAIT: Duration = Duration::from_millis(500);

type Changes = ChangeStream<ChangeStreamEvent<Document>>;

/// Raises the watched position; never lowers it.
pub(super) fn raise(watched: &watch::Sender<u64>, position: u64) {
    watched.send_if_modified(|known| {
        let is_news = position > *known;
        if is_news {
            *known = position;
        }
        is_news
    });
}

/// Watches the head for this process.
pub(super) struct Watcher {
    pub(super) db: Database,
    pub(super) calls: Calls,
    /// Receives every move of the head.
    pub(super) watched: watch::Sender<u64>,
    /// The store is closing.
    pub(super) closing: CancellationToken,
    /// Notified when the change stream has failed: then only the poll wakes.
    pub(super) deaf: Notify,
}

impl Watcher {
    /// Polls and follows the change stream until the store closes.
    pub(super) async fn run(self) {
        futures::future::join(self.poll(), self.listen()).await;
    }

    /// Polls less and less often while it finds nothing that the stream has not reported.
    async fn poll(&self) {
        let mut pause = POLL.0;
        while !self.closing.is_cancelled() {
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = self.deaf.notified() => pause = POLL.0,
                () = tokio::time::sleep(pause) => pause = if self.look().await { POLL.0 } else { (pause * 2).min(POLL.1) },
            }
        }
    }

    /// Reads the head; `true` if it has moved unnoticed.
    async fn look(&self) -> bool {
        let db = self.db.clone();
        match self.calls.ask(async move { read::head(&db).await }).await {
            Ok((frontier, _)) => {
                let moved = frontier.size() > *self.watched.borrow();
                raise(&self.watched, frontier.size());
                moved
            }
            Err(DbError::Mongo(error)) => {
                tracing::debug!(code = code(&error), "the head cannot be polled");
                false
            }
            Err(DbError::Silent) => {
                tracing::debug!("the head cannot be polled: no answer");
                false
            }
            Err(DbError::Store(error)) => {
                tracing::error!(%error, "the head cannot be read");
                false
            }
        }
    }

    async fn listen(&self) {
        while !self.closing.is_cancelled() {
            let db = self.db.clone();
            match self.calls.ask(async move { open(&db).await }).await {
                Ok(changes) => self.follow(changes).await,
                Err(error) => {
                    tracing::warn!(error = %StoreError::from(error), "there is no change stream; the log is polled");
                }
            }
            self.deaf.notify_one();
            drop(timeout(POLL.1, self.closing.cancelled()).await);
        }
    }

    /// Follows a stream as long as it works.
    async fn follow(&self, mut changes: Changes) {
        while !self.closing.is_cancelled() {
            let asked = Instant::now();
            let next = self.calls.within(async move {
                let next = changes.next_if_any().await;
                (changes, next)
            });
            let Some((kept, next)) = next.await else {
                tracing::warn!(
                    "the change stream of the log does not answer; the log is polled meanwhile"
                );
                return;
            };
            changes = kept;
            match next {
                Ok(Some(event)) => {
                    if let Some(position) = position_of(event) {
                        raise(&self.watched, position);
                    }
                }
                Ok(None) if !changes.is_alive() => return,
                // Without this pause, a server that does not hold the request would be queried in a
                // tight loop.
                Ok(None) if asked.elapsed() < AWAIT / 10 => {
                    drop(timeout(AWAIT / 5, self.closing.cancelled()).await);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(
                        code = code(&error),
                        "the change stream of the log failed; the log is polled meanwhile"
                    );
                    return;
                }
            }
        }
    }
}

async fn open(db: &Database) -> Result<Changes, mongodb::error::Error> {
    let only_head = [doc! { "$match": { "documentKey._id": HEAD_ID } }];
    let heads = db.collection::<Document>(HEAD);
    heads
        .watch()
        .pipeline(only_head)
        .max_await_time(AWAIT)
        .read_concern(ReadConcern::majority())
        .await
}

/// The position in a change of the head.
fn position_of(event: ChangeStreamEvent<Document>) -> Option<u64> {
    Cells::new(HEAD, event.update_description?.updated_fields).u64("position").ok()
}
