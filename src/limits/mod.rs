//! Bounds on what one user or one peer may take of what all share.

mod at_work;
mod budget;
mod commands;
mod memory;
pub mod rate;
mod streams;

pub use at_work::{AtWork, AtWorkSettings, Working};
pub use budget::ByteBudget;
pub use commands::{CommandLimit, CommandLimits};
pub use memory::{Held, Memories, Memory, MemorySettings, NoRoom, Payer};
pub use streams::{Full, StreamSlot, StreamSlots};
