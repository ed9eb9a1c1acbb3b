//! How large the batches of a store are, noted by its failpoints.

use std::sync::{Mutex, PoisonError};

/// Notes the size of each batch before its commit.
#[derive(Debug, Default)]
pub struct Batches(Mutex<Vec<usize>>);

impl Batches {
    /// Notes a batch.
    pub fn note(&self, appends: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(appends);
    }

    /// All noted so far.
    pub fn noted(&self) -> Vec<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
