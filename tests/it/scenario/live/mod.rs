//! Sockets and event streams, from the other end.

mod closes;
mod feeds;
mod revocation;
mod socket;
mod streams;
mod tickets;
