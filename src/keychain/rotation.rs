//! Rotation of the master key, while servers go on writing. The rows hold all state: which master
//! key wraps a user key, and which of the store's own keys is the newest. A rotation killed at any
//! point continues when it is run again.
//!
//! 1. *Begin.* One append stores the store's own keys under the new master key, as the newest.
//!    After its commit the store accepts no new user key under another one, so the number of keys
//!    left to move only falls.
//! 2. *Move.* Every user key is rewrapped by the new master key. A worn key, which could open data
//!    destroyed since, is replaced by a new version, and the new master key never wraps the old
//!    one: opening destroyed data with an old wrap, from a backup or the oplog, takes the old
//!    master key.
//! 3. *Prove.* Everything that user keys wrap is opened with the new master key alone.
//! 4. *End.* One append records the end, and removes the store's own keys under the old master
//!    keys: a process without those can start.

use super::evidence::Evidence;
use super::rewrap::{open_all, rekeyed, rewrapped};
use super::rotated::{Failed, How, Progress, Rotated, RotationError, Stop, Told, unless_failed};
use super::scrub;
use super::sealed_events::decode;
use super::signing::system_append;
use super::user_keys::store_key_row;
use crate::system::environment::Environment;
use claviger_domain::event::Payload as _;
use claviger_domain::id::{MasterKeyId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::system::{Rotated as RotatedFacts, RotationStarted, SystemEvent};
use claviger_projections::ports::{
    AppendError, KekId, RowChange, Store, StoreError, StoreKeyRow, Table, UserKeyState,
};
use claviger_vault::{Kek, KekSet, StoreKey, open_canary};
use futures::stream::{self, StreamExt as _};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Users per batch: a rotation that is stopped ends after its batch.
const BATCH: usize = 100;

/// Bytes of rows that are looked over at a time.
const PAGE: usize = 1 << 20;

/// User keys rewrapped concurrently.
const AT_ONCE: usize = 16;

/// Worn user keys replaced concurrently.
const WORN_AT_ONCE: usize = 4;

/// How often to retry a write that may conflict with others: to the installation's stream, or to a
/// user's rows.
const MAX_TRIES: usize = 10;

/// A rotation of the master key.
#[expect(missing_debug_implementations, reason = "keys")]
pub struct Rotation {
    pub store: Arc<dyn Store>,
    /// The master keys: the first is the new one, and all others in use must be among them.
    pub keks: KekSet,
    pub env: Environment,
}

impl Rotation {
    /// Starts a rotation, or continues an unfinished one, until the end. After `stop`, it ends with
    /// the current batch.
    ///
    /// # Errors
    /// [`RotationError`], whose message tells how to continue.
    pub async fn run(
        &self,
        told: Told<'_>,
        stop: &CancellationToken,
    ) -> Result<Rotated, RotationError> {
        self.sign().await?;
        self.begin().await?;
        let mut done = Rotated { to: self.to(), ..Rotated::default() };
        let mut failed = Failed::new();
        self.move_all((&mut done, &mut failed), told, stop).await?;
        self.prove((&mut done, &mut failed), told, stop).await?;
        let rows = self.unreadable().await?;
        if !failed.is_empty() || rows > 0 {
            return Err(RotationError::Users { users: failed.len(), rows });
        }
        self.end(&mut done).await?;
        scrub(&*self.store).await;
        Ok(done)
    }

    /// Whether the first master key of the list wraps everything, so that a rotation needs a new
    /// one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_done(&self) -> Result<bool, StoreError> {
        let rows = self.store.store_keys().await?;
        let only = matches!(rows.as_slice(), [row] if row.kek == self.to());
        Ok(only && self.left().await? == 0)
    }

    /// Has the store sign the rotation's own events. A key that does not open is named by what needs
    /// it next.
    async fn sign(&self) -> Result<(), RotationError> {
        let (newest, _) = self.store_keys().await?;
        if let Ok(key) = StoreKey::unwrap(&self.keks, newest.kek, &newest.wrapped_index_key) {
            self.store.sign_with(Arc::new(Evidence::new(key)));
        }
        Ok(())
    }

    fn to(&self) -> KekId {
        self.keks.current().id()
    }

    /// How many user keys another master key still wraps.
    async fn left(&self) -> Result<u64, StoreError> {
        let used = self.store.user_keys_by_kek().await?;
        Ok(used.iter().filter(|(kek, _)| *kek != self.to()).map(|(_, users)| users).sum())
    }

    /// The store's own keys: the newest, and the others.
    async fn store_keys(&self) -> Result<(StoreKeyRow, Vec<StoreKeyRow>), RotationError> {
        let mut rows = self.store.store_keys().await?.into_iter();
        let newest = rows.next().ok_or(StoreError::Corrupt("no store key".to_owned()))?;
        Ok((newest, rows.collect()))
    }

    /// Makes the new master key the one that wraps new user keys, unless it already is.
    async fn begin(&self) -> Result<(), RotationError> {
        for _ in 0..MAX_TRIES {
            // The stream first: an event that changes the store's keys between the two is a conflict.
            let (version, used) = self.used_before().await?;
            let (newest, older) = self.store_keys().await?;
            if newest.kek == self.to() {
                return if self.is_done().await? {
                    Err(RotationError::NothingToDo { id: self.to() })
                } else {
                    Ok(())
                };
            }
            if older.iter().any(|row| row.kek == self.to()) || used {
                return Err(RotationError::UsedBefore { id: self.to() });
            }
            let key = StoreKey::unwrap(&self.keks, newest.kek, &newest.wrapped_index_key);
            let row =
                key.and_then(|key| store_key_row(self.keks.current(), &key, &*self.env.entropy));
            let row = RowChange::PutStoreKey(row.map_err(RotationError::StoreKeys)?);
            let event = SystemEvent::MasterKeyRotationStarted(RotationStarted {
                to: MasterKeyId(self.to()),
            });
            if self.record(version, &event, vec![row]).await? {
                return Ok(());
            }
        }
        Err(RotationError::Unrecorded(AppendError::Conflict { actual: 0 }))
    }

    /// The version of the installation's stream, and whether an earlier rotation led to or from
    /// this master key.
    async fn used_before(&self) -> Result<(u64, bool), RotationError> {
        let (mut version, mut used, to) = (0, false, MasterKeyId(self.to()));
        loop {
            let events = self.store.read_stream(StreamName::System, version, BATCH).await?;
            let more = events.len() == BATCH;
            for event in &events {
                version = event.envelope.version;
                // The stream may contain events of types that this program does not read.
                if !SystemEvent::CURRENT.iter().any(|(kind, _)| *kind == event.envelope.kind) {
                    continue;
                }
                let unreadable = |_| {
                    StoreError::Corrupt(format!("event at position {}", event.envelope.position))
                };
                used |= match decode::<SystemEvent>(event, None).map_err(unreadable)? {
                    SystemEvent::MasterKeyRotationStarted(facts) => facts.to == to,
                    SystemEvent::MasterKeyRotated(facts) => facts.from.contains(&to),
                    SystemEvent::ProjectionRebuilt(_) | SystemEvent::SigningStarted(_) => false,
                };
            }
            if !more {
                return Ok((version, used));
            }
        }
    }

    /// Appends to the installation's stream; `false` after a conflict.
    async fn record(
        &self,
        version: u64,
        event: &SystemEvent,
        rows: Vec<RowChange>,
    ) -> Result<bool, RotationError> {
        let append = system_append(&self.env, version, event, rows)?;
        match self.store.append(append).await {
            Ok(_) => Ok(true),
            Err(AppendError::Conflict { .. }) => Ok(false),
            Err(error) => Err(RotationError::Unrecorded(error)),
        }
    }

    /// Moves every user key under the new master key.
    async fn move_all(
        &self,
        (done, failed): (&mut Rotated, &mut Failed),
        told: Told<'_>,
        stop: &CancellationToken,
    ) -> Result<(), RotationError> {
        let of = self.store.user_keys_by_kek().await?.iter().map(|(_, users)| users).sum::<u64>();
        let mut users = of.saturating_sub(self.left().await?);
        told(Progress::Moved { users, of });
        let (mut after, mut found) = (None, false);
        loop {
            self.go_on(stop).await?;
            let mut batch = self.store.user_keys(Some(self.to()), after, BATCH).await?;
            let Some(last) = batch.last() else {
                // No new user keys go under the old master keys, so a pass that finds none from the
                // start, but those that failed, is the last.
                if std::mem::take(&mut found) {
                    after = None;
                    continue;
                }
                return Ok(());
            };
            after = Some(last.row.owner);
            batch.retain(|key| !failed.contains(&key.row.owner));
            found |= !batch.is_empty();
            users += batch.len() as u64;
            self.move_batch(batch, (done, failed), told).await?;
            told(Progress::Moved { users: users.min(of), of });
        }
    }

    /// Fails if the rotation was stopped or another one has overtaken it.
    async fn go_on(&self, stop: &CancellationToken) -> Result<(), RotationError> {
        if stop.is_cancelled() {
            return Err(RotationError::Stopped { left: self.left().await? });
        }
        let by = self.store_keys().await?.0.kek;
        if by == self.to() { Ok(()) } else { Err(RotationError::Overtaken { by }) }
    }

    async fn move_batch(
        &self,
        batch: Vec<UserKeyState>,
        (done, failed): (&mut Rotated, &mut Failed),
        told: Told<'_>,
    ) -> Result<(), RotationError> {
        let (worn, whole): (Vec<_>, Vec<_>) = batch.into_iter().partition(|key| key.worn);
        let mut moved =
            stream::iter(whole).map(|key| self.move_user(key)).buffer_unordered(AT_ONCE);
        while let Some(how) = moved.next().await {
            done.count(unless_failed(how, failed, told)?);
        }
        drop(moved);
        // Larger transactions, so fewer at a time.
        let mut moved =
            stream::iter(worn).map(|key| self.move_user(key)).buffer_unordered(WORN_AT_ONCE);
        while let Some(how) = moved.next().await {
            done.count(unless_failed(how, failed, told)?);
        }
        Ok(())
    }

    /// Moves one user. A user whose rows keep changing is left for the next pass, so that a
    /// rotation can always be stopped.
    async fn move_user(&self, key: UserKeyState) -> (UserId, Result<How, Stop>) {
        (key.row.owner, self.try_to_move(key).await)
    }

    async fn try_to_move(&self, mut key: UserKeyState) -> Result<How, Stop> {
        let owner = key.row.owner;
        for _ in 0..MAX_TRIES {
            if key.row.kek == self.to() {
                return Ok(How::NotByThis);
            }
            if key.worn {
                let Some(from) = self.store.user_rows(owner).await? else {
                    return Ok(How::NotByThis);
                };
                if from.key == key {
                    let to = rekeyed(&self.keks, &from, &*self.env.entropy)?;
                    if self.store.rekey_user(from, to).await? {
                        return Ok(How::Rekeyed);
                    }
                }
            } else {
                let to = rewrapped(&self.keks, &key.row, &*self.env.entropy)?;
                if self.store.rewrap_user_key(key.row.clone(), to).await? {
                    return Ok(How::Rewrapped);
                }
            }
            let Some(now) = self.store.user_rows(owner).await? else { return Ok(How::NotByThis) };
            key = now.key;
        }
        Ok(How::NotByThis)
    }

    /// Opens everything with the new master key alone.
    async fn prove(
        &self,
        (done, failed): (&mut Rotated, &mut Failed),
        told: Told<'_>,
        stop: &CancellationToken,
    ) -> Result<(), RotationError> {
        let alone = KekSet::new(vec![Kek::from_bytes(*self.keks.current().expose())])
            .map_err(RotationError::StoreKeys)?;
        let (newest, _) = self.store_keys().await?;
        alone
            .get(newest.kek)
            .and_then(|kek| open_canary(kek, &newest.canary))
            .map_err(RotationError::StoreKeys)?;
        StoreKey::unwrap(&alone, newest.kek, &newest.wrapped_index_key)
            .map_err(RotationError::StoreKeys)?;
        let of = self.store.user_keys_by_kek().await?.iter().map(|(_, users)| users).sum::<u64>();
        let mut after = None;
        loop {
            self.go_on(stop).await?;
            let batch = self.store.user_keys(None, after, BATCH).await?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = Some(last.row.owner);
            let mut opened = stream::iter(batch)
                .map(|key| self.prove_user(&alone, key.row.owner))
                .buffer_unordered(AT_ONCE);
            while let Some(secrets) = opened.next().await {
                let secrets = unless_failed(secrets, failed, told)?;
                let Some(secrets) = secrets.flatten() else { continue };
                (done.users, done.secrets) = (done.users + 1, done.secrets + secrets);
            }
            told(Progress::Proved { users: done.users.min(of), of });
        }
    }

    /// The number of a user's data keys, all opened; `None` for a user erased meanwhile.
    async fn prove_user(
        &self,
        alone: &KekSet,
        owner: UserId,
    ) -> (UserId, Result<Option<u64>, Stop>) {
        let opened = async {
            let Some(rows) = self.store.user_rows(owner).await? else { return Ok(None) };
            Ok(Some(open_all(alone, &rows)?))
        };
        (owner, opened.await)
    }

    /// How many rows of user keys cannot be read. The passes leave them out.
    async fn unreadable(&self) -> Result<usize, StoreError> {
        let (mut rows, mut from) = (0, Some(None));
        while let Some(after) = from {
            let page = self.store.inspect(Table::UserKeys, after, PAGE).await?;
            rows += page.rows.iter().filter(|row| row.is_err()).count();
            from = page.next.map(Some);
        }
        Ok(rows)
    }

    /// Records the end, and removes the store's own keys under the old master keys.
    async fn end(&self, done: &mut Rotated) -> Result<(), RotationError> {
        for _ in 0..MAX_TRIES {
            let (newest, older) = self.store_keys().await?;
            if newest.kek != self.to() {
                return Err(RotationError::Overtaken { by: newest.kek });
            }
            if older.is_empty() {
                // The same rotation in another process finished first.
                return Ok(());
            }
            done.from = older.iter().map(|row| row.kek).collect();
            let facts = RotatedFacts {
                from: done.from.iter().copied().map(MasterKeyId).collect(),
                to: MasterKeyId(done.to),
                rewrapped: done.rewrapped,
                rekeyed: done.rekeyed,
            };
            let rows = done.from.iter().copied().map(RowChange::DeleteStoreKey).collect();
            let (version, _) = self.used_before().await?;
            if self.record(version, &SystemEvent::MasterKeyRotated(facts), rows).await? {
                return Ok(());
            }
        }
        Err(RotationError::Unrecorded(AppendError::Conflict { actual: 0 }))
    }
}
