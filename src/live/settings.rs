//! Bounds and times of sockets and event streams.

use crate::limits::MemorySettings;
use std::time::Duration;

const MIB: usize = 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveSettings {
    /// From a socket's opening to its `connection_init`.
    pub init_timeout: Duration,
    /// The interval between pings of a socket.
    pub ping: Duration,
    /// A socket that sends nothing for this long, although it is pinged, counts as gone.
    pub silence: Duration,
    /// The interval between an event stream's heartbeats.
    pub heartbeat: Duration,
    /// How long a client may accept none of the data that waits for it.
    pub stall: Duration,
    /// How long a closing socket may take to receive the reason and respond.
    pub closing: Duration,
    /// For one query or mutation over a socket or a stream.
    pub timeout: Duration,
    /// Most bytes of a message from a client.
    pub max_message_bytes: usize,
    /// The same before the client has signed in.
    pub max_early_message_bytes: usize,
    /// Most bytes that the operations of one socket keep of their requests.
    pub max_kept_bytes: usize,
    /// Most bytes that all sockets and streams hold, and those of one user: what operations keep,
    /// the folds of runs that are followed, and messages in either direction.
    pub memory: MemorySettings,
    /// Frames that may wait for a client: meanwhile nothing more is read from the store.
    pub max_waiting_frames: usize,
    /// The same in bytes; one frame may be larger.
    pub max_waiting_bytes: usize,
    /// Operations running at once on one socket.
    pub max_operations: usize,
    pub max_per_user: usize,
    /// Sockets and streams of the process at once.
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
            max_message_bytes: MIB,
            max_early_message_bytes: 64 * 1024,
            max_kept_bytes: 4 * MIB,
            memory: share_of(256 * MIB),
            max_waiting_frames: 64,
            max_waiting_bytes: MIB,
            max_operations: 100,
            max_per_user: 100,
            max_in_all: 10_000,
        }
    }
}

/// The bounds for this much memory in all: a user may hold an eighth.
pub const fn share_of(in_all: usize) -> MemorySettings {
    MemorySettings { in_all, of_one: in_all / 8 }
}
