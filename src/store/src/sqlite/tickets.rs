//! The port of used tickets.

use super::store::SqliteStore;
use super::write::{Stop, Worked, stored};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{BoxFuture, StoreError, TICKET_MARGIN_MS, UsedTickets};
use rusqlite::{Connection, params};
use uuid::Uuid;

/// Each use forgets up to this many old ones: more than it adds, so that they don't pile up, and few
/// enough that nobody waits for it.
const SWEPT: u32 = 64;

impl UsedTickets for SqliteStore {
    fn use_ticket(
        &self,
        ticket: Uuid,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let old = now.0.saturating_sub(TICKET_MARGIN_MS);
        Box::pin(self.work(64, move |db| use_once(db, ticket, until.0, old)))
    }
}

fn use_once(
    connection: &Connection,
    ticket: Uuid,
    until: u64,
    old: u64,
) -> Result<Worked<bool>, Stop> {
    let sql = "INSERT INTO used_tickets (id, until) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    let values = params![ticket.as_bytes(), stored(until)?];
    if connection.prepare_cached(sql)?.execute(values)? == 0 {
        return Ok(Worked::nothing(false));
    }
    let sql = "DELETE FROM used_tickets WHERE id IN \
               (SELECT id FROM used_tickets WHERE until <= ?1 ORDER BY until LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![stored(old)?, SWEPT])?;
    Ok(Worked { answer: true, wrote: true })
}
