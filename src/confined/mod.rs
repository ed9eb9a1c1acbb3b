//! Runs a foreign program with fewer rights than this process has, by safe calls only
//! (`ops/docs/adr/0034-the-claude-program-is-confined.md`, `0038-what-a-confined-program-may-call.md`).
//!
//! The server starts this program again, as the hidden command [`COMMAND`]. That process is the
//! `supervisor`: its standard input is the server's [`Launch`], and after it a lifeline, whose end
//! means that the server is gone or wants no more. It starts this program once more, as the
//! `entrance`, which gives up its rights and becomes the foreign program.

mod calls;
mod command;
mod entrance;
mod grants;
mod launch;
mod supervisor;

pub use calls::has_call_filter;
pub use command::{COMMAND, ITSELF, main};
pub use grants::{has_landlock, readable_for};
pub use launch::{Launch, REFUSAL, Refusal};
