//! The text that waits to be flushed, and the outcome of flushes. Does no IO.

use crate::ports::{DeltaPlace, DeltaRow};
use crate::run_feed::{DeltaItem, OpenedDeltas};
use claviger_domain::id::{RunId, UserId};
use claviger_domain::timestamp::Timestamp;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Approximate bytes of text in one row of a run; the rest goes into the next flush.
const ROW_BYTES: usize = 256 << 10;

/// Why a run's text is no longer persisted. The caller must reload the run or leave it alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlushFailure {
    /// Another process has written rows in this run's place: this process no longer owns it.
    #[error("another process writes for this run")]
    Lost,
    /// The text cannot be sealed because its keys have been destroyed.
    #[error("the text cannot be sealed")]
    Unsealed,
    /// The store is closed or refuses permanently.
    #[error("the store accepts no more text")]
    Store,
    /// The run is unknown, or its gate is closed already: a fault of the caller.
    #[error("the run's gate is not open")]
    NotOpen,
}

/// Seals the text of one run.
pub trait SealText: Send + Sync {
    /// The box for a row. Called once per row: its bytes are kept until they are durable.
    ///
    /// # Errors
    /// [`FlushFailure::Unsealed`].
    fn seal(&self, place: DeltaPlace, json: &[u8]) -> Result<Vec<u8>, FlushFailure>;
}

/// A durable row, which may be sent to subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// The run that the row belongs to.
    pub run: RunId,
    /// The row, with its text in clear.
    pub row: OpenedDeltas,
}

/// Is notified when rows become durable. Called by the flusher, so it must not block.
pub trait FlushListener: Send + Sync {
    /// A row has become durable.
    fn flushed(&self, flushed: Flushed);

    /// A run's text is no longer persisted.
    fn failed(&self, run: RunId, failure: FlushFailure);
}

/// A run that this process owns.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a trait object")]
pub struct RunOwner {
    /// Id of the run.
    pub run: RunId,
    /// The user who owns the run.
    pub owner: UserId,
    /// Version of the run's last event.
    pub v: u64,
    /// Seals the run's text.
    pub seal: Arc<dyn SealText>,
}

/// Reply channel for the number of durable rows since the previous event.
type Counted = oneshot::Sender<Result<u64, FlushFailure>>;

enum Gate {
    Open,
    /// Closes when everything written before is durable.
    Closing(Counted),
    Closed,
}

/// A piece of text, with the memory that it holds until it is durable or dropped.
struct Piece {
    item: DeltaItem,
    room: OwnedSemaphorePermit,
}

struct Entry {
    of: RunOwner,
    /// Number of rows durable after event `of.v`.
    d: u64,
    ready: Vec<Piece>,
    /// Written after the gate was closed.
    held: Vec<Piece>,
    gate: Gate,
}

/// Rows that are being flushed, with their content.
pub(super) struct Flight {
    pub(super) rows: Vec<DeltaRow>,
    opened: Vec<Flushed>,
    /// Released when the flush has completed.
    room: Vec<OwnedSemaphorePermit>,
}

/// All runs of the flusher.
#[derive(Default)]
pub(super) struct Book {
    runs: BTreeMap<RunId, Entry>,
    failures: Vec<(RunId, FlushFailure)>,
}

impl Book {
    pub(super) fn begin(&mut self, of: RunOwner) {
        let entry = Entry { d: 0, ready: Vec::new(), held: Vec::new(), gate: Gate::Open, of };
        self.runs.insert(entry.of.run, entry);
    }

    /// Text of an unknown run is dropped: a process that has lost a run learns that from its next
    /// request.
    pub(super) fn write(&mut self, run: RunId, item: DeltaItem, room: OwnedSemaphorePermit) {
        if let Some(entry) = self.runs.get_mut(&run) {
            let waiting =
                if matches!(entry.gate, Gate::Open) { &mut entry.ready } else { &mut entry.held };
            add(waiting, Piece { item, room });
        }
    }

    pub(super) fn close(&mut self, run: RunId, reply: Counted) {
        match self.runs.get_mut(&run) {
            Some(entry) if matches!(entry.gate, Gate::Open) => entry.gate = Gate::Closing(reply),
            Some(_) | None => drop(reply.send(Err(FlushFailure::NotOpen))),
        }
    }

    /// The append has completed. If the version is unchanged, nothing was appended, and the row
    /// count continues.
    pub(super) fn open(&mut self, run: RunId, v: u64) {
        if let Some(entry) = self.runs.get_mut(&run)
            && matches!(entry.gate, Gate::Closed)
        {
            if entry.of.v != v {
                entry.of.v = v;
                entry.d = 0;
            }
            entry.gate = Gate::Open;
            entry.ready = std::mem::take(&mut entry.held);
        }
    }

