//! The port of used tickets.

use super::error::{DbError, is_duplicate};
use super::schema::{USED_TICKETS, id};
use super::store::MongoStore;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{BoxFuture, StoreError, TICKET_MARGIN_MS, UsedTickets};
use futures::TryStreamExt as _;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::{Collection, Database};
use uuid::Uuid;

/// Each use forgets up to this many old ones: more than it adds, so that they don't pile up, and few
/// enough that nobody waits for it.
const SWEPT: i64 = 64;

impl UsedTickets for MongoStore {
    fn use_ticket(
        &self,
        ticket: Uuid,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let old = Timestamp(now.0.saturating_sub(TICKET_MARGIN_MS));
        self.ask(move |db| async move { use_once(&db, ticket, until, old).await })
    }
}

/// The key decides. If a reply is lost, the ticket may count as used although nobody was let in: its
/// holder makes another.
async fn use_once(
    db: &Database,
    ticket: Uuid,
    until: Timestamp,
    old: Timestamp,
) -> Result<bool, DbError> {
    let tickets = db.collection::<Document>(USED_TICKETS);
    match tickets.insert_one(doc! { "_id": id(ticket), "until": date(until) }).await {
        Ok(_) => {
            forget(&tickets, old).await?;
            Ok(true)
        }
        Err(error) if is_duplicate(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn forget(tickets: &Collection<Document>, old: Timestamp) -> Result<(), DbError> {
    let is_old = doc! { "until": { "$lte": date(old) } };
    let found = tickets.find(is_old).sort(doc! { "until": 1 }).limit(SWEPT).await?;
    let found: Vec<Document> = found.try_collect().await?;
    let ids: Vec<Bson> = found.into_iter().filter_map(|mut row| row.remove("_id")).collect();
    if !ids.is_empty() {
        tickets.delete_many(doc! { "_id": { "$in": ids } }).await?;
    }
    Ok(())
}

fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(i64::try_from(at.0).unwrap_or(i64::MAX))
}
