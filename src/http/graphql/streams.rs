//! The state that sockets and event streams share: slots, tickets, and the signal to stop.

use super::admission::Admission;
use super::executor::SchemaExecutor;
use crate::http::edge::envelope::{IdSource, RequestIds};
use crate::limits::{Memories, StreamSlots};
use crate::live::{LiveSettings, Watch};
use axum::extract::Request;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// The parts of [`LiveFace`].
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "keys")]
pub struct LiveParts {
    pub executor: SchemaExecutor,
    /// Checks documents, as for plain requests.
    pub admission: Arc<Admission>,
    pub settings: LiveSettings,
    /// Makes the request ids of operations.
    pub ids: IdSource,
    /// Verifies tokens, and watches the sessions of those it accepted.
    pub watch: Watch,
    /// Holds what arrives, and what is kept and waits for clients.
    pub memory: Memories,
}

/// The sockets and event streams of one process.
#[expect(missing_debug_implementations, reason = "keys")]
pub struct LiveFace {
    pub(super) parts: LiveParts,
    pub(super) seats: Arc<StreamSlots>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// The current stream of each ticket.
    by_ticket: Mutex<HashMap<Uuid, CancellationToken>>,
}

impl LiveFace {
    pub fn new(parts: LiveParts) -> Arc<Self> {
        let seats = StreamSlots::new(parts.settings.max_in_all, parts.settings.max_per_user);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        Arc::new(Self { parts, seats, stop, tasks, by_ticket: Mutex::default() })
    }

    /// Ends every socket and stream in a way that makes clients reconnect.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until all have ended, each within a bounded time.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The slots of all sockets and streams, for faces that have streams of their own.
    pub fn slots(&self) -> Arc<StreamSlots> {
        Arc::clone(&self.seats)
    }

    /// Cancelled by [`Self::stop`].
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub(super) fn ids_of(&self, request: &Request) -> RequestIds {
        request
            .extensions()
            .get::<RequestIds>()
            .copied()
            .unwrap_or_else(|| RequestIds::new(&self.parts.ids))
    }

    /// Makes this stream the ticket's only one and ends its predecessor.
    pub(super) fn take_over(self: &Arc<Self>, ticket: Uuid) -> OnlyStream {
        let ended = CancellationToken::new();
        let mut streams = self.by_ticket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = streams.insert(ticket, ended.clone()) {
            before.cancel();
        }
        drop(streams);
        OnlyStream { face: Arc::clone(self), ticket, ended }
    }
}

/// A ticket's current stream, forgotten when this is dropped: however the stream ends, and also if
/// it never begins.
pub(super) struct OnlyStream {
    face: Arc<LiveFace>,
    ticket: Uuid,
    /// Cancelled when another stream takes its place.
    ended: CancellationToken,
}

impl OnlyStream {
    /// Waits until another stream of the ticket has taken its place.
    pub(super) async fn replaced(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for OnlyStream {
    fn drop(&mut self) {
        let mut streams = self.face.by_ticket.lock().unwrap_or_else(PoisonError::into_inner);
        // Cancelled under the lock: then the entry is another stream's.
        if !self.ended.is_cancelled() {
            streams.remove(&self.ticket);
        }
    }
}
