//! Why nothing was measured.

use claviger_projections::ports::AppendError;
use std::error::Error;
use std::io;

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
    #[error(
        "the baseline failed ({0}): see that the disk or the server has room, then measure again"
    )]
    Baseline(String),
    /// A program that was started to be measured isn't as it should be.
    #[error("the program to be measured can't be: {0}")]
    Subject(&'static str),
    /// A subscriber was closed, or heard less than there was.
    #[error(
        "{0} of the subscribers were cut off or didn't hear everything: see that `ulimit -n` is above their number"
    )]
    Unheard(usize),
    /// A socket or a file failed.
    #[error("the measurement met a fault of the system")]
    Io(#[from] io::Error),
    /// A task panicked.
    #[error("a measuring task ended without figures: this is a fault of the program")]
    Lost,
}
