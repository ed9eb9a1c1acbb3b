//! A scripted Anthropic upstream, used by the demo and the tests, and served by `claviger
//! simulate`. It is true to the wire format and costs nothing.
//!
//! The key alone decides what a call results in, so nothing needs to be registered:
//! `sk-ant-api03-<scenario>-…AA`, 108 characters, with a name from [`keys::Scenario::ALL`].
//! [`keys::key`] makes such keys. Any other key that begins with `sk-ant-api` succeeds; any other
//! text gets 401, as an unknown key does. Within a process, [`script::Script`] takes precedence
//! over the keys, and [`counts::Counts`] reports the calls. Over HTTP, `GET /sim/calls` reports the
//! same, with keys masked.

mod config;
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
mod upstream;
mod wire;

pub use config::{SimulatorClock, SimulatorConfig};
pub use server::{Simulator, SimulatorError, serve_until};
