//! The order of events and rows, and the part of it that a reader has not received yet.

use super::cursor::FeedCursor;
use super::fold::RunFold;
use super::message::{Body, FeedMessage, RunRecord};
use super::text::OpenedDeltas;
use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

/// The result of reading the store. Rows are read after the events.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Events after [`RunFeed::events_after`], in order. Events that are already known are ignored.
    pub events: Vec<Arc<RunRecord>>,
    /// Rows after [`RunFeed::rows_after`], ordered by (v, d). Rows that are already known are
    /// ignored.
    pub rows: Vec<OpenedDeltas>,
    /// Whether the store had no more events.
    pub events_end: bool,
    /// Whether the store had no more rows, when read after these events.
    pub rows_end: bool,
}

/// Why a feed cannot continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// An event is missing in the batch: read the store again.
    #[error("the next event must have version {expected}")]
    OutOfOrder {
        /// Version of the missing event.
        expected: u64,
    },
    /// The cursor is not a position in this run: omit it to begin with a snapshot.
    #[error("the cursor is after the run's last event")]
    Ahead,
}

/// The feed of one run for one reader.
#[derive(Debug)]
pub struct RunFeed {
    fold: RunFold,
    /// The reader's position; `None` until it has received its snapshot.
    after: Option<FeedCursor>,
    /// The position of the newest folded message that is not the last of all.
    newest: FeedCursor,
    /// Number of rows folded after the last folded event.
    held: u64,
    /// Events that wait for their rows.
    waiting: VecDeque<Arc<RunRecord>>,
    /// Whether the reader was notified of missing rows, and no row has arrived since.
    is_gap_said: bool,
    is_done: bool,
}

impl RunFeed {
    /// A feed of the messages after `after`. Without it, the feed begins with a snapshot. In both
    /// cases it is folded from the run's beginning.
    pub fn new(after: Option<FeedCursor>) -> Self {
        Self {
            fold: RunFold::default(),
            after,
            newest: FeedCursor::default(),
            held: 0,
            waiting: VecDeque::new(),
            is_gap_said: false,
            is_done: false,
        }
    }

    /// Version after which events must be read.
    pub fn events_after(&self) -> u64 {
        self.waiting.back().map_or(self.fold.run().version, |event| event.version())
    }

    /// Place (v, d) after which rows must be read.
    pub fn rows_after(&self) -> (u64, u64) {
        (self.fold.run().version, self.held)
    }

    /// Both places, in the order in which they must be read.
    pub fn reading(&self) -> (u64, (u64, u64)) {
        (self.events_after(), self.rows_after())
    }