    pub(super) fn end(&mut self, run: RunId) {
        self.runs.remove(&run);
    }

    /// One sealed row for each run that has text; `None` if there is nothing to flush.
    pub(super) fn take(&mut self, at: Timestamp) -> Option<Flight> {
        let mut flight = Flight { rows: Vec::new(), opened: Vec::new(), room: Vec::new() };
        let mut unsealed = Vec::new();
        for (run, entry) in &mut self.runs {
            if entry.ready.is_empty() {
                continue;
            }
            let place = DeltaPlace { run: *run, v: entry.of.v, d: entry.d + 1 };
            let (items, room): (Vec<_>, Vec<_>) =
                one_row(&mut entry.ready).into_iter().map(|piece| (piece.item, piece.room)).unzip();
            flight.room.extend(room);
            let json = crate::run_feed::to_json(&items).map_err(|_| FlushFailure::Unsealed);
            match json.and_then(|json| entry.of.seal.seal(place, &json)) {
                Ok(sealed) => {
                    flight.rows.push(DeltaRow { place, owner: entry.of.owner, sealed, at });
                    let row = OpenedDeltas { v: place.v, d: place.d, items };
                    flight.opened.push(Flushed { run: *run, row });
                }
                Err(failure) => unsealed.push((*run, failure)),
            }
        }
        for (run, failure) in unsealed {
            self.fail(run, failure);
        }
        (!flight.rows.is_empty()).then_some(flight)
    }

    /// The flush has completed, except for rows that belong to another writer. Returns what is
    /// durable now, in order.
    pub(super) fn landed(&mut self, flight: Flight, taken: &[DeltaPlace]) -> Vec<Flushed> {
        let taken: HashSet<RunId> = taken.iter().map(|place| place.run).collect();
        let (lost, durable): (Vec<_>, Vec<_>) =
            flight.opened.into_iter().partition(|flushed| taken.contains(&flushed.run));
        for flushed in &durable {
            if let Some(entry) = self.runs.get_mut(&flushed.run) {
                entry.d = flushed.row.d;
            }
        }
        for flushed in lost {
            self.fail(flushed.run, FlushFailure::Lost);
        }
        durable
    }

    /// The store refuses these runs' rows permanently.
    pub(super) fn refused(&mut self, flight: &Flight) {
        for row in &flight.rows {
            self.fail(row.place.run, FlushFailure::Store);
        }
    }

    /// Answers the gates of runs with nothing left to flush.
    pub(super) fn answer(&mut self) {
        for entry in self.runs.values_mut().filter(|entry| entry.ready.is_empty()) {
            match std::mem::replace(&mut entry.gate, Gate::Closed) {
                Gate::Closing(reply) => drop(reply.send(Ok(entry.d))),
                gate @ (Gate::Open | Gate::Closed) => entry.gate = gate,
            }
        }
    }

    /// The runs that failed since the last call.
    pub(super) fn failures(&mut self) -> Vec<(RunId, FlushFailure)> {
        std::mem::take(&mut self.failures)
    }

    fn fail(&mut self, run: RunId, failure: FlushFailure) {
        if let Some(entry) = self.runs.remove(&run) {
            if let Gate::Closing(reply) = entry.gate {
                drop(reply.send(Err(failure.clone())));
            }
            self.failures.push((run, failure));
        }
    }
}

/// Adds a piece. Appends it to the one before if that is of the same attempt and ends where this
/// one begins.
fn add(pieces: &mut Vec<Piece>, piece: Piece) {
    let Piece { item, room } = piece;
    let last = pieces
        .last_mut()
        .filter(|last| (last.item.step, last.item.attempt) == (item.step, item.attempt));
    let fits = |last: &&mut Piece| {
        last.item.offset + last.item.text.len() as u64 == item.offset
            && last.item.text.len() < ROW_BYTES
    };
    match last.filter(fits) {
        Some(last) => {
            last.item.text.push_str(&item.text);
            last.room.merge(room);
        }
        None => pieces.push(Piece { item, room }),
    }
}

/// The first pieces, as many as fit into a row, but at least one.
fn one_row(ready: &mut Vec<Piece>) -> Vec<Piece> {
    let mut bytes = 0;
    let fits = |piece: &&Piece| {
        bytes += piece.item.text.len();
        bytes <= ROW_BYTES
    };
    let count = ready.iter().take_while(fits).count().max(1);
    let rest = ready.split_off(count.min(ready.len()));
    std::mem::replace(ready, rest)
}
