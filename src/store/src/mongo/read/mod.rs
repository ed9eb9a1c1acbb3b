//! The readers' queries, collection by collection, and the conversion of documents to types.

mod deltas;
mod events;
mod follow;
mod inspect;
mod rotation;
mod rows;
mod views;

pub(super) use deltas::*;
pub(super) use events::*;
pub(super) use follow::*;
pub(super) use inspect::*;
pub(super) use rotation::*;
pub(super) use rows::*;
pub(super) use views::*;