    /// Whether an event waits for rows: read the store before waiting for a hint.
    pub fn needs_rows(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether the run has ended and every message was returned.
    pub const fn is_done(&self) -> bool {
        self.is_done
    }

    /// The state folded so far: the run and its partial texts.
    pub const fn fold(&self) -> &RunFold {
        &self.fold
    }

    /// The newest position included in [`RunFeed::fold`]. Never the position of the end itself, so
    /// that a client that subscribes after it receives the end.
    pub const fn newest(&self) -> FeedCursor {
        self.newest
    }

    /// Folds a batch and returns the messages for the reader.
    ///
    /// # Errors
    /// [`FeedError::OutOfOrder`]; [`FeedError::Ahead`].
    pub fn take(&mut self, batch: Batch) -> Result<Vec<FeedMessage>, FeedError> {
        let mut said = Vec::new();
        if self.is_done {
            return Ok(said);
        }
        self.queue(batch.events)?;
        let mut rows = batch.rows.into_iter().peekable();
        loop {
            self.take_rows(&mut rows, &mut said);
            // There are rows of a later event, or no more rows: the missing rows before the next
            // event will never come.
            let (is_over, prev_d) = (
                batch.rows_end || rows.peek().is_some(),
                self.waiting.front().map(|next| next.event.prev_d()),
            );
            match prev_d {
                Some(prev_d) if self.held < prev_d && is_over => self.miss(prev_d, &mut said),
                Some(prev_d) if self.held >= prev_d => self.pass(&mut said),
                Some(_) | None => break,
            }
        }
        let is_at_end = batch.events_end && self.waiting.is_empty();
        match self.after {
            None if self.is_done || (is_at_end && batch.rows_end) => said = self.begin(),
            Some(after) if is_at_end && after.v > self.fold.run().version => {
                return Err(FeedError::Ahead);
            }
            Some(_) | None => {}
        }
        Ok(said)
    }

    fn queue(&mut self, events: Vec<Arc<RunRecord>>) -> Result<(), FeedError> {
        for event in events {
            let expected = self.events_after() + 1;
            if event.version() > expected {
                return Err(FeedError::OutOfOrder { expected });
            }
            if event.version() == expected {
                self.waiting.push_back(event);
            }
        }
        Ok(())
    }

    /// Folds the rows after the last folded event, as far as they are valid and contiguous.
    fn take_rows(
        &mut self,
        rows: &mut Peekable<IntoIter<OpenedDeltas>>,
        said: &mut Vec<FeedMessage>,
    ) {
        let version = self.fold.run().version;
        // Rows beyond the number that the next event counts were written by a stopped owner. Until
        // that event is known, nobody can tell them apart.
        let valid = self.waiting.front().map_or(u64::MAX, |next| next.event.prev_d());
        while let Some(row) = rows.next_if(|row| row.v <= version) {
            let is_next = row.v == version && row.d == self.held + 1 && row.d <= valid;
            let is_missing_one = row.v == version && row.d > self.held + 1 && row.d <= valid;
            if is_missing_one && valid != u64::MAX {
                self.miss(valid, said);
            }
            if is_next {
                self.held = row.d;
                self.is_gap_said = false;
                for (i, item) in (1..).zip(row.items) {
                    if let Some(body) = self.fold.delta(&item) {
                        self.say(FeedCursor { v: row.v, d: row.d, i }, body, said);
                    }
                }
            }
        }
    }

    /// Some or all rows up to `last` are missing. Text after a missing row cannot be placed, so all
    /// of them count as lost.
    fn miss(&mut self, last: u64, said: &mut Vec<FeedMessage>) {
        self.held = last;
        let cursor = FeedCursor { v: self.fold.run().version, d: last, i: FeedCursor::GAP };
        if self.after.is_some_and(|after| cursor > after) && !self.is_gap_said {
            self.is_gap_said = true;
            self.say(cursor, Body::Gap(self.fold.finished()), said);
        } else {
            self.newest = cursor;
        }
    }

    /// Folds the next event.
    fn pass(&mut self, said: &mut Vec<FeedMessage>) {
        let Some(event) = self.waiting.pop_front() else { return };
        let bodies = self.fold.event(&event);
        self.held = 0;
        for (i, body) in (1..).zip(bodies) {
            let cursor = FeedCursor { v: event.version(), d: 0, i };
            self.is_done |= matches!(body, Body::Terminal(_));
            self.say(cursor, body, said);
        }
    }

    fn say(&mut self, cursor: FeedCursor, body: Body, said: &mut Vec<FeedMessage>) {
        if !matches!(body, Body::Terminal(_)) {
            self.newest = cursor;
        }
        if self.after.is_some_and(|after| cursor > after) {
            said.push(FeedMessage { cursor, body });
        }
    }

    /// The snapshot, and the end if the run has ended. Later messages follow it.
    pub(super) fn begin(&mut self) -> Vec<FeedMessage> {
        self.after = Some(self.newest);
        self.snapshot()
    }

    /// The messages that a feed that began now would return first.
    pub(super) fn snapshot(&self) -> Vec<FeedMessage> {
        let view = Arc::clone(self.fold.view());
        let partial = self.fold.partial();
        let snapshot = Body::Snapshot { view: Arc::clone(&view), partial };
        let mut said = vec![FeedMessage { cursor: self.newest, body: snapshot }];
        if self.is_done {
            let cursor = FeedCursor { i: self.newest.i + 1, ..self.newest };
            said.push(FeedMessage { cursor, body: Body::Terminal(view) });
        }
        said
    }
}
