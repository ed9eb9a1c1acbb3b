//! Rotation of the master key, beside servers that write. State is only what the rows say: which master key wraps a user key, and which
//! of the store's own keys is the newest. Killed anywhere and run again it goes on.
//!
//! 1. *Begin.* One append puts the store's own keys under the new master key, as the newest. From its commit on the store takes no new
//!    user key under another one, so the number of those left to move only falls.
//! 2. *Move.* Every user key is wrapped by the new master key; one that is worn gives way to a new version, and is never wrapped by the
//!    new master key: whoever has its old wrap, from a backup or the oplog, needs the old master key to open what was destroyed.
//! 3. *Prove.* Everything that hangs on a user key is opened with the new master key alone.
//! 4. *End.* One append says so, and removes the store's own keys under the old ones: a process without them boots.

use super::folds::decode;
use super::keychain::store_key_row;
use super::keys::scrub;
use super::master_keys::hex;
use super::rewrap::{open_all, rekeyed, rewrapped};
use crate::effects::Effects;
use claviger_domain::actor::Actor;
use claviger_domain::event::Payload as _;
use claviger_domain::id::{CommandId, CorrelationId, EventId, MasterKeyId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::system::{Rotated as RotatedFacts, RotationStarted, SystemEvent};
use claviger_projections::ports::{
    Append, AppendError, Expected, KekId, NewEvent, RowChange, Store, StoreError, StoreKeyRow,
    UserKeyState,
};
use claviger_vault::{Kek, KekSet, VaultError, open_canary, unwrap_store_index_key};
use futures::stream::{self, StreamExt as _};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Users of one batch: a rotation that is told to stop ends after it.
const BATCH: usize = 100;

/// User keys wrapped at the same time.
const AT_ONCE: usize = 16;

/// Worn user keys replaced at the same time.
const WORN_AT_ONCE: usize = 4;

/// How often something is tried that others change as well: the installation's stream, a user's rows.
const MAX_TRIES: usize = 10;

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many user keys are under the new master key.
    Moved {
        /// So many.
        users: u64,
        /// Of so many.
        of: u64,
    },
    /// So many users' keys opened with the new master key alone.
    Proved {
        /// So many.
        users: u64,
        /// Of so many.
        of: u64,
    },
}

/// What a rotation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Master keys that wrap nothing any more.
    pub from: Vec<KekId>,
    /// The one that wraps everything.
    pub to: KekId,
    /// User keys wrapped anew by this run.
    pub rewrapped: u64,
    /// Users who got a new user key by this run.
    pub rekeyed: u64,
    /// Users whose keys were opened with the new master key alone.
    pub users: u64,
    /// Secrets whose data keys were.
    pub secrets: u64,
}

/// Why a rotation didn't come to its end. Whatever it is, nothing is lost and running it again goes on.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The store failed.
    #[error("the store failed: {0}; run `claviger vault rotate` again to go on")]
    Store(#[from] StoreError),
    /// The installation's stream couldn't be written to.
    #[error("the rotation can't be recorded: {0}; run `claviger vault rotate` again to go on")]
    Unrecorded(AppendError),
    /// The store's own keys don't open.
    #[error("the store's own keys don't open: {0}")]
    StoreKeys(#[source] VaultError),
    /// A user's keys don't open.
    #[error(
        "the keys of user {owner} don't open ({reason}): run `claviger verify`; the old master keys must be kept"
    )]
    User {
        /// Whose.
        owner: UserId,
        /// Why.
        reason: VaultError,
    },
    /// It was told to stop.
    #[error(
        "stopped in order, {left} user keys are left: run `claviger vault rotate` again to go on; until then keep all master keys"
    )]
    Stopped {
        /// User keys that another master key wraps.
        left: u64,
    },
    /// There is nothing to lead to.
    #[error(
        "master key {}, the first of the list, wraps everything already: put a new one before it (`openssl rand -base64 32` \
         makes one), give it to every process of this store, then rotate", hex(*id)
    )]
    NothingToDo {
        /// The first key of the list.
        id: KekId,
    },
    /// It would lead back.
    #[error(
        "master key {}, the first of the list, was in use before: old copies may open under it what was deleted since; put a new \
         one before it (`openssl rand -base64 32` makes one)", hex(*id)
    )]
    UsedBefore {
        /// The first key of the list.
        id: KekId,
    },
    /// Another began meanwhile.
    #[error("another rotation began, which leads to master key {}: put that one first in the list and run `claviger vault rotate` again", hex(*by))]
    Overtaken {
        /// Where it leads.
        by: KekId,
    },
}

/// A rotation of the master key.
#[expect(missing_debug_implementations, reason = "keys")]
pub struct Rotation {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The master keys: the first is the one to lead to, and every other one that is in use must be among them.
    pub keks: KekSet,
    /// The outside world.
    pub effects: Effects,
}

