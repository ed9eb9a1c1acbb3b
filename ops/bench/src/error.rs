//! Errors of measurements.

use claviger_projections::ports::AppendError;
use std::error::Error;
use std::io;

/// Why a measurement ended without figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The store to measure can't be opened.
    #[error("cannot open the store to be measured")]
    Open(#[source] Box<dyn Error + Send + Sync>),
    /// The store refused a valid append.
    #[error("the store refused an append")]
    Append(#[from] AppendError),
    /// The baseline failed.
    #[error(
        "the baseline failed ({0}): make sure that the disk or the server has room, then measure \
         again"
    )]
    Baseline(String),
    /// The program under measurement doesn't behave as expected.
    #[error("cannot measure the program: {0}")]
    Subject(&'static str),
    /// A subscriber was disconnected or missed events.
    #[error(
        "{0} subscribers were disconnected or missed events: make sure that `ulimit -n` is above \
         their number"
    )]
    Unheard(usize),
    /// A socket or a file failed.
    #[error("the measurement met a system error")]
    Io(#[from] io::Error),
    /// A task panicked.
    #[error("a measuring task ended without figures: this is a fault of the program")]
    Lost,
}
