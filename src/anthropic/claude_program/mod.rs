//! Max Plan: the operator's own `claude` program, one process per call, under the operator's own
//! login.

mod call;
mod child;
mod lines;

pub use call::{ClaudeProgram, ClaudeProgramConfig};
