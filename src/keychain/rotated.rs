//! What a rotation of the master key tells: its progress, its result, and why it did not finish. One
//! user's keys that do not open end nothing but that user's part.

use super::master_keys::hex;
use claviger_domain::id::UserId;
use claviger_projections::ports::{AppendError, KekId, StoreError};
use claviger_vault::VaultError;
use std::collections::BTreeSet;

/// The progress of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// User keys under the new master key.
    Moved {
        /// Done so far.
        users: u64,
        /// The total.
        of: u64,
    },
    /// A user whose keys do not open is left aside.
    Failed { owner: UserId, reason: UserTrouble },
    /// Users whose keys opened with the new master key alone.
    Proved {
        /// Done so far.
        users: u64,
        /// The total.
        of: u64,
    },
}

/// The result of a rotation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Master keys that no longer wrap anything.
    pub from: Vec<KekId>,
    /// The master key that wraps everything.
    pub to: KekId,
    /// User keys rewrapped by this run.
    pub rewrapped: u64,
    /// Users who got a new user key in this run.
    pub rekeyed: u64,
    /// Users whose keys were opened with the new master key alone.
    pub users: u64,
    /// Secrets whose data keys were opened.
    pub secrets: u64,
}

/// Why a rotation didn't finish. In every case nothing is lost, and running it again continues.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    #[error("the store failed: {0}; run `claviger vault rotate` again to continue")]
    Store(#[from] StoreError),
    /// The write to the installation's stream failed.
    #[error("cannot record the rotation: {0}; run `claviger vault rotate` again to continue")]
    Unrecorded(AppendError),
    #[error("the store's own keys do not open: {0}")]
    StoreKeys(#[source] VaultError),
    /// All that opens is under the new master key, and some does not open.
    #[error(
        "the keys of {users} users do not open, and {rows} rows of user keys cannot be read; everybody \
         else's are under the new master key: keep the old master keys, run `claviger verify`, restore \
         what it names from a backup, then run `claviger vault rotate` again"
    )]
    Users {
        users: usize,
        /// Rows that name no user.
        rows: usize,
    },
    /// It was stopped.
    #[error(
        "stopped in order, {left} user keys are left: run `claviger vault rotate` again to \
         continue; until then keep all master keys"
    )]
    Stopped {
        /// User keys that another master key still wraps.
        left: u64,
    },
    /// The first master key of the list already wraps everything.
    #[error(
        "master key {}, the first of the list, already wraps everything: put a new one before it \
         (`openssl rand -base64 32` makes one), give it to every process of this store, then rotate", hex(*id)
    )]
    NothingToDo {
        /// The first key of the list.
        id: KekId,
    },
    /// The first master key of the list was in use before.
    #[error(
        "master key {}, the first of the list, was in use before: old copies may open under it \
         what was deleted since; put a new one before it (`openssl rand -base64 32` makes one)", hex(*id)
    )]
    UsedBefore {
        /// The first key of the list.
        id: KekId,
    },
    /// Another rotation began meanwhile.
    #[error("another rotation began, to master key {}: put that one first in the list and run \
             `claviger vault rotate` again", hex(*by))]
    Overtaken {
        /// The other rotation's new master key.
        by: KekId,
    },
}

/// Why a user's keys stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserTrouble {
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A row cannot be read.
    #[error(transparent)]
    Row(StoreError),
}

/// Why a user is not done.
pub(super) enum Stop {
    /// Something is wrong with this user's rows only.
    User(UserTrouble),
    Rotation(RotationError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(_) => Self::User(UserTrouble::Row(error)),
            StoreError::Gap { .. } | StoreError::Unavailable(_) | StoreError::Closed => {
                Self::Rotation(error.into())
            }
        }
    }
}

impl From<VaultError> for Stop {
    fn from(error: VaultError) -> Self {
        Self::User(error.into())
    }
}

/// Told what is done.
pub(super) type Told<'a> = &'a (dyn Fn(Progress) + Sync);

/// Users whose keys do not open. They hold nobody else's.
pub(super) type Failed = BTreeSet<UserId>;

/// What became of a user; `None` for one that failed.
pub(super) fn unless_failed<T>(
    (owner, went): (UserId, Result<T, Stop>),
    failed: &mut Failed,
    told: Told<'_>,
) -> Result<Option<T>, RotationError> {
    match went {
        Ok(done) => Ok(Some(done)),
        Err(Stop::Rotation(error)) => Err(error),
        Err(Stop::User(reason)) => {
            if failed.insert(owner) {
                told(Progress::Failed { owner, reason });
            }
            Ok(None)
        }
    }
}

/// How a user key came under the new master key.
#[derive(Clone, Copy)]
pub(super) enum How {
    Rewrapped,
    Rekeyed,
    /// Moved by another rotation, erased, or left for the next pass.
    NotByThis,
}

impl Rotated {
    pub(super) fn count(&mut self, how: Option<How>) {
        match how {
            Some(How::Rewrapped) => self.rewrapped += 1,
            Some(How::Rekeyed) => self.rekeyed += 1,
            Some(How::NotByThis) | None => {}
        }
    }
}
