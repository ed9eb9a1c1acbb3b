//! The rules that appends keep because keys are rotated beside them: data is sealed under the
//! newest user key, and a new user key is wrapped by the newest master key. The keys are read in
//! the batch's transaction. Nothing can come between this and the commit: a user key that seals is
//! touched as well, which conflicts with a rotation that replaces it; the master key is changed by
//! an append, which holds the head.

use super::known::Reader;
use crate::mongo::cells::Cells;
use crate::mongo::error::DbError;
use crate::mongo::schema::{STORE_KEYS, USER_KEYS, id};
use claviger_domain::id::UserId;
use claviger_projections::ports::{Append, AppendError, KekId, RowChange};
use mongodb::bson::{Bson, Document, doc};
use std::collections::{BTreeSet, HashMap};

/// The newest keys that the batch needs, including the changes made by its appends.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// Versions of user keys.
    users: HashMap<UserId, u32>,
    /// The KEK of new user keys; `None` for a store without keys of its own, or if the batch does
    /// not need it.
    master: Option<KekId>,
}

impl Keys {
    /// Refuses data sealed or wrapped by a key that is not the newest; otherwise applies the change
    /// to the keys.
    pub(super) fn pass(&mut self, change: &RowChange) -> Result<(), AppendError> {
        if let Some((owner, version)) = change.sealed_under() {
            let actual = self.users.get(&owner).copied().unwrap_or(0);
            if actual != version {
                return Err(AppendError::UserKeyMoved { owner, actual });
            }
        }
        if let RowChange::PutUserKey(row) = change {
            if let Some(current) = self.master.filter(|newest| *newest != row.kek) {
                return Err(AppendError::MasterKeyMoved { current });
            }
            let newest = self.users.entry(row.owner).or_default();
            *newest = row.version.max(*newest);
        } else if let RowChange::EraseUser(owner) = change {
            self.users.remove(owner);
        } else if let RowChange::PutStoreKey(row) = change {
            self.master = Some(row.kek);
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// Reads the keys that the appends' rows are sealed and wrapped by.
    pub(super) async fn keys(&mut self, appends: &[&Append]) -> Result<Keys, DbError> {
        let rows = || appends.iter().flat_map(|append| &append.rows);
        let owners: BTreeSet<UserId> =
            rows().filter_map(RowChange::sealed_under).map(|(owner, _)| owner).collect();
        let wanted: Vec<Bson> = owners.into_iter().map(|owner| id(owner.0)).collect();
        let mut users: HashMap<UserId, u32> = HashMap::new();
        for document in
            self.among(USER_KEYS, "owner", wanted, doc! { "owner": 1, "version": 1 }).await?
        {
            let cells = Cells::new(USER_KEYS, document);
            let newest = users.entry(UserId(cells.id("owner")?)).or_default();
            *newest = cells.u32("version")?.max(*newest);
        }
        let master = if rows().any(|row| matches!(row, RowChange::PutUserKey(_))) {
            self.master_key().await?
        } else {
            None
        };
        Ok(Keys { users, master })
    }

    async fn master_key(&mut self) -> Result<Option<KekId>, DbError> {
        let store_keys = self.db.collection::<Document>(STORE_KEYS);
        let newest = store_keys
            .find_one(doc! {})
            .sort(doc! { "seq": -1 })
            .session(&mut *self.session)
            .await?;
        Ok(newest.map(|document| Cells::new(STORE_KEYS, document).array("_id")).transpose()?)
    }
}
