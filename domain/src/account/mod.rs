//! One user's account: identity, roles and sessions.

mod aggregate;
mod commands;
mod error;
mod event;

pub use aggregate::{Account, MAX_SESSIONS};
pub use commands::*;
pub use error::AccountError;
pub use event::*;
