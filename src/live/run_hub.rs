//! Subscribers to the text of the runs that this process works on.

use claviger_domain::id::RunId;
use claviger_projections::flusher::{FlushFailure, FlushListener, Flushed};
use claviger_projections::run_feed::OpenedDeltas;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Rows that wait for a slow subscriber before it has to read the store.
const ROWS: usize = 64;

#[derive(Debug)]
struct Room {
    rows: broadcast::Sender<Arc<OpenedDeltas>>,
    /// Counted here: when two subscribers leave at once, each still sees the receiver of the other.
    listeners: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { rows: broadcast::channel(ROWS).0, listeners: 0 }
    }
}

#[derive(Debug, Default)]
struct State {
    rooms: HashMap<RunId, Room>,
    /// Runs whose text this process writes.
    owned: HashSet<RunId>,
}

/// Publishes rows of text once they are durable. Like everything published live, a row is only a
/// hint.
#[derive(Debug, Default)]
pub struct RunHub(Mutex<State>);

impl RunHub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subscribes to a run's text from now on.
    pub(crate) fn listen(self: &Arc<Self>, run: RunId) -> RunListener {
        let mut state = self.lock();
        let room = state.rooms.entry(run).or_default();
        room.listeners += 1;
        let rows = room.rows.subscribe();
        RunListener { hub: Arc::clone(self), run, rows }
    }

    /// Whether this process writes the run's text, and so publishes all of it.
    pub(crate) fn owns(&self, run: RunId) -> bool {
        self.lock().owned.contains(&run)
    }

    /// Records that this process starts or stops writing a run's text.
    pub(crate) fn own(&self, run: RunId, owns: bool) {
        let mut state = self.lock();
        let _ = if owns { state.owned.insert(run) } else { state.owned.remove(&run) };
    }

    fn leave(&self, run: RunId) {
        let mut state = self.lock();
        let Some(room) = state.rooms.get_mut(&run) else { return };
        room.listeners = room.listeners.saturating_sub(1);
        if room.listeners == 0 {
            state.rooms.remove(&run);
        }
    }
}

impl FlushListener for RunHub {
    fn flushed(&self, flushed: Flushed) {
        if let Some(room) = self.lock().rooms.get(&flushed.run) {
            // Fails only without receivers: between the drop of the last one and the removal of the
            // room.
            let _ = room.rows.send(Arc::new(flushed.row));
        }
    }

    /// The run's writer gets the failure from its next append.
    fn failed(&self, run: RunId, failure: FlushFailure) {
        tracing::warn!(%run, error = %failure, "stopped persisting the run's text");
    }
}

/// A subscription at the hub; dropping it unsubscribes.
pub(crate) struct RunListener {
    hub: Arc<RunHub>,
    run: RunId,
    rows: broadcast::Receiver<Arc<OpenedDeltas>>,
}

impl RunListener {
    /// Waits for the next row; `None` when the channel overflowed. Dropping the future loses
    /// nothing.
    pub(crate) async fn told(&mut self) -> Option<Arc<OpenedDeltas>> {
        match self.rows.recv().await {
            Ok(row) => Some(row),
            Err(RecvError::Lagged(_)) => None,
            // The room lives as long as it has a subscriber.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Drop for RunListener {
    fn drop(&mut self) {
        self.hub.leave(self.run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn subscribers_that_leave_at_once_leave_no_room_behind() {
        let hub = Arc::new(RunHub::default());
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for n in 0..2_000 {
                        let one = hub.listen(RunId(Uuid::from_u128(n)));
                        start.wait();
                        drop(one);
                    }
                });
            }
        });
        assert!(hub.lock().rooms.is_empty());
    }
}
