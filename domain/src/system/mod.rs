//! The installation itself: what happens to it as a whole. Its events belong to nobody and have no content.

mod event;

pub use event::*;
