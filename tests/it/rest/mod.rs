//! The REST facade, through real sockets, on both stores.

mod caller;
mod leaving;
mod pauses;
mod refusals;
mod shapes;
mod streams;
mod wire;
