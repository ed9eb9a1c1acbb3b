//! Bounds of this face.

use std::time::Duration;

/// Bounds of the transport.
#[derive(Clone, Copy, Debug)]
pub struct RestSettings {
    /// Time for a body to arrive.
    pub body_timeout: Duration,
    /// The interval between a stream's heartbeats.
    pub heartbeat: Duration,
    /// Most time that a request to resume waits until the run goes on.
    pub resuming: Duration,
}

impl Default for RestSettings {
    fn default() -> Self {
        Self {
            body_timeout: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            resuming: Duration::from_secs(5),
        }
    }
}
