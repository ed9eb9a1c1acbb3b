//! A call under way.

use super::queue::Ticket;
use crate::anthropic::stream::{CallItem, CallStream};
use claviger_domain::id::StepId;
use claviger_domain::orchestration::{Credential, Usage};
use futures::StreamExt as _;
use std::future::poll_fn;
use std::task::Poll;
use tokio::time::Instant;

/// One call under way, and what was received of it.
pub(super) struct Call {
    pub(super) step: StepId,
    pub(super) attempt: u32,
    pub(super) credential: Credential,
    pub(super) model: String,
    /// Keyed hash of the request: the same for an attempt that the upstream began by itself.
    pub(super) request_hash: String,
    pub(super) stream: CallStream,
    /// Given back when the call ends.
    pub(super) _ticket: Ticket,
    pub(super) started: Instant,
    pub(super) first_token_ms: Option<u64>,
    pub(super) text: String,
    pub(super) usage: Usage,
}

impl Call {
    /// Milliseconds since the call was made.
    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes text in; where it begins.
    pub(super) fn hear(&mut self, text: &str) -> u64 {
        if self.first_token_ms.is_none() {
            self.first_token_ms = Some(self.elapsed_ms());
        }
        let offset = self.text.len() as u64;
        self.text.push_str(text);
        offset
    }

    /// What was received is void: the same call has begun again.
    pub(super) fn begin_again(&mut self, usage: Usage) {
        self.attempt += 1;
        self.text.clear();
        self.usage = usage;
        self.first_token_ms = None;
        self.started = Instant::now();
    }
}

/// The next thing that one of the calls tells; `None` of a call that ended without saying how. Waits for ever if there are none. The one
/// that spoke stands last afterwards, so that none is heard before the others have been.
pub(super) async fn next_item(calls: &mut Vec<Call>) -> (StepId, Option<CallItem>) {
    let (at, step, item) = poll_fn(|context| {
        for (at, call) in calls.iter_mut().enumerate() {
            if let Poll::Ready(item) = call.stream.poll_next_unpin(context) {
                return Poll::Ready((at, call.step, item));
            }
        }
        Poll::Pending
    })
    .await;
    let call = calls.remove(at);
    calls.push(call);
    (step, item)
}
