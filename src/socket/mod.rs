//! The socket in the data directory by which the commands of the operator reach a running server.
//!
//! A client sends one request: a frame of JSON, and a frame with the secret that was typed or
//! piped, which may be empty. The server sends frames of JSON until the request has ended. The
//! program's version is in the first frame: programs of different versions do not talk. So is a key
//! that stands in a file beside the socket: to connect is not to be able to read the data directory.

mod client;
mod frames;
mod place;
mod server;

pub use client::{Answer, ask};
pub use frames::{MAX_SECRET, Refusal};
pub use place::{Connected, FILE, KEY_FILE, SocketError, Stands, connect};
pub use server::{Asked, Bounds, Desk, LocalServer, Teller};
