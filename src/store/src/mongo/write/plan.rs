//! A batch's writes, combined into as few commands as possible: one `delete`, one `insert`, one
//! `update` per collection, each split where a command would grow too large. Several changes of one
//! document are resolved in memory.
//!
//! New documents are inserted, because an upsert costs the server about twice as much. Where it is
//! unknown whether documents exist, and there are enough of them to pay for it, one query finds
//! out.

use super::changes::Change;
use crate::mongo::error::DbError;
use crate::mongo::schema::{EVENTS, PARTS, USER_KEYS, id};
use claviger_domain::id::UserId;
use claviger_projections::ports::StoreError;
use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::{ClientSession, Database};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Approximate size limit of a command, in bytes: far below the server's own.
const COMMAND_BYTES: usize = 8 << 20;
/// Maximum number of statements in a command.
const COMMAND_STATEMENTS: usize = 5_000;
/// From this number of documents on, a query finds out which exist: fewer are upserted for less
/// than a round trip.
const ASK_FROM: usize = 16;

/// The final state of a document.
enum Row {
    Put { owner: Option<UserId>, document: Document, is_new: bool },
    Delete,
}

/// Statements of one collection, in the order they run.
#[derive(Default)]
struct Statements {
    deletes: Vec<Document>,
    inserts: Vec<Document>,
    updates: Vec<Document>,
}

#[derive(Default)]
struct Table {
    /// Deleted first, so that rows put by a later change remain.
    wipes: Vec<Document>,
    rows: HashMap<Bson, Row>,
    /// The owners of the documents that are touched, and whether these are marked as worn. Done
    /// last, so that documents put by the same batch are included.
    touched: BTreeMap<UserId, bool>,
}

/// What a batch writes.
#[derive(Default)]
pub(super) struct Plan {
    events: Vec<Document>,
    parts: Vec<Document>,
    tables: BTreeMap<&'static str, Table>,
}

impl Plan {
    /// Adds the events of an append.
    pub(super) fn insert(&mut self, events: Vec<Document>, parts: Vec<Document>) {
        self.events.extend(events);
        self.parts.extend(parts);
    }

    /// Adds a change, which comes after those added before.
    pub(super) fn change(&mut self, change: Change) {
        match change {
            Change::Put { collection, id, owner, document, is_new } => {
                let rows = &mut self.tables.entry(collection).or_default().rows;
                // If an earlier append of the batch deleted or put it, that alone may be why it
                // does not exist.
                let is_new = is_new && !rows.contains_key(&id);
                rows.insert(id, Row::Put { owner, document, is_new });
            }
            Change::Delete { collection, id } => {
                self.tables.entry(collection).or_default().rows.insert(id, Row::Delete);
            }
            Change::Wipe { collection, field, owner } => {
                self.tables.entry(collection).or_default().wipe(field, owner);
            }
            Change::Touch { owner, wear } => {
                *self.tables.entry(USER_KEYS).or_default().touched.entry(owner).or_default() |=
                    wear;
            }
        }
    }

    pub(super) async fn write(
        self,
        db: &Database,
        session: &mut ClientSession,
    ) -> Result<(), DbError> {
        for (collection, documents) in [(EVENTS, self.events), (PARTS, self.parts)] {
            run(db, session, ("insert", collection, "documents"), documents).await?;
        }
        for (collection, table) in self.tables {
            let there = table.there(db, session, collection).await?;
            let Statements { deletes, inserts, updates } = table.statements(there.as_ref());
            run(db, session, ("delete", collection, "deletes"), deletes).await?;
            run(db, session, ("insert", collection, "documents"), inserts).await?;
            run(db, session, ("update", collection, "updates"), updates).await?;
        }
        Ok(())
    }
}

impl Table {
    fn wipe(&mut self, field: &str, of: UserId) {
        self.wipes.push(doc! { field: id(of.0) });
        for row in self.rows.values_mut() {
            if matches!(row, Row::Put { owner, .. } if *owner == Some(of)) {
                // Deleted, not forgotten: the stored document may have been another owner's.
                *row = Row::Delete;
            }
        }
    }

