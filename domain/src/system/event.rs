//! What happens to the installation.

use crate::halves::{Facts, events};
use serde::{Deserialize, Serialize};

/// A view was compared with the log, and mended where it differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebuilt {
    /// Which view.
    pub view: String,
    /// How many owners were looked at.
    pub owners: u64,
    /// Of how many the rows were replaced.
    pub changed: u64,
}

impl Facts for Rebuilt {}

events! {
    /// What happens to the installation.
    SystemEvent {
        /// A view was made anew from the log.
        ProjectionRebuilt = 1 (Rebuilt),
    }
}
