//! Sockets and event streams, from the other end.

mod closes;
mod external;
mod feeds;
mod revocation;
mod runs;
mod streams;
mod tickets;

pub(super) use runs::{FEED, runs};
