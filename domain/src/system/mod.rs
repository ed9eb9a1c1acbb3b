//! The installation as an aggregate. Its events belong to no user and have no content.

mod event;

pub use event::*;
