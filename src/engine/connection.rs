//! A call under way, as the worker holds it. The text received from it is in the state
//! ([`super::decide::WorkState`]).

use super::queue::Ticket;
use crate::anthropic::stream::{CallItem, CallStream};
use claviger_domain::id::StepId;
use futures::StreamExt as _;
use std::future::poll_fn;
use std::task::Poll;
use tokio::time::Instant;

/// A call under way. Dropping it ends the call and gives its ticket back.
pub(super) struct Connection {
    pub(super) step: StepId,
    stream: CallStream,
    _ticket: Ticket,
    started: Instant,
}

impl Connection {
    /// The call is made when the stream is first polled.
    pub(super) fn new(step: StepId, stream: CallStream, ticket: Ticket) -> Self {
        Self { step, stream, _ticket: ticket, started: Instant::now() }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// An item of a call.
pub(super) struct Arrived {
    pub(super) step: StepId,
    /// `None` from a call that ended without a last item.
    pub(super) item: Option<CallItem>,
    /// Since the call was made, or since the upstream restarted it.
    pub(super) elapsed_ms: u64,
}

/// The next item of any of the calls; pending for ever if there are none. The connection that sent
/// it is moved behind the others, so that each is polled before it has a second turn.
pub(super) async fn next_item(connections: &mut Vec<Connection>) -> Arrived {
    let (at, item) = poll_fn(|context| {
        for (at, connection) in connections.iter_mut().enumerate() {
            if let Poll::Ready(item) = connection.stream.poll_next_unpin(context) {
                return Poll::Ready((at, item));
            }
        }
        Poll::Pending
    })
    .await;
    let mut connection = connections.remove(at);
    let (step, elapsed_ms) = (connection.step, connection.elapsed_ms());
    if matches!(item, Some(CallItem::Restarted { .. })) {
        connection.started = Instant::now();
    }
    connections.push(connection);
    Arrived { step, item, elapsed_ms }
}
