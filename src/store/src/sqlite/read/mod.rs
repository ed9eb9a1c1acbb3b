//! The readers' queries, table by table. Each function sees one snapshot of the store.

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
