//! The operations of one socket: each is a stream of responses, polled in turn so that none starves
//! another.

use crate::limits::Held;
use async_graphql::Response;
use claviger_graphql::answer::AnswerBudget;
use futures::stream::{BoxStream, StreamExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use uuid::Uuid;

/// One result of an operation.
pub(super) struct Step {
    pub(super) id: Arc<str>,
    /// Identifies the operation in the log.
    pub(super) request_id: Uuid,
    pub(super) what: What,
}

/// A response, or the end.
pub(super) enum What {
    Answer(Box<Response>),
    Failed,
    Done,
}

/// The running operations. A plain list: a socket has few, and thousands of sockets have just one.
#[derive(Default)]
pub(super) struct Operations {
    under_way: Vec<Operation>,
    /// Where polling starts: after the operation that produced the last step.
    first: usize,
}

struct Operation {
    id: Arc<str>,
    request_id: Uuid,
    begun: Begun,
}

/// What an operation consists of.
pub(super) struct Begun {
    pub(super) answers: BoxStream<'static, Response>,
    /// Charged while a message of a subscription is made.
    pub(super) budget: Option<AnswerBudget>,
    /// What it keeps of its request.
    pub(super) kept: Held,
}

impl Operation {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        // The span is open only while the operation works, because the registry keeps every open
        // span in memory. It costs too much for any level above debug.
        let span = tracing::debug_span!("ws.operation", request_id = %self.request_id).entered();
        let polled = catch_unwind(AssertUnwindSafe(|| self.begun.answers.poll_next_unpin(cx)));
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

    /// Bytes that the operations keep of their requests.
    pub(super) fn kept(&self) -> usize {
        self.under_way.iter().map(|operation| operation.begun.kept.bytes()).sum()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Begins an operation. Its id must not be in use.
    pub(super) fn begin(&mut self, id: String, request_id: Uuid, begun: Begun) {
        self.under_way.reserve_exact(1);
        self.under_way.push(Operation { id: id.into(), request_id, begun });
    }

    /// Ends an operation if it is running: it produces nothing from here on. The caller must also
    /// end an operation whose last step was its end.
    pub(super) fn end(&mut self, id: &str) -> bool {
        self.place(id).map(|at| self.under_way.remove(at)).is_some()
    }

    /// Waits for a step; for ever if no operation is running. The future may be dropped.
    pub(super) async fn next(&mut self) -> Step {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let count = self.under_way.len();
        for at in (0..count).map(|offset| (self.first + offset) % count) {
            let Some(operation) = self.under_way.get_mut(at) else { continue };
            if let Poll::Ready(step) = operation.poll(cx) {
                self.first = at + 1;
                return Poll::Ready(step);
            }
            // It lets other tasks run in the middle of an answer. Other operations of the socket
            // wait: a hundred answers half done would take a hundred times the memory.
            if operation.begun.budget.as_ref().is_some_and(AnswerBudget::is_at_work) {
                self.first = at;
                return Poll::Pending;
            }
        }
        Poll::Pending
    }
}
