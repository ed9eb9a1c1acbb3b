//! Reads for every face: views and history, opened for their owner.

mod accounts;
mod activity;
mod administration;
mod history;
mod run_list;
mod run_reader;
mod runs;
mod usage;
mod views;

pub(crate) use history::shown;
pub(crate) use run_reader::{Pace, RunReader, feed_failure, fitting};

use crate::aggregates::Aggregates;
use crate::keychain::{Keychain, UserKeys};
use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::Store;
use claviger_vault::ContentKey;
use std::sync::Arc;
use std::time::Duration;

/// Reads over a store.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct StoreReads {
    pub store: Arc<dyn Store>,
    pub keychain: Arc<Keychain>,
    pub env: Environment,
    pub aggregates: Arc<Aggregates>,
    /// How long a read waits for a position that isn't committed yet.
    pub view_wait: Duration,
}

impl StoreReads {
    /// The content key of one of a user's streams; `None` where there is nothing to open.
    async fn content_key(
        &self,
        keys: Option<&UserKeys>,
        stream: StreamName,
    ) -> Result<Option<ContentKey>, Failure> {
        match keys {
            Some(keys) => self.keychain.content_key(keys, stream).await,
            None => Ok(None),
        }
    }

    /// The content key of a user's key ring.
    async fn ring_key(&self, user: UserId) -> Result<Option<ContentKey>, Failure> {
        self.keychain.content_key_of(user, StreamName::KeyRing(user)).await
    }

    pub(crate) async fn head_position(&self) -> Result<u64, Failure> {
        self.store.head().await.map(|head| head.position).map_err(|error| store_failure(&error))
    }
}
