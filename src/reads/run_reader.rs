//! Reads a run from the store: its events, opened and decoded, and its rows of text. Feeds, detail
//! queries and the takeover of a run are built on it.

use crate::keychain::{Keychain, decode, open_event};
use crate::system::failure::{store_failure, vault_failure};
use claviger_domain::failure::Failure;
use claviger_domain::id::{CorrelationId, EventId, RunId, UserId};
use claviger_domain::orchestration::RunEvent;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{ContentKeyRow, DeltaRow, Store, StoredEvent};
use claviger_projections::run_feed::{
    Batch, FeedError, OpenedDeltas, RunFeed, RunRecord, from_json,
};
use claviger_projections::runs::RunSummary;
use claviger_vault::{ContentKey, DeltaAd, open_delta};
use std::sync::Arc;

/// About how many bytes of events, and of rows, are read at a time.
const BYTES: usize = 256 * 1024;

/// The events, and the rows of text, of a read: at first, and at most.
const EVENTS: (usize, usize) = (8, 64);
const ROWS: (usize, usize) = (32, 256);

/// How much is read at a time. The store counts rows, and what counts is bytes: the size of those
/// that came decides how many are asked for next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    events: usize,
    rows: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { events: EVENTS.0, rows: ROWS.0 }
    }
}

/// How many of a kind fit into a read, by the size of those that came.
pub(crate) fn fitting(found: usize, bytes: usize, most: usize) -> usize {
    bytes.checked_div(found).map_or(most, |each| (BYTES / each.max(1)).clamp(1, most))
}

/// A run, and the request it came from.
pub(crate) struct Loaded {
    pub(crate) feed: RunFeed,
    pub(crate) summary: Option<RunSummary>,
    /// Links later events to the request.
    pub(crate) correlation: CorrelationId,
    /// The event that requested the run.
    pub(crate) requested: EventId,
}

#[derive(Clone)]
pub(crate) struct RunReader {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keychain: Arc<Keychain>,
    pub(crate) owner: UserId,
    pub(crate) run: RunId,
}

impl RunReader {
    /// The events and rows after those the feed already has ([`RunFeed::reading`]). Keys are opened
    /// for this read alone, so that nothing can be read after an erasure.
    pub(crate) async fn batch(
        &self,
        after: (u64, (u64, u64)),
        pace: &mut Pace,
    ) -> Result<Batch, Failure> {
        let key = self.key().await?;
        self.batch_under(after, key.as_ref(), pace).await
    }

    /// Whether there are rows after a place.
    pub(crate) async fn has_rows(&self, after: (u64, u64)) -> Result<bool, Failure> {
        let rows = self.store.deltas(self.run, after, 1).await;
        rows.map(|rows| !rows.is_empty()).map_err(|error| store_failure(&error))
    }

    async fn batch_under(
        &self,
        (events_after, rows_after): (u64, (u64, u64)),
        key: Option<&ContentKey>,
        pace: &mut Pace,
    ) -> Result<Batch, Failure> {
        let failed = |error| store_failure(&error);
        let stream = StreamName::Run(self.run.0);
        // Events first: a row that is missing afterwards is gone for good.
        let stored =
            self.store.read_stream(stream, events_after, pace.events).await.map_err(failed)?;
        let rows = self.store.deltas(self.run, rows_after, pace.rows).await.map_err(failed)?;
        let (events_end, rows_end) = (stored.len() < pace.events, rows.len() < pace.rows);
        let bytes = stored.iter().map(|event| event.content.iter().map(Vec::len).sum::<usize>());
        pace.events = fitting(stored.len(), bytes.sum(), EVENTS.1);
        pace.rows = fitting(rows.len(), rows.iter().map(|row| row.sealed.len()).sum(), ROWS.1);
        let events =
            stored.into_iter().map(|event| record(event, key)).collect::<Result<_, _>>()?;
        // Rows of an erased user count as gone.
        let rows = match key {
            Some(key) => rows.iter().map(|row| self.opened(row, key)).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        Ok(Batch { events, rows, events_end, rows_end })
    }

    /// The run, folded up to the end of its stored events.
    pub(crate) async fn whole(&self) -> Result<RunFeed, Failure> {
        let key = self.key().await?;
        Ok(self.loaded(key.as_ref()).await?.feed)
    }

    /// The same with a key that is already open, and with what the run's next owner needs.
    pub(crate) async fn loaded(&self, key: Option<&ContentKey>) -> Result<Loaded, Failure> {
        let mut feed = RunFeed::new(None);
        let (mut summary, mut first) = (None, None);
        let mut pace = Pace::default();
        loop {
            let batch = self.batch_under(feed.reading(), key, &mut pace).await?;
            let is_end = batch.events_end && batch.rows_end;
            for record in &batch.events {
                let envelope = &record.stored.envelope;
                first = first.or(Some((envelope.correlation_id, envelope.id)));
                summary = RunSummary::after(summary, &record.event, envelope.at);
            }
            feed.take(batch).map_err(|error| feed_failure(&error))?;
            if is_end && !feed.needs_rows() {
                let (correlation, requested) =
                    first.ok_or_else(|| Failure::not_found("orchestration"))?;
                return Ok(Loaded { feed, summary, correlation, requested });
            }
        }
    }

    /// The content key of the run's stream; `None` once erased.
    pub(crate) async fn key(&self) -> Result<Option<ContentKey>, Failure> {
        match self.keychain.user(self.owner).await? {
            Some(keys) => self.keychain.content_key(&keys, StreamName::Run(self.run.0)).await,
            None => Ok(None),
        }
    }

    /// That key's row, still wrapped.
    pub(crate) async fn key_row(&self) -> Result<Option<ContentKeyRow>, Failure> {
        self.store
            .content_key(StreamName::Run(self.run.0))
            .await
            .map_err(|error| store_failure(&error))
    }

    fn opened(&self, row: &DeltaRow, key: &ContentKey) -> Result<OpenedDeltas, Failure> {
        let ad = DeltaAd {
            owner: row.owner,
            stream: StreamName::Run(self.run.0),
            v: row.place.v,
            d: row.place.d,
        };
        let json = open_delta(key, &ad, &row.sealed).map_err(|error| vault_failure(&error))?;
        let items = from_json(&json).map_err(|_| {
            tracing::error!(run = %self.run, v = row.place.v, d = row.place.d, "cannot read a row of text");
            Failure::internal()
        })?;
        Ok(OpenedDeltas { v: row.place.v, d: row.place.d, items })
    }
}

fn record(stored: StoredEvent, key: Option<&ContentKey>) -> Result<Arc<RunRecord>, Failure> {
    let content = open_event(&stored, key)?;
    let event: RunEvent = decode(&stored, content.as_ref().map(|content| content.as_slice()))?;
    Ok(Arc::new(RunRecord { stored, event }))
}

/// How a feed's error appears to clients.
pub(crate) fn feed_failure(error: &FeedError) -> Failure {
    use claviger_domain::code::ErrorCode;
    match error {
        FeedError::Ahead => Failure::new(
            ErrorCode::CursorInvalid,
            "the cursor's message does not exist in this orchestration: use a cursor of its feed, \
             or leave it out",
        ),
        FeedError::OutOfOrder { expected } => {
            tracing::error!(expected, "an event of a run is missing from a read");
            Failure::internal()
        }
    }
}
