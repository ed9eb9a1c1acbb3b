//! Stores that are broken on purpose: each hands everything to a whole store and does one thing
//! wrong.

use super::how::How;
use crate::harness::bent::{Answer, Bent};
use claviger_domain::actor::Actor;
use claviger_domain::id::{EventId, RunId, SessionId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Advance, AdvanceError, Append, AppendError, Appended, BoxFuture, ClaimChange, DeltaRow,
    Direction, Expected, FlushError, HistoryFilter, Hold, Holder, InlineViews, KekId, LeaseName,
    Page, PageOf, Placed, Replace, ReplaceError, RowChange, Store, StoreError, StoredEvent,
    UserKeyRow, UserKeyState, UserRows, ViewRow,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

pub(super) struct Broken {
    pub(super) inner: Arc<dyn Store>,
    pub(super) how: How,
    counter: AtomicU64,
    given: Mutex<HashMap<EventId, u64>>,
}

impl Broken {
    pub(super) fn new(inner: Arc<dyn Store>, how: How) -> Self {
        Self { inner, how, counter: AtomicU64::new(0), given: Mutex::default() }
    }

    async fn append_wrongly(&self, mut append: Append) -> Result<Appended, AppendError> {
        match self.how {
            How::InlineTwice => {
                append.inline = append.inline.map(|view| Arc::new(Twice(view)) as _);
            }
            How::NoClaimCheck => {
                append.claims = append.claims.into_iter().flat_map(without_check).collect();
            }
            How::NoRecords => append.record = None,
            How::RelianceForgotten => append.relies_on.unchanged.clear(),
            How::RowsUncounted => append.relies_on.fewer = None,
            How::CredentialForgotten => append.actor.credential = None,
            How::FactsReencoded => {
                for event in &mut append.events {
                    let facts: serde_json::Value = serde_json::from_slice(&event.facts).unwrap();
                    event.facts = serde_json::to_vec(&facts).unwrap();
                }
            }
            How::EventsOneByOne => return self.append_one_by_one(append).await,
            How::RowsOfRefusals => return self.append_with_rows_of_refusals(append).await,
            How::CounterOutsideTheTransaction => return self.append_with_counter(append).await,
            // Gives up its turn first: a caller that asks once and goes away never gets to the
            // store.
            How::DroppedWithItsCaller => tokio::task::yield_now().await,
            How::UnsortedRead
            | How::CursorAtInsteadOfAfter
            | How::CursorOneTooFar
            | How::TiesSkipped
            | How::OwnersRestSkipped
            | How::RotationAlwaysWon
            | How::StaleRead
            | How::OwnerForgotten
            | How::LeaseForAll
            | How::AdvanceTwice
            | How::CheckpointWithoutRows
            | How::Unfenced
            | How::RepairFromOldEvents
            | How::RewrapsWithoutCompare
            | How::RekeysWithoutCompare
            | How::WearForgotten
            | How::TextReplaced
            | How::TakenTextHidden
            | How::TextOfOneRunOnly
            | How::NeighboursOfTakenTextLost
            | How::TextCountedPastAGap => {}
            How::SealedUnderAnyKey => {
                for row in &mut append.rows {
                    self.seal_anyhow(row).await?;
                }
            }
        }
        self.inner.append(append).await
    }

    async fn seal_anyhow(&self, row: &mut RowChange) -> Result<(), StoreError> {
        let Some((owner, _)) = row.sealed_under() else { return Ok(()) };
        let Some(newest) = self.inner.user_key(owner).await? else { return Ok(()) };
        if let RowChange::PutSecret(row) = row {
            row.user_key_version = newest.version;
        }
        Ok(())
    }

    async fn append_one_by_one(&self, mut append: Append) -> Result<Appended, AppendError> {
        let Some(last) = append.events.pop() else { return self.inner.append(append).await };
        let mut placed = Vec::new();
        for event in std::mem::take(&mut append.events) {
            let one = Append {
                events: vec![event],
                rows: vec![],
                claims: vec![],
                inline: None,
                record: None,
                ..append.clone()
            };
            let done = self.inner.append(one).await?;
            append.expected = Expected::Exact(done.version);
            placed.extend(done.placed);
        }
        let done = self.inner.append(Append { events: vec![last], ..append }).await?;
        placed.extend(&done.placed);
        Ok(Appended { placed, ..done })
    }

    async fn append_with_rows_of_refusals(&self, append: Append) -> Result<Appended, AppendError> {
        let (rows, events) = (append.rows.clone(), append.events.clone());
        let (stream, actor) = (StreamName::Run(Uuid::max()), Actor::SYSTEM);
        let beside =
            Append { stream, actor, events, rows, expected: Expected::NoStream, ..append.clone() };
        let answer = self.inner.append(append).await;
        if answer.is_err() {
            drop(
                self.inner
                    .append(Append { claims: vec![], inline: None, record: None, ..beside })
                    .await,
            );
        }
        answer
    }

    async fn append_with_counter(&self, append: Append) -> Result<Appended, AppendError> {
        let count = append.events.len() as u64;
        let first = self.counter.fetch_add(count, Ordering::SeqCst) + 1;
        let mut done = self.inner.append(append).await?;
        for (placed, position) in done.placed.iter_mut().zip(first..) {
            self.given.lock().unwrap().insert(placed.id, position);
            placed.position = position;
        }
        done.position = first + count - 1;
        Ok(done)
    }

    async fn read_wrongly(&self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let after = if self.how == How::CursorAtInsteadOfAfter {
            after.saturating_sub(1)
        } else {
            after.saturating_add(u64::from(self.how == How::CursorOneTooFar && after > 0))
        };
        let mut found = self.inner.read(after, limit).await?;
        if self.how == How::UnsortedRead {
            found.reverse();
        } else if self.how == How::StaleRead {
            found.pop();
        } else if self.how == How::CounterOutsideTheTransaction {
            let given = self.given.lock().unwrap();
            for event in &mut found {
                event.envelope.position = given[&event.envelope.id];
            }
            found.sort_by_key(|event| event.envelope.position);
        }
        Ok(found)
    }

    async fn flush_wrongly(&self, mut rows: Vec<DeltaRow>) -> Result<(), FlushError> {
        if self.how == How::TextOfOneRunOnly {
            let first = rows.first().map(|row| row.place.run);
            rows.retain(|row| Some(row.place.run) == first);
        } else if self.how == How::TextReplaced {
            for row in &rows {
                self.inner.expire_deltas(row.owner, row.place.run).await?;
            }
        } else if self.how == How::NeighboursOfTakenTextLost {
            for row in &rows {
                let there =
                    self.inner.deltas(row.place.run, (row.place.v, row.place.d - 1), 1).await?;
                if there
                    .first()
                    .is_some_and(|there| there.place == row.place && there.sealed != row.sealed)
                {
                    return Err(FlushError::Taken(vec![row.place]));
                }
            }
        }
        match self.inner.flush(rows).await {
            Err(FlushError::Taken(_)) if self.how == How::TakenTextHidden => Ok(()),
            answer @ (Ok(()) | Err(_)) => answer,
        }
    }

    async fn history_wrongly(
        &self,
        filter: HistoryFilter,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut log = self.inner.read(filter.above.unwrap_or(0), limit).await?;
        log.retain(|event| filter.below.is_none_or(|below| event.envelope.position < below));
        Ok(log)
    }
}

/// What two calls of a view give, one after the other.
struct Twice(Arc<dyn InlineViews>);

impl InlineViews for Twice {
    fn rows(&self, placed: &[Placed]) -> Result<Vec<RowChange>, StoreError> {
        let mut rows = self.0.rows(placed)?;
        rows.extend(self.0.rows(placed)?);
        Ok(rows)
    }
}

/// Releases a value before it is taken, also from another holder.
fn without_check(change: ClaimChange) -> Vec<ClaimChange> {
    match change {
        ClaimChange::Take { kind, hash, .. } => vec![ClaimChange::Release { kind, hash }, change],
        ClaimChange::Release { .. } => vec![change],
    }
}

impl Bent for Broken {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(self.append_wrongly(append))
    }

    fn read(&self, after: u64, limit: usize) -> Answer<'_, Vec<StoredEvent>> {
        Box::pin(self.read_wrongly(after, limit))
    }

    fn history(
        &self,
        owner: UserId,
        filter: HistoryFilter,
        direction: Direction,
        limit: usize,
    ) -> Answer<'_, Vec<StoredEvent>> {
        if self.how == How::OwnerForgotten {
            return Box::pin(self.history_wrongly(filter, limit));
        }
        self.inner.history(owner, filter, direction, limit)
    }

    fn rotate_session(
        &self,
        id: SessionId,
        from: u32,
        now: Timestamp,
        until: Timestamp,
        mac: Option<[u8; 32]>,
    ) -> Answer<'_, bool> {
        Box::pin(async move {
            let rotated = self.inner.rotate_session(id, from, now, until, mac).await?;
            Ok(rotated || self.how == How::RotationAlwaysWon)
        })
    }

    fn user_keys(
        &self,
        not_under: Option<KekId>,
        after: Option<UserId>,
        limit: usize,
    ) -> Answer<'_, Vec<UserKeyState>> {
        Box::pin(async move {
            let mut found = self.inner.user_keys(not_under, after, limit).await?;
            for key in &mut found {
                key.worn &= self.how != How::WearForgotten;
            }
            Ok(found)
        })
    }

    fn user_rows(&self, owner: UserId) -> Answer<'_, Option<UserRows>> {
        Box::pin(async move {
            let mut found = self.inner.user_rows(owner).await?;
            if let Some(rows) = &mut found {
                rows.key.worn &= self.how != How::WearForgotten;
            }
            Ok(found)
        })
    }

    fn rewrap_user_key(&self, mut from: UserKeyRow, to: UserKeyRow) -> Answer<'_, bool> {
        Box::pin(async move {
            if let (How::RewrapsWithoutCompare, Some(now)) =
                (self.how, self.inner.user_key(from.owner).await?)
            {
                from = now;
            }
            self.inner.rewrap_user_key(from, to).await
        })
    }

    fn rekey_user(&self, mut from: UserRows, to: UserRows) -> Answer<'_, bool> {
        Box::pin(async move {
            if let (How::RekeysWithoutCompare, Some(now)) =
                (self.how, self.inner.user_rows(from.key.row.owner).await?)
            {
                from = now;
            }
            self.inner.rekey_user(from, to).await
        })
    }

    fn page(&self, view: &'static str, owner: UserId, mut page: Page) -> Answer<'_, PageOf> {
        if self.how == How::TiesSkipped {
            page.after = page.after.map(|(sort, _)| (sort, Uuid::nil()));
        }
        self.inner.page(view, owner, page)
    }

    fn rows_of_all(
        &self,
        view: &'static str,
        mut after: Option<(UserId, Uuid)>,
        limit: usize,
    ) -> Answer<'_, Vec<ViewRow>> {
        if self.how == How::OwnersRestSkipped {
            after = after.map(|(owner, _)| (owner, Uuid::max()));
        }
        self.inner.rows_of_all(view, after, limit)
    }

    fn flush(&self, rows: Vec<DeltaRow>) -> BoxFuture<'_, Result<(), FlushError>> {
        Box::pin(self.flush_wrongly(rows))
    }

    fn count_deltas(&self, run: RunId, v: u64) -> Answer<'_, u64> {
        if self.how != How::TextCountedPastAGap {
            return self.inner.count_deltas(run, v);
        }
        Box::pin(async move {
            let rows = self.inner.deltas(run, (v, 0), usize::MAX).await?;
            Ok(rows.iter().filter(|row| row.place.v == v).count() as u64)
        })
    }

    fn hold(&self, name: LeaseName, holder: Holder, ttl_ms: u64) -> Answer<'_, Hold> {
        Box::pin(async move {
            let held = self.inner.hold(name, holder, ttl_ms).await?;
            Ok(if self.how == How::LeaseForAll { Hold::Ours { token: 1 } } else { held })
        })
    }

    fn advance(&self, advance: Advance) -> BoxFuture<'_, Result<(), AdvanceError>> {
        Box::pin(self.advance_wrongly(advance))
    }

    fn replace(&self, replace: Replace) -> BoxFuture<'_, Result<(), ReplaceError>> {
        Box::pin(self.replace_wrongly(replace))
    }
}
