//! Content keys, kept while many events and rows of their streams are opened.

use crate::keychain::{Keychain, UserKeys};
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_vault::ContentKey;
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) struct ContentKeys {
    keychain: Arc<Keychain>,
    /// The user whose keys were read last. Rows of one user are opened one after the other.
    user: Option<(UserId, Option<UserKeys>)>,
    kept: HashMap<StreamName, Option<ContentKey>>,
}

impl ContentKeys {
    pub(crate) fn new(keychain: Arc<Keychain>) -> Self {
        Self { keychain, user: None, kept: HashMap::new() }
    }

    /// A stream's content key; `None` if it was destroyed.
    ///
    /// # Errors
    /// When the store is unavailable or the key does not open.
    pub(crate) async fn get(
        &mut self,
        owner: UserId,
        stream: StreamName,
    ) -> Result<Option<&ContentKey>, Failure> {
        if !self.kept.contains_key(&stream) {
            let key = self.read(owner, stream).await?;
            self.kept.insert(stream, key);
        }
        Ok(self.kept.get(&stream).and_then(Option::as_ref))
    }

    async fn read(
        &mut self,
        owner: UserId,
        stream: StreamName,
    ) -> Result<Option<ContentKey>, Failure> {
        if self.user.as_ref().is_none_or(|(of, _)| *of != owner) {
            self.user = Some((owner, self.keychain.user(owner).await?));
        }
        match &self.user {
            Some((_, Some(keys))) => self.keychain.content_key(keys, stream).await,
            Some((_, None)) | None => Ok(None),
        }
    }

    /// Drops the key of a run. An owner may have any number of runs, but has only two other
    /// streams.
    pub(crate) fn forget_run(&mut self, stream: StreamName) {
        match stream {
            StreamName::Run(_) => drop(self.kept.remove(&stream)),
            StreamName::KeyRing(_)
            | StreamName::Account(_)
            | StreamName::RunControl(_)
            | StreamName::System => {}
        }
    }

    /// Drops all keys: new events may have added some, and an erasure destroys them.
    pub(super) fn clear(&mut self) {
        self.user = None;
        self.kept.clear();
    }
}
