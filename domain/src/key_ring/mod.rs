//! All keys of one user, in one stream, so that "at most one default per context" is a rule of one
//! aggregate.

mod aggregate;
mod commands;
mod error;
mod event;

pub use aggregate::{Key, KeyRing, OpenTest};
pub use commands::*;
pub use error::KeyRingError;
pub use event::*;
