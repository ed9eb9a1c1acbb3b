//! A scripted Anthropic upstream: what the demo and the tests talk to, and what `claviger simulate` serves. It is true to the wire, and
//! it costs nothing.
//!
//! What it does with a call is decided by the key alone, so nothing need be registered: `sk-ant-api03-<scenario>-…AA`, 108 characters,
//! with a name from [`keys::Scenario::ALL`]. [`keys::key`] makes such keys. Another key that begins with `sk-ant-api` is a good one; any
//! other text is answered as an unknown key is, with 401. Within a process, [`script::Script`] puts other answers before those, and
//! [`counts::Counts`] tells what was asked. Over HTTP, `GET /sim/calls` tells the same, with keys masked.

pub mod counts;
mod faults;
pub mod gate;
mod handlers;
pub mod keys;
mod messages;
mod models;
mod plan;
pub mod script;
pub mod server;
mod sse;
mod structured;
mod wire;

pub use server::{Simulator, SimulatorConfig, SimulatorError, serve_until};
