//! The current state of every aggregate.

use super::Folds;
use super::members::{Member, Members};
use crate::keychain::Evidence;
use claviger_domain::account::Account;
use claviger_domain::failure::Failure;
use claviger_domain::id::{KeyId, RunId, UserId};
use claviger_domain::key_ring::KeyRing;
use claviger_domain::orchestration::{Run, RunControl};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::Store;
use std::sync::Arc;

/// A secret that may be used, and how long that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UsableSecret {
    pub(crate) secret_version: u32,
    /// When the key expires; `None` for never.
    pub(crate) expires_at: Option<Timestamp>,
    /// Version of the key ring that says so.
    pub(crate) ring: u64,
}

/// The folds of all aggregates over one store, shared by commands and reads.
#[expect(missing_debug_implementations, reason = "a trait object")]
pub struct Aggregates {
    store: Arc<dyn Store>,
    members: Members,
    pub(crate) rings: Folds<KeyRing>,
    pub(crate) accounts: Folds<Account>,
    pub(crate) runs: Folds<Run>,
    pub(crate) controls: Folds<RunControl>,
}

impl Aggregates {
    /// The events of accounts and key rings are checked by `evidence` when they are folded: what
    /// they say grants something.
    pub fn new(store: Arc<dyn Store>, evidence: &Arc<Evidence>) -> Arc<Self> {
        Arc::new(Self {
            store,
            members: Members::new(Arc::clone(evidence)),
            rings: Folds::checked(evidence),
            accounts: Folds::checked(evidence),
            runs: Folds::new(),
            controls: Folds::new(),
        })
    }

    /// The current account.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn account(&self, user: UserId) -> Result<Account, Failure> {
        let loaded = self.accounts.load(&*self.store, StreamName::Account(user)).await;
        loaded.map(|(_, account)| account)
    }

    /// What the user's account grants now; `None` for an unknown user.
    ///
    /// # Errors
    /// When the store is unavailable, or an event is not as it was appended.
    pub async fn member(&self, user: UserId) -> Result<Option<Member>, Failure> {
        self.members.load(&*self.store, user).await
    }

    /// The requests made to a run so far.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(crate) async fn run_control(&self, run: RunId) -> Result<RunControl, Failure> {
        let loaded = self.controls.load(&*self.store, StreamName::RunControl(run.0)).await;
        loaded.map(|(_, control)| control)
    }

    /// The secret of a key to use now; `None` for a key that is deleted, inactive or expired.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(crate) async fn usable_secret(
        &self,
        owner: UserId,
        key: KeyId,
        now: Timestamp,
    ) -> Result<Option<UsableSecret>, Failure> {
        let (version, ring) = self.rings.load(&*self.store, StreamName::KeyRing(owner)).await?;
        let usable = ring
            .keys
            .get(&key)
            .filter(|key| key.is_active && key.expires_at.is_none_or(|at| at > now));
        Ok(usable.map(|key| UsableSecret {
            secret_version: key.secret_version,
            expires_at: key.expires_at,
            ring: version,
        }))
    }
}
