//! A new user key: everything that hangs on the old one changes in one transaction.

use super::changes::{self, Change};
use super::plan::Plan;
use super::transaction::hold_head;
use crate::store::mongo::error::DbError;
use crate::store::mongo::read::rows_in;
use crate::store::mongo::schema::{USER_KEYS, id};
use crate::store::mongo::session::{self, Committed};
use claviger_projections::ports::{AppendError, RowChange, StoreError, UserRows};
use mongodb::bson::{Document, doc};
use mongodb::{ClientSession, Database};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a transaction is tried again before the rekeying is refused as unavailable.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Compares everything and changes everything. The head is held first, as by every append: an append that has sealed under the old key
/// and reads its version has committed before, and then this finds its rows, or comes after, and is refused. Idempotent by what it
/// writes, whose nonces are random: a try that finds its own rows has been there before.
pub(in crate::store::mongo) async fn rekey_user(db: &Database, from: UserRows, to: UserRows) -> Result<bool, DbError> {
    let began = Instant::now();
    let mut session = db.client().start_session().await?;
    for tries in 0.. {
        match Box::pin(attempt(db, &mut session, &from, &to)).await {
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

/// Tries once; `None` if nobody knows how the commit ended.
async fn attempt(db: &Database, session: &mut ClientSession, from: &UserRows, to: &UserRows) -> Result<Option<bool>, DbError> {
    session::begin(session).await?;
    match write(db, session, from, to).await {
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

async fn write(db: &Database, session: &mut ClientSession, from: &UserRows, to: &UserRows) -> Result<bool, DbError> {
    hold_head(db, session).await?;
    let found = rows_in(db, session, from.key.row.owner).await?;
    if found.as_ref() == Some(to) {
        return Ok(true);
    }
    if found.as_ref() != Some(from) {
        return Ok(false);
    }
    let owner = doc! { "owner": id(from.key.row.owner.0) };
    db.collection::<Document>(USER_KEYS).delete_many(owner).session(&mut *session).await?;
    let mut plan = Plan::default();
    for row in std::iter::once(RowChange::PutUserKey(to.key.row.clone())).chain(to.sealed_rows()) {
        // What is replaced here is no loss, unlike what an append replaces: the new key isn't worn.
        let puts = changes::of(&row, 0).map_err(unstorable)?.into_iter().filter(|change| !matches!(change, Change::Wear(_)));
        puts.for_each(|change| plan.change(change));
    }
    plan.write(db, session).await?;
    Ok(true)
}

fn unstorable(error: AppendError) -> StoreError {
    if let AppendError::Store(error) = error { error } else { StoreError::Unavailable("a value can't be stored".to_owned()) }
}