    /// Which of the documents exist, if a query pays.
    async fn there(
        &self,
        db: &Database,
        session: &mut ClientSession,
        collection: &str,
    ) -> Result<Option<HashSet<Bson>>, DbError> {
        let unknown =
            self.rows.iter().filter(|(_, row)| matches!(row, Row::Put { is_new: false, .. }));
        let unknown: Vec<Bson> = unknown.map(|(id, _)| id.clone()).collect();
        if unknown.len() < ASK_FROM {
            return Ok(None);
        }
        let documents = db.collection::<Document>(collection);
        let found =
            documents.find(doc! { "_id": { "$in": unknown } }).projection(doc! { "_id": 1 });
        let mut found = found.session(&mut *session).await?;
        let found: Vec<Document> = found.stream(session).try_collect().await?;
        Ok(Some(found.into_iter().filter_map(|mut document| document.remove("_id")).collect()))
    }

    fn statements(self, there: Option<&HashSet<Bson>>) -> Statements {
        let deletes =
            self.wipes.into_iter().map(|filter| doc! { "q": filter, "limit": 0 }).collect();
        let mut statements = Statements { deletes, ..Statements::default() };
        for (id, row) in self.rows {
            match row {
                Row::Put { document, is_new, .. }
                    if is_new || there.is_some_and(|there| !there.contains(&id)) =>
                {
                    statements.inserts.push(document);
                }
                Row::Put { document, .. } => {
                    statements
                        .updates
                        .push(doc! { "q": { "_id": id }, "u": document, "upsert": true });
                }
                Row::Delete => statements.deletes.push(doc! { "q": { "_id": id }, "limit": 1 }),
            }
        }
        for (owner, wear) in self.touched {
            let mut change = doc! { "$inc": { "touch": 1_i64 } };
            if wear {
                change.insert("$set", doc! { "worn": true });
            }
            statements
                .updates
                .push(doc! { "q": { "owner": id(owner.0) }, "u": change, "multi": true });
        }
        statements
    }
}

/// Runs statements of one kind in a few commands. A write error has aborted the transaction.
async fn run(
    db: &Database,
    session: &mut ClientSession,
    (command, collection, field): (&str, &str, &str),
    statements: Vec<Document>,
) -> Result<(), DbError> {
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    for statement in statements {
        let size = statement.to_vec().map_or(COMMAND_BYTES, |encoded| encoded.len());
        if !chunk.is_empty() && (bytes + size > COMMAND_BYTES || chunk.len() >= COMMAND_STATEMENTS)
        {
            send(db, session, doc! { command: collection, field: std::mem::take(&mut chunk) })
                .await?;
            bytes = 0;
        }
        bytes += size;
        chunk.push(statement);
    }
    if chunk.is_empty() {
        Ok(())
    } else {
        send(db, session, doc! { command: collection, field: chunk }).await
    }
}

