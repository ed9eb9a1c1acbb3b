//! Appends the events of a run that this process works on. No other code appends to such a run.

use super::credentials::Standing;
use super::parts::Shared;
use crate::keychain::seal_events;
use crate::views::RunRows;
use claviger_domain::actor::Actor;

use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{CommandId, CorrelationId, EventId, RunId, UserId};
use claviger_domain::orchestration::RunEvent;
use claviger_domain::stream::StreamName;
use claviger_projections::flusher::{FlushFailure, RunOwner, SealText};
use claviger_projections::ports::{
    Append, AppendError, Appended, ContentKeyRow, DeltaPlace, Expected, NewEvent, Reliance,
    RowChange, StoreError,
};
use claviger_projections::runs::RunSummary;
use claviger_vault::{ContentKey, DeltaAd, seal_delta};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Shortest and longest pause before an append is retried while the store is unavailable.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Why this process can append nothing more to a run. The next scan of the open runs finds it
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Lost {
    /// Another process has claimed the run.
    #[error("another process works on the run")]
    Taken,
    /// The run's owner was erased.
    #[error("the run's owner is gone")]
    Erased,
    /// The store refuses the append, or the run's events can't be read or sealed.
    #[error("the run's events can't be read or appended")]
    Unwritable,
    /// The store can't be read now.
    #[error("the store is unavailable")]
    Unavailable,
}

/// The outcome of an append.
pub(super) enum Written {
    /// The events are durable.
    Durable,
    /// The key that calls were decided on has changed or expired. Nothing was appended: these are
    /// the events.
    Outdated(Vec<RunEvent>),
}

/// Appends to one run.
pub(super) struct Journal {
    shared: Arc<Shared>,
    run: RunId,
    owner: UserId,
    key: Arc<ContentKey>,
    /// The key's row as it was last read. Every append writes it back unchanged, so it is refused
    /// once the owner was erased.
    key_row: ContentKeyRow,
    correlation: CorrelationId,
    requested: EventId,
    summary: Option<RunSummary>,
    version: u64,
    /// Rows of text after the last event, counted when the run was loaded; `None` once this process
    /// writes them.
    counted: Option<u64>,
}

/// Where a run is in the log when this process starts to work on it.
pub(super) struct Origin {
    pub(super) run: RunId,
    pub(super) owner: UserId,
    pub(super) key: ContentKey,
    pub(super) key_row: ContentKeyRow,
    /// Of the request: all events of the run have it.
    pub(super) correlation: CorrelationId,
    /// The event that requested the run, which causes all others.
    pub(super) requested: EventId,
    pub(super) summary: Option<RunSummary>,
    pub(super) version: u64,
    pub(super) rows: u64,
}

impl Journal {
    pub(super) fn new(shared: Arc<Shared>, origin: Origin) -> Self {
        let Origin { run, owner, key, key_row, correlation, requested, summary, version, rows } =
            origin;
        Self {
            shared,
            run,
            owner,
            key: Arc::new(key),
            key_row,
            correlation,
            requested,
            summary,
            version,
            counted: Some(rows),
        }
    }

    /// Appends, and returns when the events are durable. All text written before is durable then
    /// too, and counted by the first event. Events that announce calls have the standing of their
    /// key: once that is over, they are not appended, however long the store kept them waiting.
    ///
    /// # Errors
    /// [`Lost`]: this process must leave the run. To its knowledge, nothing was appended.
    pub(super) async fn append(
        &mut self,
        mut events: Vec<RunEvent>,
        standing: Option<Standing>,
    ) -> Result<Written, Lost> {
        let rows = match self.counted {
            Some(rows) => rows,
            None => {
                self.shared.flush.close(self.run).await.map_err(|failure| lost_text(&failure))?
            }
        };
        if let Some(first) = events.first_mut() {
            first.set_prev_d(rows);
        }
        let stream = StreamName::Run(self.run.0);
        let sealed =
            seal_events(&events, &self.key, (self.owner, stream, self.version), self.shared.env());
        let sealed = sealed.map_err(|_| Lost::Unwritable)?;
        let Some(appended) = self.append_patiently(&events, sealed, standing).await? else {
            if self.counted.is_none() {
                self.shared.flush.open(self.run, self.version);
            }
            return Ok(Written::Outdated(events));
        };
        for (event, placed) in events.iter().zip(&appended.placed) {
            self.summary = RunSummary::after(self.summary.take(), event, placed.at);
        }
        self.version = appended.version;
        self.open_for_text();
        Ok(Written::Durable)
    }

