//! The HTTP layer through real sockets, in front of a small schema.

mod audits;
mod batches;
mod fixture;
mod gates;
mod logs;
mod origins;
mod pages;
mod persisted;
mod requests;
mod transport;
