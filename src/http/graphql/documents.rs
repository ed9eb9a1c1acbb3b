//! A cache of parsed and validated documents: clients send the same few again and again. Checks
//! that depend on variables run on every request. A document with a string literal or a comment isn't
//! cached: it is user content, and an erasure must reach it.

use async_graphql_parser::types::ExecutableDocument;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Documents kept; the least recently used go first.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// The longest text kept, in bytes: its parsed form takes about ten times as much.
const MAX_TEXT: usize = 2 * 1024;

/// Whether a document contains text that somebody wrote for its own sake: a string literal, or a
/// comment. Everything else is names of the schema and of the client's program. Such a document is
/// kept nowhere.
pub(super) fn holds_content(text: &str) -> bool {
    text.contains(['"', '#'])
}

/// Documents keyed by their texts.
#[derive(Debug)]
pub(super) struct Documents(Mutex<LruCache<Box<str>, Arc<ExecutableDocument>>>);

impl Default for Documents {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl Documents {
    pub(super) fn get(&self, text: &str) -> Option<Arc<ExecutableDocument>> {
        if text.len() > MAX_TEXT {
            return None;
        }
        self.lock().get(text).map(Arc::clone)
    }

    /// Caches a document that passed the checks which depend on its text alone.
    pub(super) fn keep(&self, text: &str, document: &ExecutableDocument) {
        if text.len() <= MAX_TEXT && !holds_content(text) {
            self.lock().put(text.into(), Arc::new(document.clone()));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<Box<str>, Arc<ExecutableDocument>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