    /// `None` once the standing is over.
    async fn append_patiently(
        &mut self,
        events: &[RunEvent],
        sealed: Vec<NewEvent>,
        standing: Option<Standing>,
    ) -> Result<Option<Appended>, Lost> {
        let mut pause = PAUSE.0;
        loop {
            let append = self.append_of(events.to_vec(), sealed.clone());
            if standing.is_some_and(|standing| standing.is_over(append.at)) {
                return Ok(None);
            }
            let relies_on = standing.map(Standing::reliance).unwrap_or_default();
            match self.shared.parts.bus.append(Append { relies_on, ..append }).await {
                Ok(appended) => return Ok(Some(appended)),
                Err(AppendError::Unmet(_)) => return Ok(None),
                Err(AppendError::Conflict { .. }) => return Err(Lost::Taken),
                // An erasure or a rotation was committed meanwhile. Content sealed under an
                // erased user's key could never be opened.
                Err(AppendError::UserKeyMoved { .. }) => self.read_key_row().await?,
                // Nothing was appended. A process that can't read these events yet will be upgraded
                // or stopped, and the replies that were paid for wait for that.
                Err(
                    AppendError::Store(StoreError::Unavailable(_))
                    | AppendError::NotReadByAll { .. },
                ) => sleep(pause).await,
                Err(error) => {
                    tracing::error!(run = %self.run, %error, "a run's events can't be appended");
                    return Err(Lost::Unwritable);
                }
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    async fn read_key_row(&mut self) -> Result<(), Lost> {
        match self.shared.store().content_key(StreamName::Run(self.run.0)).await {
            Ok(Some(row)) => self.key_row = row,
            Ok(None) => return Err(Lost::Erased),
            // The next refusal reads it again.
            Err(error) => tracing::debug!(run = %self.run, %error, "a run's key can't be read now"),
        }
        Ok(())
    }

    fn append_of(&self, events: Vec<RunEvent>, sealed: Vec<NewEvent>) -> Append {
        let env = self.shared.env();
        let rows = RunRows {
            before: self.summary.clone(),
            events,
            owner: self.owner,
            key: Arc::clone(&self.key),
            env: env.clone(),
        };
        Append {
            stream: StreamName::Run(self.run.0),
            owner: Some(self.owner),
            expected: Expected::Exact(self.version),
            relies_on: Reliance::default(),
            events: sealed,
            at: env.clock.now(),
            actor: Actor::ENGINE,
            command_id: CommandId(env.ids.next().into_bytes()),
            correlation_id: self.correlation,
            causation_id: Some(self.requested),
            rows: vec![RowChange::PutContentKey(self.key_row.clone())],
            claims: Vec::new(),
            inline: Some(Arc::new(rows)),
            record: None,
        }
    }

    /// Opens the run for text after its current last event.
    fn open_for_text(&mut self) {
        if self.counted.take().is_none() {
            return self.shared.flush.open(self.run, self.version);
        }
        let seal = Seal {
            key: Arc::clone(&self.key),
            shared: Arc::clone(&self.shared),
            owner: self.owner,
        };
        self.shared.parts.runs.own(self.run, true);
        self.shared.flush.begin(RunOwner {
            run: self.run,
            owner: self.owner,
            v: self.version,
            seal: Arc::new(seal),
        });
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if self.counted.is_none() {
            self.shared.flush.end(self.run);
            self.shared.parts.runs.own(self.run, false);
        }
    }
}

fn lost_text(failure: &FlushFailure) -> Lost {
    match failure {
        FlushFailure::Lost | FlushFailure::NotOpen => Lost::Taken,
        FlushFailure::Unsealed | FlushFailure::Store => Lost::Unwritable,
    }
}

/// Seals a run's text. Holds the key while this process works on the run.
struct Seal {
    key: Arc<ContentKey>,
    shared: Arc<Shared>,
    owner: UserId,
}

impl SealText for Seal {
    fn seal(&self, place: DeltaPlace, json: &[u8]) -> Result<Vec<u8>, FlushFailure> {
        let ad = DeltaAd {
            owner: self.owner,
            stream: StreamName::Run(place.run.0),
            v: place.v,
            d: place.d,
        };
        seal_delta(&self.key, &ad, json, &*self.shared.env().entropy)
            .map_err(|_| FlushFailure::Unsealed)
    }
}

/// A failed read means that this process leaves the run.
pub(super) fn unreadable(failure: &Failure) -> Lost {
    if failure.code == ErrorCode::StoreUnavailable { Lost::Unavailable } else { Lost::Unwritable }
}
