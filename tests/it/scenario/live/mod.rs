//! Sockets and event streams, from the other end.

mod closes;
mod external;
mod feeds;
mod inits;
mod parts;
mod revocation;
mod runs;
mod streams;
mod tickets;

pub(super) use runs::{FEED, runs};
