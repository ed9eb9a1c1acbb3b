//! Wake-ups: a change stream on the head, and a poll beside it in case it says nothing. Both only wake: truth is what is read.

use super::cells::Cells;
use super::error::{DbError, code};
use super::read;
use super::schema::{HEAD, HEAD_ID};
use mongodb::Database;
use mongodb::bson::{Document, doc};
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::ChangeStreamEvent;
use mongodb::options::ReadConcern;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// The shortest and the longest time between two polls.
const POLL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// How long the server holds a question for changes. A driver's future is never dropped half-way, so closing waits for it.
const AWAIT: Duration = Duration::from_millis(500);

/// Raises the position watched; never lowers it.
pub(super) fn raise(watched: &watch::Sender<u64>, position: u64) {
    watched.send_if_modified(|known| {
        let is_news = position > *known;
        if is_news {
            *known = position;
        }
        is_news
    });
}

/// Follows the head until the store closes.
pub(super) async fn follow(db: Database, watched: watch::Sender<u64>, closing: CancellationToken) {
    let mut changes = open(&db).await;
    let mut poll = POLL.0;
    let mut polled = Instant::now();
    while !closing.is_cancelled() {
        if let Some(stream) = &mut changes {
            if !listen(stream, &watched, &closing).await {
                (changes, poll) = (None, POLL.0);
            }
        } else {
            // Nothing wakes but the poll.
            drop(timeout(poll, closing.cancelled()).await);
        }
        if polled.elapsed() >= poll {
            poll = if look(&db, &watched).await { POLL.0 } else { (poll * 2).min(POLL.1) };
            polled = Instant::now();
            if changes.is_none() && poll == POLL.1 {
                changes = open(&db).await;
            }
        }
    }
}

/// Waits for one change, not for long; `false` if the stream is no use any more.
async fn listen(
    stream: &mut ChangeStream<ChangeStreamEvent<Document>>,
    watched: &watch::Sender<u64>,
    closing: &CancellationToken,
) -> bool {
    let asked = Instant::now();
    match stream.next_if_any().await {
        Ok(Some(event)) => {
            if let Some(position) = position_of(event) {
                raise(watched, position);
            }
            true
        }
        Ok(None) => {
            // A server that doesn't hold the question would be asked without end.
            if asked.elapsed() < AWAIT / 10 {
                drop(timeout(AWAIT / 5, closing.cancelled()).await);
            }
            stream.is_alive()
        }
        Err(error) => {
            tracing::warn!(code = code(&error), "the change stream of the log failed; the log is polled meanwhile");
            false
        }
    }
}

/// Looks where the head is; `true` if it has moved unnoticed.
async fn look(db: &Database, watched: &watch::Sender<u64>) -> bool {
    match read::head(db).await {
        Ok((frontier, _)) => {
            let moved = frontier.size() > *watched.borrow();
            raise(watched, frontier.size());
            moved
        }
        Err(DbError::Mongo(error)) => {
            tracing::debug!(code = code(&error), "the head can't be polled");
            false
        }
        Err(DbError::Store(error)) => {
            tracing::error!(%error, "the head can't be read");
            false
        }
    }
}

async fn open(db: &Database) -> Option<ChangeStream<ChangeStreamEvent<Document>>> {
    let only_head = [doc! { "$match": { "documentKey._id": HEAD_ID } }];
    let heads = db.collection::<Document>(HEAD);
    let opened = heads.watch().pipeline(only_head).max_await_time(AWAIT).read_concern(ReadConcern::majority()).await;
    opened.inspect_err(|error| tracing::warn!(code = code(error), "there is no change stream; the log is polled")).ok()
}

/// The position a change tells of.
fn position_of(event: ChangeStreamEvent<Document>) -> Option<u64> {
    Cells::new(HEAD, event.update_description?.updated_fields).u64("position").ok()
}
