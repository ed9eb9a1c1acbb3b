//! What waits to be flushed, and what became of it. Knows no IO.

use crate::ports::{DeltaPlace, DeltaRow};
use crate::run_feed::{DeltaItem, OpenedDeltas};
use claviger_domain::id::{RunId, UserId};
use claviger_domain::timestamp::Timestamp;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// About how much text goes into one row of a run; the rest goes into the next flush.
const ROW_BYTES: usize = 256 << 10;

/// Why a run's text is durable no more. The run is to be loaded anew, or left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlushFailure {
    /// Another process has written in its place: this one isn't the owner any more.
    #[error("another process writes for this run")]
    Lost,
    /// The text can't be sealed: its keys are gone.
    #[error("the text can't be sealed")]
    Unsealed,
    /// The store is closed or refuses for good.
    #[error("the store takes no more text")]
    Store,
    /// The run is not known here, or its gate is closed already: a fault of the caller.
    #[error("the run's gate isn't open")]
    NotOpen,
}

/// Seals the text of one run.
pub trait SealText: Send + Sync {
    /// The box for a row, once: its bytes are kept until they are durable.
    ///
    /// # Errors
    /// [`FlushFailure::Unsealed`].
    fn seal(&self, place: DeltaPlace, json: &[u8]) -> Result<Vec<u8>, FlushFailure>;
}

/// A row that is durable: subscribers may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// The run.
    pub run: RunId,
    /// The row.
    pub row: OpenedDeltas,
}

/// Is told of what became durable. Called by the flusher: it must not block.
pub trait FlushListener: Send + Sync {
    /// A row is durable.
    fn flushed(&self, flushed: Flushed);

    /// A run's text is durable no more.
    fn failed(&self, run: RunId, failure: FlushFailure);
}

/// A run that this process owns.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a trait object")]
pub struct RunOwner {
    /// The run.
    pub run: RunId,
    /// Whose it is.
    pub owner: UserId,
    /// Version of its last event.
    pub v: u64,
    /// Seals its text.
    pub seal: Arc<dyn SealText>,
}

/// How many rows are durable since the event before.
type Counted = oneshot::Sender<Result<u64, FlushFailure>>;

enum Gate {
    Open,
    /// Closes once what was written before is durable.
    Closing(Counted),
    Closed,
}

/// A piece of text, with the room that it takes until it is durable or nobody's.
struct Piece {
    item: DeltaItem,
    room: OwnedSemaphorePermit,
}

struct Entry {
    of: RunOwner,
    /// Rows durable after event `of.v`.
    d: u64,
    ready: Vec<Piece>,
    /// Written after the gate was closed.
    held: Vec<Piece>,
    gate: Gate,
}

/// Rows under way, with what is in them.
pub(super) struct Flight {
    pub(super) rows: Vec<DeltaRow>,
    opened: Vec<Flushed>,
    /// Given back when it has landed.
    room: Vec<OwnedSemaphorePermit>,
}

/// The runs.
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

    /// Text of a run that isn't known is dropped: whoever lost a run is told so by what it asks next.
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

    /// The append was answered. With the version it had before, nothing was appended: rows go on being counted.
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

    /// One row of each run that has text, sealed; `None` if there is nothing to flush.
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

    /// The flight has landed but for the rows that are another's; what is durable now, in order.
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

    /// The store takes nothing more of these.
    pub(super) fn refused(&mut self, flight: &Flight) {
        for row in &flight.rows {
            self.fail(row.place.run, FlushFailure::Store);
        }
    }

    /// Answers the gates of runs that have nothing left to flush.
    pub(super) fn answer(&mut self) {
        for entry in self.runs.values_mut().filter(|entry| entry.ready.is_empty()) {
            match std::mem::replace(&mut entry.gate, Gate::Closed) {
                Gate::Closing(reply) => drop(reply.send(Ok(entry.d))),
                gate @ (Gate::Open | Gate::Closed) => entry.gate = gate,
            }
        }
    }

    /// Runs that failed since this was asked last.
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

/// Adds a piece, to the one before it if that is of the same attempt and ends where it begins.
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

/// The first pieces, as many as fit into a row, one at least.
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
