//! Anthropic's HTTP API as Claviger uses it: one client that cannot be made to send a key
//! elsewhere, one classification of failures, the test of a key, and the models with their prices.

mod advice;
pub mod claude_program;
pub mod client;
pub mod error;
mod fault;
mod headers;
pub mod models;
pub mod prices;
pub mod probe;
pub mod proxy;
pub mod report;
pub mod stream;
mod wire;
mod words;