impl Rotation {
    /// Begins, or goes on with what was begun, up to the end. Told to `stop`, it ends after the batch under way.
    ///
    /// # Errors
    /// [`RotationError`], which says how to go on.
    pub async fn run(
        &self,
        told: &(dyn Fn(Progress) + Sync),
        stop: &CancellationToken,
    ) -> Result<Rotated, RotationError> {
        self.begin().await?;
        let mut done = Rotated { to: self.to(), ..Rotated::default() };
        self.move_all(&mut done, told, stop).await?;
        self.prove(&mut done, told, stop).await?;
        self.end(&mut done).await?;
        scrub(&*self.store).await;
        Ok(done)
    }

    /// Whether the first master key of the list wraps everything, so that a rotation needs a new one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_done(&self) -> Result<bool, StoreError> {
        let rows = self.store.store_keys().await?;
        let only = matches!(rows.as_slice(), [row] if row.kek == self.to());
        Ok(only && self.left().await? == 0)
    }

    fn to(&self) -> KekId {
        self.keks.current().id()
    }

    /// How many user keys another master key wraps.
    async fn left(&self) -> Result<u64, StoreError> {
        let used = self.store.user_keys_by_kek().await?;
        Ok(used.iter().filter(|(kek, _)| *kek != self.to()).map(|(_, users)| users).sum())
    }

    /// The store's own keys, the newest first.
    async fn store_keys(&self) -> Result<(StoreKeyRow, Vec<StoreKeyRow>), RotationError> {
        let mut rows = self.store.store_keys().await?.into_iter();
        let newest = rows.next().ok_or(StoreError::Corrupt("no store key".to_owned()))?;
        Ok((newest, rows.collect()))
    }

    /// Makes the new master key the one that new user keys go under, unless it is already.
    async fn begin(&self) -> Result<(), RotationError> {
        for _ in 0..MAX_TRIES {
            let (newest, older) = self.store_keys().await?;
            if newest.kek == self.to() {
                return if self.is_done().await? {
                    Err(RotationError::NothingToDo { id: self.to() })
                } else {
                    Ok(())
                };
            }
            let (version, used) = self.used_before().await?;
            if older.iter().any(|row| row.kek == self.to()) || used {
                return Err(RotationError::UsedBefore { id: self.to() });
            }
            let index = unwrap_store_index_key(&self.keks, newest.kek, &newest.wrapped_index_key);
            let row = index.and_then(|index| {
                store_key_row(self.keks.current(), &index, &*self.effects.entropy)
            });
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

    /// The version of the installation's stream, and whether a rotation has led to or from this master key before.
    async fn used_before(&self) -> Result<(u64, bool), RotationError> {
        let (mut version, mut used, to) = (0, false, MasterKeyId(self.to()));
        loop {
            let events = self.store.read_stream(StreamName::System, version, BATCH).await?;
            let more = events.len() == BATCH;
            for event in &events {
                version = event.envelope.version;
                // What else happens to the installation is none of ours.
                if !SystemEvent::CURRENT.iter().any(|(kind, _)| *kind == event.envelope.kind) {
                    continue;
                }
                let unreadable = |_| {
                    StoreError::Corrupt(format!("event at position {}", event.envelope.position))
                };
                used |= match decode::<SystemEvent>(event, None).map_err(unreadable)? {
                    SystemEvent::MasterKeyRotationStarted(facts) => facts.to == to,
                    SystemEvent::MasterKeyRotated(facts) => facts.from.contains(&to),
                    SystemEvent::ProjectionRebuilt(_) => false,
                };
            }
            if !more {
                return Ok((version, used));
            }
        }
    }

    /// Appends to the installation's stream; `false` if somebody else did.
    async fn record(
        &self,
        version: u64,
        event: &SystemEvent,
        rows: Vec<RowChange>,
    ) -> Result<bool, RotationError> {
        let unwritable = |_| StoreError::Corrupt("an event can't be written".to_owned());
        let parts = event.parts().map_err(unwritable)?;
        let ids = &self.effects.ids;
        let event = NewEvent {
            id: EventId(ids.next()),
            kind: parts.kind.to_owned(),
            schema: parts.schema,
            facts: parts.facts,
            content: Vec::new(),
            subject: None,
        };
        let append = Append {
            stream: StreamName::System,
            owner: None,
            expected: if version == 0 { Expected::NoStream } else { Expected::Exact(version) },
            events: vec![event],
            at: self.effects.clock.now(),
            actor: Actor::OPERATOR,
            command_id: CommandId(ids.next().into_bytes()),
            correlation_id: CorrelationId(ids.next()),
            causation_id: None,
            rows,
            claims: Vec::new(),
            inline: None,
            record: None,
        };
        match self.store.append(append).await {
            Ok(_) => Ok(true),
            Err(AppendError::Conflict { .. }) => Ok(false),
            Err(error) => Err(RotationError::Unrecorded(error)),
        }
    }

    /// Brings every user key under the new master key.
    async fn move_all(
        &self,
        done: &mut Rotated,
        told: &(dyn Fn(Progress) + Sync),
        stop: &CancellationToken,
    ) -> Result<(), RotationError> {
        let of = self.store.user_keys_by_kek().await?.iter().map(|(_, users)| users).sum::<u64>();
        let mut users = of.saturating_sub(self.left().await?);
        told(Progress::Moved { users, of });
        let mut after = None;
        loop {
            self.go_on(stop).await?;
            let batch = self.store.user_keys(Some(self.to()), after, BATCH).await?;
            let Some(last) = batch.last() else {
                // Nothing new is made under the old ones, so a pass that finds nothing from the start is the last.
                match after.take() {
                    Some(_) => continue,
                    None => return Ok(()),
                }
            };
            after = Some(last.row.owner);
            users += batch.len() as u64;
            self.move_batch(batch, done).await?;
            told(Progress::Moved { users: users.min(of), of });
        }
    }

    /// Ends a rotation that was told to stop or that another has overtaken.
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
        done: &mut Rotated,
    ) -> Result<(), RotationError> {
        let (worn, whole): (Vec<_>, Vec<_>) = batch.into_iter().partition(|key| key.worn);
        let mut moved =
            stream::iter(whole).map(|key| self.move_user(key)).buffer_unordered(AT_ONCE);
        while let Some(how) = moved.next().await {
            done.count(how?);
        }
        drop(moved);
        // Larger transactions: a few at a time.
        let mut moved =
            stream::iter(worn).map(|key| self.move_user(key)).buffer_unordered(WORN_AT_ONCE);
        while let Some(how) = moved.next().await {
            done.count(how?);
        }
        Ok(())
    }

    /// Moves one user. One whose rows change all the time is left for the next pass, so that a rotation can always be stopped.
    async fn move_user(&self, mut key: UserKeyState) -> Result<How, RotationError> {
        let owner = key.row.owner;
        let failed = |reason| RotationError::User { owner, reason };
        for _ in 0..MAX_TRIES {
            if key.row.kek == self.to() {
                return Ok(How::NotByThis);
            }
            if key.worn {
                let Some(from) = self.store.user_rows(owner).await? else {
                    return Ok(How::NotByThis);
                };
                if from.key == key {
                    let to = rekeyed(&self.keks, &from, &*self.effects.entropy).map_err(failed)?;
                    if self.store.rekey_user(from, to).await? {
                        return Ok(How::Rekeyed);
                    }
                }
            } else {
                let to = rewrapped(&self.keks, &key.row, &*self.effects.entropy).map_err(failed)?;
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
        done: &mut Rotated,
        told: &(dyn Fn(Progress) + Sync),
        stop: &CancellationToken,
    ) -> Result<(), RotationError> {
        let alone = KekSet::new(vec![Kek::from_bytes(*self.keks.current().expose())])
            .map_err(RotationError::StoreKeys)?;
        let (newest, _) = self.store_keys().await?;
        alone
            .get(newest.kek)
            .and_then(|kek| open_canary(kek, &newest.canary))
            .map_err(RotationError::StoreKeys)?;
        unwrap_store_index_key(&alone, newest.kek, &newest.wrapped_index_key)
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
                let Some(secrets) = secrets? else { continue };
                (done.users, done.secrets) = (done.users + 1, done.secrets + secrets);
            }
            told(Progress::Proved { users: done.users.min(of), of });
        }
    }

    /// How many data keys of a user opened; `None` for one who was erased meanwhile.
    async fn prove_user(
        &self,
        alone: &KekSet,
        owner: UserId,
    ) -> Result<Option<u64>, RotationError> {
        let Some(rows) = self.store.user_rows(owner).await? else { return Ok(None) };
        open_all(alone, &rows).map(Some).map_err(|reason| RotationError::User { owner, reason })
    }

    /// Says that it is done, and removes what the old master keys wrap of the store's own.
    async fn end(&self, done: &mut Rotated) -> Result<(), RotationError> {
        for _ in 0..MAX_TRIES {
            let (newest, older) = self.store_keys().await?;
            if newest.kek != self.to() {
                return Err(RotationError::Overtaken { by: newest.kek });
            }
            if older.is_empty() {
                // The same rotation in another process was faster.
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

/// How a user key came under the new master key.
#[derive(Clone, Copy)]
enum How {
    Rewrapped,
    Rekeyed,
    /// By another rotation, or the user was erased, or it is left for the next pass.
    NotByThis,
}

impl Rotated {
    fn count(&mut self, how: How) {
        match how {
            How::Rewrapped => self.rewrapped += 1,
            How::Rekeyed => self.rekeyed += 1,
            How::NotByThis => {}
        }
    }
}
