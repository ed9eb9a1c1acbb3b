//! Why nothing was measured.

use claviger_projections::ports::AppendError;
use std::error::Error;

/// Why a measurement ended without figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// There is no store to measure.
    #[error("the store to be measured can't be opened")]
    Open(#[source] Box<dyn Error + Send + Sync>),
    /// The store refused an append that nothing was wrong with.
    #[error("the store refused an append")]
    Append(#[from] AppendError),
    /// The baseline failed.
    #[error("the baseline failed ({0}): see that the disk or the server has room, then measure again")]
    Baseline(String),
    /// A task panicked.
    #[error("a measuring task ended without figures: this is a fault of the program")]
    Lost,
}
