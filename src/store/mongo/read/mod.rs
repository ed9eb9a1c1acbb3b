//! What readers ask, collection by collection, and how documents become types.

mod deltas;
mod events;
mod rows;
mod views;

pub(super) use deltas::*;
pub(super) use events::*;
pub(super) use rows::*;
pub(super) use views::*;
