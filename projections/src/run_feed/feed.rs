//! The order of events and rows, and what of it a reader has not had yet.

use super::cursor::FeedCursor;
use super::fold::RunFold;
use super::message::{Body, FeedMessage, RunRecord};
use super::text::OpenedDeltas;
use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

/// What was read. Rows are read after the events.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Events after [`RunFeed::events_after`], in order. What is known already does no harm.
    pub events: Vec<Arc<RunRecord>>,
    /// Rows after [`RunFeed::rows_after`], ordered by (v, d). What is known already does no harm.
    pub rows: Vec<OpenedDeltas>,
    /// The store had no more events.
    pub events_end: bool,
    /// The store had no more rows, and was asked after these events were read.
    pub rows_end: bool,
}

/// Why a feed can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// An event is missing in what was handed over: read the store again.
    #[error("the event with version {expected} should come next")]
    OutOfOrder {
        /// Its version.
        expected: u64,
    },
    /// The cursor is no place in this run: leave it out to begin with a snapshot.
    #[error("the cursor lies behind the end of the run's events")]
    Ahead,
}

/// The feed of one run for one reader.
#[derive(Debug)]
pub struct RunFeed {
    fold: RunFold,
    /// What the reader has; `None` until it has its snapshot.
    after: Option<FeedCursor>,
    /// The newest message folded that is not the last of all.
    newest: FeedCursor,
    /// Rows held after the event folded last.
    held: u64,
    /// Events that wait for rows.
    waiting: VecDeque<Arc<RunRecord>>,
    /// The reader was told of missing rows, and none came since.
    is_gap_said: bool,
    is_done: bool,
}

impl RunFeed {
    /// A feed that follows `after`; without it one that begins with a snapshot. It is folded from the run's beginning either way.
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

    /// Version after which events are to be read.
    pub fn events_after(&self) -> u64 {
        self.waiting.back().map_or(self.fold.run().version, |event| event.version())
    }

    /// Place (v, d) after which rows are to be read.
    pub fn rows_after(&self) -> (u64, u64) {
        (self.fold.run().version, self.held)
    }

    /// An event waits for rows: the store is to be read before anybody waits for a hint.
    pub fn needs_rows(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The run has ended and everything was said.
    pub const fn is_done(&self) -> bool {
        self.is_done
    }

    /// What is folded so far: the run, its partial texts.
    pub const fn fold(&self) -> &RunFold {
        &self.fold
    }

    /// The newest place contained in [`RunFeed::fold`]; never that of the end itself, so that whoever subscribes after it is told of it.
    pub const fn newest(&self) -> FeedCursor {
        self.newest
    }

    /// Takes in what was read; what the reader is to be told now.
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
            // Rows of a later event are there, or no rows at all: those that should come before the next event won't come any more.
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

    /// Takes the rows after the event folded last, as far as they are valid and none is missing.
    fn take_rows(
        &mut self,
        rows: &mut Peekable<IntoIter<OpenedDeltas>>,
        said: &mut Vec<FeedMessage>,
    ) {
        let version = self.fold.run().version;
        // Beyond what the next event counts lies what a stopped owner wrote. Before that event is known nobody can tell.
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

    /// Rows up to `last` are missing, all or some. Text behind a missing row has no place: all of them count as gone.
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

    /// Takes the next event.
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

    /// The snapshot, and the end if the run has ended. Nothing was said before.
    fn begin(&mut self) -> Vec<FeedMessage> {
        self.after = Some(self.newest);
        let view = Box::new(self.fold.view().clone());
        let snapshot = Body::Snapshot { view: view.clone(), partial: self.fold.partial() };
        let mut said = vec![FeedMessage { cursor: self.newest, body: snapshot }];
        if self.is_done {
            let cursor = FeedCursor { i: self.newest.i + 1, ..self.newest };
            said.push(FeedMessage { cursor, body: Body::Terminal(view) });
        }
        said
    }
}
