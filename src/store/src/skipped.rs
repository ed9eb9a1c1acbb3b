//! Rows that a reader of many owners' rows passed over, because their columns cannot be decoded:
//! nothing written by this program. One such row must not hold what belongs to others.

use claviger_projections::ports::StoreError;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Most rows that are told apart. A writer of the store can spoil any number.
const TOLD_APART: usize = 1_000;

/// Rows that were passed over. Each is logged once, by its key and the column, not by its content.
pub struct Skipped {
    seen: Mutex<BTreeSet<String>>,
    /// Receives the number of such rows whenever it grows.
    told: Box<dyn Fn(usize) + Send + Sync>,
}

impl Skipped {
    /// Tells the number of rows whenever there is one more.
    pub fn telling(told: impl Fn(usize) + Send + Sync + 'static) -> Self {
        Self { seen: Mutex::default(), told: Box::new(told) }
    }

    /// The value, unless its row cannot be decoded.
    pub(crate) fn unless_corrupt<T>(&self, read: Result<T, StoreError>) -> Option<T> {
        read.inspect_err(|error| self.note(error)).ok()
    }

    fn note(&self, error: &StoreError) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < TOLD_APART && seen.insert(error.to_string()) {
            tracing::error!(
                %error,
                "a row that cannot be read was passed over: `claviger verify` names all of them; \
                 restore them from a backup, or rebuild views by `claviger replay`"
            );
            (self.told)(seen.len());
        }
    }

    /// How many such rows were met.
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Default for Skipped {
    fn default() -> Self {
        Self::telling(|_| ())
    }
}

impl fmt::Debug for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skipped").field("count", &self.count()).finish_non_exhaustive()
    }
}
