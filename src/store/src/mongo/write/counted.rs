//! Rows of views that appends of a batch rely on the number of.

use super::known::Reader;
use crate::mongo::cells::Cells;
use crate::mongo::error::DbError;
use crate::mongo::schema::{VIEWS, id};
use claviger_domain::id::UserId;
use claviger_projections::ports::{Append, Fewer, RowChange};
use mongodb::bson::doc;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// The ids of an owner's rows in a view, for those that are counted, including the changes made by
/// earlier appends of the batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted(HashMap<(&'static str, UserId), HashSet<Uuid>>);

/// How a row change changes what is counted.
pub(super) enum Move {
    In(&'static str, UserId, Uuid),
    Out(&'static str, UserId, Uuid),
    Gone(UserId),
}

impl Move {
    pub(super) fn of(row: &RowChange) -> Option<Self> {
        match row {
            RowChange::PutView(row) => Some(Self::In(row.view, row.owner, row.id)),
            RowChange::DeleteView { view, owner, id } => Some(Self::Out(view, *owner, *id)),
            RowChange::EraseUser(owner) => Some(Self::Gone(*owner)),
            RowChange::PutUserKey(_)
            | RowChange::PutIndexKey(_)
            | RowChange::PutContentKey(_)
            | RowChange::PutSecret(_)
            | RowChange::DeleteSecret { .. }
            | RowChange::PutCredential(_)
            | RowChange::PutSession(_)
            | RowChange::DeleteSession(_)
            | RowChange::PutTimer(_)
            | RowChange::DeleteTimer { .. }
            | RowChange::PutDefault { .. }
            | RowChange::DeleteDefault { .. }
            | RowChange::PutStoreKey(_)
            | RowChange::DeleteStoreKey(_) => None,
        }
    }
}

impl Counted {
    /// How many rows there are.
    pub(super) fn rows(&self, of: Fewer) -> u64 {
        self.0.get(&(of.view, of.owner)).map_or(0, |rows| rows.len() as u64)
    }

    pub(super) fn apply(&mut self, moves: Vec<Move>) {
        for one in moves {
            match one {
                Move::In(view, owner, row) => {
                    if let Some(rows) = self.0.get_mut(&(view, owner)) {
                        rows.insert(row);
                    }
                }
                Move::Out(view, owner, row) => {
                    if let Some(rows) = self.0.get_mut(&(view, owner)) {
                        rows.remove(&row);
                    }
                }
                Move::Gone(owner) => {
                    let rows = self.0.iter_mut().filter(|((_, of), _)| *of == owner);
                    rows.for_each(|(_, rows)| rows.clear());
                }
            }
        }
    }
}

impl Reader<'_> {
    pub(super) async fn counted(&mut self, appends: &[&Append]) -> Result<Counted, DbError> {
        let wanted = appends.iter().filter_map(|append| append.relies_on.fewer);
        let mut counted = HashMap::new();
        for Fewer { view, owner, .. } in wanted {
            if counted.contains_key(&(view, owner)) {
                continue;
            }
            let filter = doc! { "view": view, "owner": id(owner.0) };
            let found = self.find(VIEWS, filter, doc! { "_id": 0, "id": 1 }).await?;
            let rows = found.into_iter().map(|document| Cells::new(VIEWS, document).id("id"));
            counted.insert((view, owner), rows.collect::<Result<HashSet<_>, _>>()?);
        }
        Ok(Counted(counted))
    }
}
