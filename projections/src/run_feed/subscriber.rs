//! One reader of a run among several in a process: takes what the process's [`SharedFeed`] has, and
//! folds the run apart for what it no longer has.

use super::cursor::FeedCursor;
use super::feed::{Batch, FeedError, RunFeed};
use super::message::{Body, FeedMessage};
use super::outbox::Outbox;
use super::shared::SharedFeed;

/// The next action of a subscriber whose outbox is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// To take messages of the shared feed.
    Shared,
    /// To read the store after these places of events and rows, in this order.
    Store((u64, (u64, u64))),
    /// Nothing: it has received the last message.
    Nothing,
}

#[derive(Debug)]
enum Place {
    /// It has everything up to here.
    At(FeedCursor),
    /// It needs messages that the shared feed no longer keeps.
    Apart(Box<RunFeed>),
    Ended,
}

/// A subscriber: a place in the feed, and the messages that it has taken.
#[derive(Debug)]
pub struct Subscriber {
    place: Place,
    outbox: Outbox,
}

impl Subscriber {
    /// A subscriber to the messages after a cursor; without it, to a snapshot and what follows. The
    /// shared feed must have everything that is stored.
    ///
    /// # Errors
    /// [`FeedError::Ahead`].
    pub fn new(
        shared: &SharedFeed,
        after: Option<FeedCursor>,
        outbox: Outbox,
    ) -> Result<Self, FeedError> {
        let feed = shared.feed();
        match after {
            Some(after) if after.v > feed.fold().run().version => Err(FeedError::Ahead),
            Some(after) => Ok(Self { place: Place::At(after), outbox }),
            None => {
                let place = if feed.is_done() { Place::Ended } else { Place::At(feed.newest()) };
                let mut subscriber = Self { place, outbox };
                shared.snapshot().into_iter().for_each(|message| subscriber.outbox.push(message));
                Ok(subscriber)
            }
        }
    }

    /// The next message that was taken.
    pub fn pop(&mut self) -> Option<FeedMessage> {
        self.outbox.pop()
    }

    /// What it needs before it can return more.
    pub fn wants(&self) -> Wants {
        match &self.place {
            Place::At(_) => Wants::Shared,
            Place::Apart(feed) => Wants::Store(feed.reading()),
            Place::Ended => Wants::Nothing,
        }
    }

    /// About how many bytes its own fold takes, and the messages that it has taken.
    pub fn bytes(&self) -> (usize, usize) {
        let apart = match &self.place {
            Place::Apart(feed) => feed.fold().bytes(),
            Place::At(_) | Place::Ended => 0,
        };
        (apart, self.outbox.bytes())
    }

    /// Takes messages of the shared feed until the outbox is full. Returns whether it took any, or
    /// wants something else now.
    pub fn take(&mut self, shared: &SharedFeed) -> bool {
        let Place::At(at) = &mut self.place else { return true };
        let Some(messages) = shared.after(*at) else {
            self.place = Place::Apart(Box::new(RunFeed::new(Some(*at))));
            return true;
        };
        let mut is_last = false;
        for message in messages {
            if self.outbox.is_full() {
                return true;
            }
            *at = message.cursor;
            is_last = matches!(message.body, Body::Terminal(_));
            self.outbox.push(message.clone());
        }
        let has_any = !self.outbox.is_empty();
        if is_last || (shared.feed().is_done() && !has_any) {
            self.place = Place::Ended;
        }
        has_any || matches!(self.place, Place::Ended)
    }

    /// Folds what was read for [`Wants::Store`].
    ///
    /// # Errors
    /// As of [`RunFeed::take`].
    pub fn fold(&mut self, batch: Batch) -> Result<(), FeedError> {
        let Place::Apart(feed) = &mut self.place else { return Ok(()) };
        let is_end = batch.events_end && batch.rows_end;
        feed.take(batch)?.into_iter().for_each(|message| self.outbox.push(message));
        if feed.is_done() {
            self.place = Place::Ended;
        } else if is_end && !feed.needs_rows() {
            // It has everything up to here, whatever cursors the merged pieces have.
            self.place = Place::At(feed.newest());
        }
        Ok(())
    }
}
