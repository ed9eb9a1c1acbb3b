//! A cache of folded aggregates, so that a command reads only the new events of its stream. The log
//! stays authoritative: a cached fold is always brought up to date from there, and a dropped one is
//! rebuilt.

use crate::keychain::{Evidence, decode};
use crate::system::failure::store_failure;
use claviger_domain::event::Payload;

use claviger_domain::failure::Failure;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::Store;
use cqrs_es::Aggregate;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Most folds kept; one of a user with ten keys is about 2 KB.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Events read at a time.
const BATCH: usize = 500;

/// The folds of one kind of aggregate.
pub(crate) struct Folds<A> {
    kept: Mutex<LruCache<StreamName, (u64, A)>>,
    /// Checks each event before it is folded, where what it says grants something.
    evidence: Option<Arc<Evidence>>,
}

impl<A: Aggregate + Clone> Folds<A>
where
    A::Event: Payload,
{
    pub(crate) fn new() -> Self {
        Self { kept: Mutex::new(LruCache::new(KEPT)), evidence: None }
    }

    /// The same, of events that are as they were appended.
    pub(crate) fn checked(evidence: &Arc<Evidence>) -> Self {
        Self { evidence: Some(Arc::clone(evidence)), ..Self::new() }
    }

    /// The current aggregate, with the stream's version.
    pub(crate) async fn load(
        &self,
        store: &dyn Store,
        stream: StreamName,
    ) -> Result<(u64, A), Failure> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&stream).cloned();
        let (mut version, mut aggregate) = kept.unwrap_or_default();
        loop {
            let events = store
                .read_stream(stream, version, BATCH)
                .await
                .map_err(|error| store_failure(&error))?;
            let more = events.len() == BATCH;
            for event in events {
                if let Some(evidence) = &self.evidence {
                    evidence.check_signature(&event).map_err(|error| store_failure(&error))?;
                }
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

    /// Caches a committed state, unless a newer one is cached.
    pub(crate) fn keep(&self, stream: StreamName, version: u64, aggregate: A) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if version > 0 && kept.peek(&stream).is_none_or(|(known, _)| *known < version) {
            kept.put(stream, (version, aggregate));
        }
    }
}
