//! The data that a batch's decisions depend on: read in its transaction, after the head is held.

use super::counted::Counted;
use super::keys::Keys;
use crate::mongo::cells::Cells;
use crate::mongo::error::DbError;
use crate::mongo::read::{claim_key, claim_of, command_key, event_key, event_place, record_of};
use crate::mongo::schema::{CLAIMS, COMMANDS, EVENTS, id};
use claviger_domain::id::{CommandId, EventId, UserId};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{
    Append, ClaimChange, ClaimKind, CommandRecord, Expected, RecordChange,
};
use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::{ClientSession, Database};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// The end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamEnd {
    /// 0 if the stream does not exist.
    pub(super) version: u64,
    /// Its owner; `None` for a stream that does not exist.
    pub(super) owner: Option<UserId>,
}

/// What the appends of a batch are decided by, including the changes made by earlier appends of the
/// batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) streams: HashMap<StreamName, StreamEnd>,
    pub(super) records: HashMap<CommandId, CommandRecord>,
    pub(super) claims: HashMap<(ClaimKind, [u8; 32]), (UserId, Uuid)>,
    pub(super) event_ids: HashSet<EventId>,
    pub(super) keys: Keys,
    pub(super) counted: Counted,
}

/// The transaction of a batch.
pub(super) struct Reader<'a> {
    pub(super) db: &'a Database,
    pub(super) session: &'a mut ClientSession,
}

impl Reader<'_> {
    pub(super) async fn find(
        &mut self,
        collection: &str,
        filter: Document,
        fields: Document,
    ) -> Result<Vec<Document>, DbError> {
        let documents = self.db.collection::<Document>(collection);
        let mut cursor =
            documents.find(filter).projection(fields).session(&mut *self.session).await?;
        Ok(cursor.stream(self.session).try_collect().await?)
    }

    pub(super) async fn among(
        &mut self,
        collection: &str,
        field: &str,
        wanted: Vec<Bson>,
        fields: Document,
    ) -> Result<Vec<Document>, DbError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        self.find(collection, doc! { field: { "$in": wanted } }, fields).await
    }

    /// Reads everything the appends need.
    pub(super) async fn known(&mut self, appends: &[&Append]) -> Result<Known, DbError> {
        let streams = self.streams(appends).await?;
        Ok(Known {
            streams,
            records: self.records(appends).await?,
            claims: self.claims(appends).await?,
            event_ids: self.event_ids(appends).await?,
            keys: self.keys(appends).await?,
            counted: self.counted(appends).await?,
        })
    }

    /// The ends of the streams. Nearly always a stream ends where its append expects it: the
    /// expected last event exists, and the one after it does not. One query checks that for all
    /// streams.
    async fn streams(
        &mut self,
        appends: &[&Append],
    ) -> Result<HashMap<StreamName, StreamEnd>, DbError> {
        let mut expected: HashMap<StreamName, u64> = HashMap::new();
        for append in appends {
            expected.entry(append.stream).or_insert(match append.expected {
                Expected::NoStream => 0,
                Expected::Exact(version) => version,
            });
            for (stream, version) in &append.relies_on.unchanged {
                expected.entry(*stream).or_insert(*version);
            }
        }
        let near = expected.iter().flat_map(|(stream, version)| {
            [*version, version.saturating_add(1)].map(|version| event_key(*stream, version).into())
        });
        let wanted: Vec<Bson> = near.collect();
        let found = self.among(EVENTS, "_id", wanted, doc! { "owner": 1 }).await?;
        let mut owners: HashMap<(StreamName, u64), Option<UserId>> = HashMap::new();
        for document in found {
            let cells = Cells::new(EVENTS, document);
            owners.insert(event_place(&cells)?, cells.opt_id("owner")?.map(UserId));
        }
        let mut ends = HashMap::new();
        for (stream, version) in expected {
            let ended = !owners.contains_key(&(stream, version.saturating_add(1)));
            let end = match owners.get(&(stream, version)) {
                Some(owner) if ended => StreamEnd { version, owner: *owner },
                None if version == 0 && ended => StreamEnd { version: 0, owner: None },
                Some(_) | None => self.end_of(stream).await?,
            };
            ends.insert(stream, end);
        }
        Ok(ends)
    }

    /// The end of one stream, found by its last event.
    async fn end_of(&mut self, stream: StreamName) -> Result<StreamEnd, DbError> {
        let filter =
            doc! { "_id": { "$gte": event_key(stream, 0), "$lte": event_key(stream, u64::MAX) } };
        let events = self.db.collection::<Document>(EVENTS);
        let last = events
            .find_one(filter)
            .sort(doc! { "_id": -1 })
            .projection(doc! { "owner": 1 })
            .session(&mut *self.session);
        let Some(last) = last.await? else { return Ok(StreamEnd { version: 0, owner: None }) };
        let cells = Cells::new(EVENTS, last);
        Ok(StreamEnd { version: event_place(&cells)?.1, owner: cells.opt_id("owner")?.map(UserId) })
    }

    async fn records(
        &mut self,
        appends: &[&Append],
    ) -> Result<HashMap<CommandId, CommandRecord>, DbError> {
        let wanted = appends.iter().filter_map(|append| match &append.record {
            Some(RecordChange::Insert { .. }) => Some(command_key(append.command_id)),
            Some(RecordChange::Close { command_id }) => Some(command_key(*command_id)),
            None => None,
        });
        let wanted = wanted.collect();
        let found = self.among(COMMANDS, "_id", wanted, doc! {}).await?;
        let records = found.into_iter().map(|document| {
            record_of(&Cells::new(COMMANDS, document)).map(|record| (record.command_id, record))
        });
        Ok(records.collect::<Result<_, _>>()?)
    }

    async fn claims(
        &mut self,
        appends: &[&Append],
    ) -> Result<HashMap<(ClaimKind, [u8; 32]), (UserId, Uuid)>, DbError> {
        let mut keys: HashMap<Bson, (ClaimKind, [u8; 32])> = HashMap::new();
        for claim in appends.iter().flat_map(|append| &append.claims) {
            if let ClaimChange::Take { kind, hash, .. } = claim {
                keys.insert(claim_key(*kind, hash), (*kind, *hash));
            }
        }
        let found = self.among(CLAIMS, "_id", keys.keys().cloned().collect(), doc! {}).await?;
        let mut claims = HashMap::new();
        for document in found {
            if let Some(key) = document.get("_id").and_then(|id| keys.get(id)) {
                claims.insert(*key, claim_of(document)?);
            }
        }
        Ok(claims)
    }

    async fn event_ids(&mut self, appends: &[&Append]) -> Result<HashSet<EventId>, DbError> {
        let wanted: Vec<EventId> =
            appends.iter().flat_map(|append| &append.events).map(|event| event.id).collect();
        self.present(wanted.iter().copied()).await
    }

    /// Which of these events are in the log.
    pub(super) async fn present(
        &mut self,
        wanted: impl Iterator<Item = EventId>,
    ) -> Result<HashSet<EventId>, DbError> {
        let wanted = wanted.map(|event| id(event.0)).collect();
        let found = self.among(EVENTS, "id", wanted, doc! { "id": 1 }).await?;
        let ids =
            found.into_iter().map(|document| Cells::new(EVENTS, document).id("id").map(EventId));
        Ok(ids.collect::<Result<_, _>>()?)
    }
}
