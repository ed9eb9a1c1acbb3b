//! One user's account: who they are, what they may do, where they are signed in.

mod aggregate;
mod commands;
mod error;
mod event;

pub use aggregate::{Account, MAX_SESSIONS};
pub use commands::*;
pub use error::AccountError;
pub use event::*;
