//! Documents that were parsed and found good: clients send the same few again and again. What depends on variables is judged each time. One
//! with a text in it isn't kept: that is somebody's content, and an erasure must reach it.

use async_graphql_parser::types::ExecutableDocument;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Documents kept; those not asked for the longest go first.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// Bytes of the text of one: parsed it takes about ten times as much.
const MAX_TEXT: usize = 2 * 1024;

/// Documents by their texts.
#[derive(Debug)]
pub(super) struct Documents(Mutex<LruCache<Box<str>, Arc<ExecutableDocument>>>);

impl Default for Documents {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl Documents {
    /// What a text was parsed to.
    pub(super) fn get(&self, text: &str) -> Option<Arc<ExecutableDocument>> {
        if text.len() > MAX_TEXT {
            return None;
        }
        self.lock().get(text).map(Arc::clone)
    }

    /// Keeps a document that nothing in its text speaks against.
    pub(super) fn keep(&self, text: &str, document: &ExecutableDocument) {
        if text.len() <= MAX_TEXT && !text.contains('"') {
            self.lock().put(text.into(), Arc::new(document.clone()));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<Box<str>, Arc<ExecutableDocument>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
