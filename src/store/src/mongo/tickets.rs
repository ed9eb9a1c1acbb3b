//! The port of used tickets. The server forgets them by itself.

use super::error::{DbError, is_duplicate};
use super::schema::{USED_TICKETS, id};
use super::store::MongoStore;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{BoxFuture, StoreError, UsedTickets};
use mongodb::Database;
use mongodb::bson::{DateTime, Document, doc};
use uuid::Uuid;

impl UsedTickets for MongoStore {
    fn use_ticket(
        &self,
        ticket: Uuid,
        until: Timestamp,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.ask(move |db| async move { use_once(&db, ticket, until).await })
    }
}

/// The key decides. If a reply is lost, the ticket may count as used although nobody was let in: its
/// holder makes another.
async fn use_once(db: &Database, ticket: Uuid, until: Timestamp) -> Result<bool, DbError> {
    let until = DateTime::from_millis(i64::try_from(until.0).unwrap_or(i64::MAX));
    let used = doc! { "_id": id(ticket), "until": until };
    match db.collection::<Document>(USED_TICKETS).insert_one(used).await {
        Ok(_) => Ok(true),
        Err(error) if is_duplicate(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
