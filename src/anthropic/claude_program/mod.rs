//! Max Plan: the operator's own `claude` program, one process per call, under the operator's own
//! login, with none of this server's files ([`crate::confined`]).

mod call;
mod child;
mod guards;
mod lines;

pub use call::{ClaudeProgram, ClaudeProgramConfig};
pub use guards::{Guards, MaxPlanError, Wanted};
