//! The feed of one run for all its readers in a process: one fold, and the last messages.

use super::cursor::FeedCursor;
use super::feed::{Batch, FeedError, RunFeed};
use super::message::{Body, FeedMessage};
use std::collections::VecDeque;

/// One fold of a run, and the messages that came last. A reader is a cursor: it takes the messages
/// after it, which all readers share. A reader whose next message is gone folds the run apart, with
/// a [`RunFeed`] of its own, until it has caught up.
#[derive(Debug)]
pub struct SharedFeed {
    feed: RunFeed,
    messages: VecDeque<FeedMessage>,
    /// Of the messages.
    bytes: usize,
    max_bytes: usize,
    /// Every message after this was kept; `None` until the fold has reached the end of the store.
    from: Option<FeedCursor>,
}

impl SharedFeed {
    /// A feed that keeps about `max_bytes` of messages: those after `after`, or those from now on.
    pub fn new(after: Option<FeedCursor>, max_bytes: usize) -> Self {
        let (feed, messages) = (RunFeed::new(after), VecDeque::new());
        Self { feed, messages, bytes: 0, max_bytes, from: after }
    }

    /// The fold, and what must be read for it.
    pub const fn feed(&self) -> &RunFeed {
        &self.feed
    }

    /// About how many bytes the fold and the messages take.
    pub fn bytes(&self) -> usize {
        self.feed.fold().bytes() + self.bytes
    }

    /// Folds a batch. The messages of the last batch are always kept, so that a reader who is on
    /// time misses none.
    ///
    /// # Errors
    /// [`FeedError::OutOfOrder`].
    pub fn take(&mut self, batch: Batch) -> Result<(), FeedError> {
        self.forget();
        let said = match self.feed.take(batch) {
            Ok(said) => said,
            // The cursor of one reader, who is told apart.
            Err(FeedError::Ahead) => self.feed.begin(),
            Err(error @ FeedError::OutOfOrder { .. }) => return Err(error),
        };
        for message in said {
            if matches!(message.body, Body::Snapshot { .. }) {
                self.from = Some(message.cursor);
            } else {
                self.bytes += message.bytes();
                self.messages.push_back(message);
            }
        }
        Ok(())
    }

    /// The messages for a reader without a cursor: the current state, and the end if it has come.
    /// The reader goes on after the last of them, or after the run's newest position.
    pub fn snapshot(&self) -> Vec<FeedMessage> {
        self.feed.snapshot()
    }

    /// The messages after a cursor, as far as they have come; `None` if some of them are gone.
    pub fn after(&self, cursor: FeedCursor) -> Option<impl Iterator<Item = &FeedMessage>> {
        self.from.filter(|from| cursor >= *from)?;
        let known = self.messages.partition_point(|message| message.cursor <= cursor);
        Some(self.messages.range(known..))
    }

    /// Drops the oldest messages that are more than it should keep.
    fn forget(&mut self) {
        while self.bytes > self.max_bytes
            && let Some(oldest) = self.messages.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
            self.from = Some(oldest.cursor);
        }
    }
}
