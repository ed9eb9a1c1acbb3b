//! Bounds and times of sockets and event streams.

use std::time::Duration;

/// Bounds and times of sockets and event streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveSettings {
    /// From a socket's opening to its `connection_init`.
    pub init_timeout: Duration,
    /// How often a socket is pinged.
    pub ping: Duration,
    /// A socket that says nothing for so long, though it is pinged, is taken for gone.
    pub silence: Duration,
    /// How often an event stream says that it is still there.
    pub heartbeat: Duration,
    /// How long a client may take nothing of what waits for it.
    pub stall: Duration,
    /// How long a socket that is being closed may take to take the reason and to answer.
    pub closing: Duration,
    /// For one query or mutation over a socket or a stream.
    pub timeout: Duration,
    /// Bytes of a message from a client.
    pub max_message_bytes: usize,
    /// Frames that wait for a client: the store is read no further meanwhile.
    pub max_waiting_frames: usize,
    /// The same in bytes; one frame may be larger.
    pub max_waiting_bytes: usize,
    /// Operations at once on one socket.
    pub max_operations: usize,
    /// Sockets and streams of one user at once.
    pub max_per_user: usize,
    /// Sockets and streams at once.
    pub max_in_all: usize,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            init_timeout: Duration::from_secs(3),
            ping: Duration::from_secs(12),
            silence: Duration::from_secs(24),
            heartbeat: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            closing: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            max_message_bytes: 1024 * 1024,
            max_waiting_frames: 64,
            max_waiting_bytes: 1024 * 1024,
            max_operations: 100,
            max_per_user: 100,
            max_in_all: 10_000,
        }
    }
}
