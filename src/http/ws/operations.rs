//! The operations of one socket: each a stream of answers, taken in turn so that none starves another.

use crate::http::panics::Panicked;
use async_graphql::Response;
use futures::future::Either;
use futures::stream::{self, AbortHandle, Abortable, BoxStream, SelectAll, Stream, StreamExt};
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
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

/// The operations under way. Those that are ready stand in a queue: whoever gave an answer goes to its end.
#[derive(Default)]
pub(super) struct Operations {
    streams: SelectAll<Abortable<BoxStream<'static, Step>>>,
    under_way: HashMap<Arc<str>, AbortHandle>,
}

impl Operations {
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.under_way.contains_key(id)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.streams.is_empty()
    }

    /// Begins one under an id that isn't taken.
    pub(super) fn begin(&mut self, id: String, request_id: Uuid, answers: impl Stream<Item = Response> + Send + 'static) {
        let id: Arc<str> = id.into();
        let of_steps = Arc::clone(&id);
        let steps = AssertUnwindSafe(answers)
            .catch_unwind()
            .map(|answered| answered.map_err(|_| Panicked))
            .map(|answered| answered.map_or(What::Failed, |response| What::Answer(Box::new(response))))
            .chain(stream::once(std::future::ready(What::Done)))
            .map(move |what| Step { id: Arc::clone(&of_steps), request_id, what })
            .boxed();
        let (steps, handle) = stream::abortable(steps);
        self.under_way.insert(id, handle);
        self.streams.push(steps);
    }

    /// Ends one, as far as it is under way: from here on nothing more comes of it.
    pub(super) fn end(&mut self, id: &str) -> bool {
        let handle = self.under_way.remove(id);
        handle.inspect(AbortHandle::abort).is_some()
    }

    /// Waits for a step. May be dropped.
    pub(super) fn next(&mut self) -> impl Future<Output = Option<Step>> + '_ {
        if self.streams.is_empty() { Either::Left(std::future::pending()) } else { Either::Right(self.streams.next()) }
    }
}
