//! The batch sizes of a store, recorded by its failpoints.

use std::sync::{Mutex, PoisonError};

/// Records the size of each batch before its commit.
#[derive(Debug, Default)]
pub struct Batches(Mutex<Vec<usize>>);

impl Batches {
    /// Records a batch of `appends` appends.
    pub fn note(&self, appends: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(appends);
    }

    /// All sizes recorded so far, in order.
    pub fn noted(&self) -> Vec<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
