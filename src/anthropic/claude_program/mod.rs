//! Max Plan: the operator's own `claude` program, one process a call, under the operator's own login (`UPSTREAM.md`, section 2).

mod call;
mod child;
mod lines;

pub use call::{ClaudeProgram, ClaudeProgramConfig};
