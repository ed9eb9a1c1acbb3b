//! Rules of a user's account.

mod administration;
mod build;
mod external;
mod lifecycle;
mod roles;
mod sessions;

pub(crate) use build::*;
