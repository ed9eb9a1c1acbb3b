//! The HTTP layer through real sockets, in front of a small schema.

mod audits;
mod batches;
mod fixture;
mod gates;
mod logs;
mod pages;
mod requests;
mod transport;