async fn send(
    db: &Database,
    session: &mut ClientSession,
    command: Document,
) -> Result<(), DbError> {
    let reply = db.run_command(command).session(session).await?;
    match reply.get_array("writeErrors").ok().and_then(|errors| errors.first()) {
        None => Ok(()),
        Some(error) => {
            let code =
                error.as_document().and_then(|error| error.get_i32("code").ok()).unwrap_or(0);
            Err(StoreError::Unavailable(format!(
                "MongoDB refused a statement with code {code}: see its log"
            ))
            .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mongo::schema::SESSIONS;
    use uuid::Uuid;

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    fn put(n: i64, owner: UserId) -> Change {
        let document = doc! { "_id": n, "owner": id(owner.0) };
        Change::Put {
            collection: SESSIONS,
            id: n.into(),
            owner: Some(owner),
            document,
            is_new: false,
        }
    }

    /// The same, known not to exist.
    fn put_new(n: i64, owner: UserId) -> Change {
        let document = doc! { "_id": n, "owner": id(owner.0) };
        Change::Put {
            collection: SESSIONS,
            id: n.into(),
            owner: Some(owner),
            document,
            is_new: true,
        }
    }

    fn wipe(owner: UserId) -> Change {
        Change::Wipe { collection: SESSIONS, field: "owner", owner }
    }

    /// What a collection holds after the statements, from what it held.
    fn applied(
        before: &[(i64, UserId)],
        changes: Vec<Change>,
        there: Option<&HashSet<Bson>>,
    ) -> Vec<(i64, UserId)> {
        let mut plan = Plan::default();
        for change in changes {
            plan.change(change);
        }
        let Statements { deletes, inserts, updates } =
            plan.tables.remove(SESSIONS).unwrap_or_default().statements(there);
        let mut rows: BTreeMap<i64, UserId> = before.iter().copied().collect();
        for delete in deletes {
            let filter = delete.get_document("q").unwrap();
            rows.retain(|n, owner| {
                let by_owner = filter.get("owner").is_none_or(|wanted| *wanted == id(owner.0));
                let by_id = filter.get("_id").is_none_or(|wanted| *wanted == Bson::from(*n));
                !(by_owner && by_id)
            });
        }
        let place = |document: &Document| {
            let owner = [user(1), user(2)]
                .into_iter()
                .find(|owner| document.get("owner") == Some(&id(owner.0)));
            (document.get_i64("_id").unwrap(), owner.unwrap())
        };
        for document in inserts {
            let (n, owner) = place(&document);
            assert_eq!(rows.insert(n, owner), None, "{n} is inserted and was there");
        }
        for update in updates {
            let (n, owner) = place(update.get_document("u").unwrap());
            rows.insert(n, owner);
        }
        rows.into_iter().collect()
    }

    #[test]
    fn changes_of_one_batch_come_out_as_if_made_one_by_one() {
        let (a, b) = (user(1), user(2));
        let delete = |n: i64| Change::Delete { collection: SESSIONS, id: n.into() };
        let table = [
            ("put what is new", vec![(2, b)], vec![put_new(1, a)], vec![(1, a), (2, b)]),
            (
                "put what is new once deleted",
                vec![(1, b)],
                vec![delete(1), put_new(1, a)],
                vec![(1, a)],
            ),
            (
                "put what is new once wiped",
                vec![(1, b)],
                vec![wipe(b), put_new(1, a)],
                vec![(1, a)],
            ),
            ("put what is new, replace", vec![], vec![put_new(1, a), put(1, b)], vec![(1, b)]),
            (
                "put what is new, delete, put again",
                vec![],
                vec![put_new(1, a), delete(1), put_new(1, b)],
                vec![(1, b)],
            ),
            ("put, replace", vec![], vec![put(1, a), put(1, b)], vec![(1, b)]),
            ("put, delete", vec![(1, a)], vec![put(1, a), delete(1)], vec![]),
            ("delete, put", vec![(1, a)], vec![delete(1), put(1, b)], vec![(1, b)]),
            ("put, wipe", vec![(2, a), (3, b)], vec![put(1, a), wipe(a)], vec![(3, b)]),
            ("wipe, put", vec![(2, a), (3, b)], vec![wipe(a), put(1, a)], vec![(1, a), (3, b)]),
            ("taken over, then wiped", vec![(1, b)], vec![put(1, a), wipe(a)], vec![]),
            (
                "taken over, then the old owner wiped",
                vec![(1, a)],
                vec![put(1, b), wipe(a)],
                vec![(1, b)],
            ),
        ];
        for (name, before, changes, after) in table {
            // The existing documents may have been queried, or not.
            let there: HashSet<Bson> = before.iter().map(|(n, _)| Bson::from(*n)).collect();
            for there in [None, Some(&there)] {
                assert_eq!(applied(&before, changes.clone(), there), after, "{name}");
            }
        }
    }
}
