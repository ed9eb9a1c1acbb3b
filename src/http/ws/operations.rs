//! The operations of one socket: each a stream of answers, taken in turn so that none starves another.

use async_graphql::Response;
use futures::stream::{BoxStream, StreamExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use uuid::Uuid;

/// What an operation did.
pub(super) struct Step {
    pub(super) id: Arc<str>,
    /// Finds it in the log.
    pub(super) request_id: Uuid,
    pub(super) what: What,
}

/// An answer, or the end.
pub(super) enum What {
    Answer(Box<Response>),
    Failed,
    Done,
}

/// The operations under way. A plain list, because there are few on a socket, and thousands of sockets that have one.
#[derive(Default)]
pub(super) struct Operations {
    under_way: Vec<Operation>,
    /// Where it is looked first: behind the one that gave the last step.
    first: usize,
}

struct Operation {
    id: Arc<str>,
    request_id: Uuid,
    answers: BoxStream<'static, Response>,
}

impl Operation {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        // A span for as long as something is done, and none while nothing is: one that is open is kept. Too dear for more than debugging.
        let span = tracing::debug_span!("ws.operation", request_id = %self.request_id).entered();
        let polled = catch_unwind(AssertUnwindSafe(|| self.answers.poll_next_unpin(cx)));
        drop(span);
        let what = match polled {
            Ok(answered) => {
                ready!(answered).map_or(What::Done, |response| What::Answer(Box::new(response)))
            }
            Err(_) => What::Failed,
        };
        Poll::Ready(Step { id: Arc::clone(&self.id), request_id: self.request_id, what })
    }
}

impl Operations {
    fn place(&self, id: &str) -> Option<usize> {
        self.under_way.iter().position(|operation| &*operation.id == id)
    }

    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.place(id).is_some()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Begins one under an id that isn't taken.
    pub(super) fn begin(
        &mut self,
        id: String,
        request_id: Uuid,
        answers: BoxStream<'static, Response>,
    ) {
        self.under_way.reserve_exact(1);
        self.under_way.push(Operation { id: id.into(), request_id, answers });
    }

    /// Ends one, as far as it is under way: from here on nothing more comes of it. One whose step was the end must be ended.
    pub(super) fn end(&mut self, id: &str) -> bool {
        self.place(id).map(|at| self.under_way.remove(at)).is_some()
    }

    /// Waits for a step; for ever if nothing is under way. May be dropped.
    pub(super) async fn next(&mut self) -> Step {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let count = self.under_way.len();
        for at in (0..count).map(|offset| (self.first + offset) % count) {
            if let Some(Poll::Ready(step)) =
                self.under_way.get_mut(at).map(|operation| operation.poll(cx))
            {
                self.first = at + 1;
                return Poll::Ready(step);
            }
        }
        Poll::Pending
    }
}
