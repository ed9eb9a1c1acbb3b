//! Anthropic's HTTP API as Claviger uses it: one client that can't be lured elsewhere with a key, one classification of everything that
//! can go wrong, the test of a key, and the models with their prices.

mod advice;
pub mod claude_program;
pub mod client;
pub mod error;
mod headers;
pub mod models;
pub mod prices;
pub mod probe;
pub mod stream;
mod wire;
