//! The feed of one run: combines store reads with live hints, and passes them through the pure
//! function that orders them.

use super::EventHub;
use super::run_hub::{RunHub, RunListener};
use crate::reads::{RunReader, StoreReads, feed_failure};
use claviger_application::{Answer, EventView, RunFeeds, RunMessages};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_projections::feed::{Registration, Topic};
use claviger_projections::run_feed::{Batch, FeedCursor, FeedMessage, Outbox, RunFeed};
use futures::StreamExt as _;
use futures::stream::unfold;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Messages that wait for a slow reader, and bytes of one piece of text: the store keeps the rest.
const WAITING: (usize, usize) = (64, 64 * 1024);

/// How often the store is polled for the text of a run that another process writes: this process's
/// hub doesn't publish it.
const LOOK: Duration = Duration::from_millis(150);

/// The shortest and the longest pause between reads while the store is unavailable.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct LiveRuns {
    /// Reads the log and opens its events.
    pub reads: Arc<StoreReads>,
    pub hub: Arc<EventHub>,
    pub runs: Arc<RunHub>,
}

impl RunFeeds for LiveRuns {
    fn follow(
        &self,
        user: UserId,
        run: RunId,
        after: Option<FeedCursor>,
    ) -> Answer<'_, Option<RunMessages>> {
        Box::pin(async move {
            let Some(reader) = self.reads.reader_of(user, run).await? else { return Ok(None) };
            // Boxed: an unfolded stream holds its state twice.
            let mut following = Box::new(Following {
                // Before anything is read, so that the hub reports what is committed meanwhile.
                events: self.hub.register(Topic::Run(run)),
                text: self.runs.listen(run),
                runs: Arc::clone(&self.runs),
                run,
                reader,
                feed: RunFeed::new(after),
                outbox: Outbox::new(WAITING.0, WAITING.1),
                is_behind: true,
            });
            // An invalid cursor is refused before the stream begins.
            while following.is_behind && following.outbox.is_empty() {
                following.read().await?;
            }
            let messages = unfold(Some(following), |following| async {
                let mut following = following?;
                match following.step().await {
                    Ok(Some(message)) => Some((Ok(message), Some(following))),
                    Ok(None) => None,
                    Err(failure) => Some((Err(failure), None)),
                }
            });
            Ok(Some(RunMessages { messages: messages.boxed() }))
        })
    }
}

struct Following {
    events: Registration<Arc<EventView>>,
    text: RunListener,
    runs: Arc<RunHub>,
    run: RunId,
    reader: RunReader,
    feed: RunFeed,
    outbox: Outbox,
    /// The store may hold messages that the feed hasn't read.
    is_behind: bool,
}

impl Following {
    /// The next message; `None` after the run's end. Nothing is read ahead of the consumer.
    async fn step(&mut self) -> Result<Option<FeedMessage>, Failure> {
        loop {
            if let Some(message) = self.outbox.pop() {
                return Ok(Some(message));
            }
            if self.feed.is_done() {
                return Ok(None);
            }
            if self.is_behind {
                self.read_patiently().await?;
            } else {
                self.wait().await?;
            }
        }
    }

    async fn read_patiently(&mut self) -> Result<(), Failure> {
        let mut pause = PAUSE.0;
        loop {
            match self.read().await {
                Err(failure) if failure.code == ErrorCode::StoreUnavailable => sleep(pause).await,
                answered => return answered,
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    async fn read(&mut self) -> Result<(), Failure> {
        let batch = self.reader.batch(&self.feed).await?;
        let is_end = batch.events_end && batch.rows_end;
        self.take(batch)?;
        self.is_behind = !self.feed.is_done() && (!is_end || self.feed.needs_rows());
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), Failure> {
        let is_foreign =
            !self.runs.owns(self.run) && self.feed.fold().run().running().next().is_some();
        tokio::select! {
            _ = self.events.told() => self.is_behind = true,
            row = self.text.told() => match row {
                Some(row) => self.take(Batch { rows: vec![(*row).clone()], ..Batch::default() })?,
                None => self.is_behind = true,
            },
            () = sleep(LOOK), if is_foreign => self.is_behind = true,
        }
        Ok(())
    }

    fn take(&mut self, batch: Batch) -> Result<(), Failure> {
        let (newest, rows) = (self.feed.rows_after(), batch.rows.last().map(|row| (row.v, row.d)));
        for message in self.feed.take(batch).map_err(|error| feed_failure(&error))? {
            self.outbox.push(message);
        }
        // A row that isn't the next one shows that some were missed.
        self.is_behind |= rows.is_some_and(|row| row > newest && self.feed.rows_after() < row);
        Ok(())
    }
}
