//! Changes of keys without events that still need a transaction: the store's first keys, and a new
//! user key.

use super::changes::{self, Change};
use super::plan::Plan;
use super::transaction::hold_head;
use crate::mongo::error::DbError;
use crate::mongo::read::rows_in;
use crate::mongo::schema::{STORE_KEYS, USER_KEYS, binary, id};
use crate::mongo::session::{self, Committed};
use claviger_projections::ports::{
    AppendError, BoxFuture, RowChange, StoreError, StoreKeyRow, UserRows,
};
use mongodb::bson::{Bson, Document, doc};
use mongodb::{ClientSession, Database};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a transaction is retried before the change is refused as unavailable.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// A change of keys; `true` if it was made, now or by an earlier attempt.
trait KeyChange: Sync {
    /// Compares and writes in the open transaction.
    fn write<'a>(
        &'a self,
        db: &'a Database,
        session: &'a mut ClientSession,
    ) -> BoxFuture<'a, Result<bool, DbError>>;
}

/// Inserts the first store key, if there is none. `mark` is random: a retry finds its own.
pub(in crate::mongo) async fn init_store_key(
    db: &Database,
    row: StoreKeyRow,
    mark: [u8; 16],
) -> Result<bool, DbError> {
    change(db, &FirstStoreKey { row, mark: binary(mark.to_vec()) }).await
}

/// Gives a user a new key, if everything that depends on the old one is unchanged.
pub(in crate::mongo) async fn rekey_user(
    db: &Database,
    from: UserRows,
    to: UserRows,
) -> Result<bool, DbError> {
    change(db, &Rekey { from, to }).await
}

/// Each change is idempotent because it writes random values: an attempt that finds its own rows
/// succeeded before, so a commit of unknown outcome can be retried.
async fn change(db: &Database, change: &dyn KeyChange) -> Result<bool, DbError> {
    let began = Instant::now();
    let mut session = db.client().start_session().await?;
    for tries in 0.. {
        match Box::pin(attempt(db, &mut session, change)).await {
            Ok(Some(done)) => return Ok(done),
            Ok(None) if began.elapsed() < PATIENCE => {}
            Err(error) if error.is_transient() && began.elapsed() < PATIENCE => {}
            Ok(None) => break,
            Err(error) => return Err(error),
        }
        sleep((Duration::from_millis(2) * 2_u32.saturating_pow(tries)).min(LONGEST_PAUSE)).await;
    }
    Err(StoreError::Unavailable("MongoDB commits nothing: see its log".to_owned()).into())
}

/// Attempts once; `None` if the outcome of the commit is unknown.
async fn attempt(
    db: &Database,
    session: &mut ClientSession,
    change: &dyn KeyChange,
) -> Result<Option<bool>, DbError> {
    session::begin(session).await?;
    match change.write(db, session).await {
        Ok(done) => Ok(match session::commit(session).await {
            Committed::Yes => Some(done),
            Committed::Unknown => None,
        }),
        Err(error) => {
            session::abort(session).await;
            Err(error)
        }
    }
}

struct FirstStoreKey {
    row: StoreKeyRow,
    mark: Bson,
}

impl KeyChange for FirstStoreKey {
    fn write<'a>(
        &'a self,
        db: &'a Database,
        session: &'a mut ClientSession,
    ) -> BoxFuture<'a, Result<bool, DbError>> {
        Box::pin(async move {
            // Two first keys cannot both be committed, nor one beside an append that puts another.
            hold_head(db, session).await?;
            let store_keys = db.collection::<Document>(STORE_KEYS);
            if let Some(found) =
                store_keys.find_one(doc! {}).sort(doc! { "seq": -1 }).session(&mut *session).await?
            {
                return Ok(found.get("mark") == Some(&self.mark));
            }
            let mut document = changes::store_key_document(&self.row, 1);
            document.insert("mark", self.mark.clone());
            store_keys.insert_one(document).session(session).await?;
            Ok(true)
        })
    }
}

/// Does not hold the head, so only this user's appends conflict with it. It changes every document
/// that it compares, so a concurrent change of one conflicts. A concurrent append that adds one
/// touches the user key, which conflicts too.
struct Rekey {
    from: UserRows,
    to: UserRows,
}

impl KeyChange for Rekey {
    fn write<'a>(
        &'a self,
        db: &'a Database,
        session: &'a mut ClientSession,
    ) -> BoxFuture<'a, Result<bool, DbError>> {
        Box::pin(async move {
            let owner = self.from.key.row.owner;
            let found = rows_in(db, session, owner).await?;
            if found.as_ref() != Some(&self.from) {
                return Ok(found.as_ref() == Some(&self.to));
            }
            let of_owner = doc! { "owner": id(owner.0) };
            db.collection::<Document>(USER_KEYS)
                .delete_many(of_owner)
                .session(&mut *session)
                .await?;
            let mut plan = Plan::default();
            for row in std::iter::once(RowChange::PutUserKey(self.to.key.row.clone()))
                .chain(self.to.sealed_rows())
            {
                // Unlike an append, this replaces rows without destroying what they protect: the
                // new key is not worn.
                let puts = changes::of(&row, 0).map_err(unstorable)?.into_iter();
                puts.filter(|change| !matches!(change, Change::Touch { .. }))
                    .for_each(|change| plan.change(change));
            }
            plan.write(db, session).await?;
            Ok(true)
        })
    }
}

fn unstorable(error: AppendError) -> StoreError {
    if let AppendError::Store(error) = error {
        error
    } else {
        StoreError::Unavailable("a value cannot be stored".to_owned())
    }
}
