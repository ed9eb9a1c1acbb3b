//! Folded aggregates, kept so that a command reads only what is new in its stream. Truth stays in the log: what is kept is always
//! brought up to date from there, and a fold that is dropped is made again.

use super::store_failure;
use claviger_domain::event::Payload;
use claviger_domain::failure::Failure;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{Store, StoredEvent};
use cqrs_es::Aggregate;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

/// Most folds kept; one of a user with ten keys is about 2 KB.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// How many events are read at a time.
const BATCH: usize = 500;

/// The folds of one kind of aggregate.
#[derive(Debug)]
pub(crate) struct Folds<A>(Mutex<LruCache<StreamName, (u64, A)>>);

impl<A: Aggregate + Clone> Folds<A>
where
    A::Event: Payload,
{
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }

    /// The aggregate as its stream is now, with the stream's version.
    pub(crate) async fn load(
        &self,
        store: &dyn Store,
        stream: StreamName,
    ) -> Result<(u64, A), Failure> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&stream).cloned();
        let (mut version, mut aggregate) = kept.unwrap_or_default();
        loop {
            let events = store
                .read_stream(stream, version, BATCH)
                .await
                .map_err(|error| store_failure(&error))?;
            let more = events.len() == BATCH;
            for event in events {
                version = event.envelope.version;
                aggregate.apply(decode(&event, None)?);
            }
            if !more {
                break;
            }
        }
        self.keep(stream, version, aggregate.clone());
        Ok((version, aggregate))
    }

    /// Keeps what is known to be committed, unless something newer is kept.
    pub(crate) fn keep(&self, stream: StreamName, version: u64, aggregate: A) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if version > 0 && kept.peek(&stream).is_none_or(|(known, _)| *known < version) {
            kept.put(stream, (version, aggregate));
        }
    }
}

/// Reads a stored event; `content` is its opened content, where it is wanted and there.
pub(crate) fn decode<E: Payload>(
    event: &StoredEvent,
    content: Option<&[u8]>,
) -> Result<E, Failure> {
    let envelope = &event.envelope;
    E::decode(&envelope.kind, envelope.schema, &event.facts, content).map_err(|error| {
        tracing::error!(position = envelope.position, %error, "an event can't be read");
        Failure::internal()
    })
}
