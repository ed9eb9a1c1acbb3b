//! Opens rows to see whether they open. For an audit, which has the rows at hand and keeps the
//! wrapped keys of everybody, but no more than one user's opened ones.

use super::Keychain;
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::id::{Fingerprint, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    ContentKeyRow, CredentialRow, DeltaRow, IndexKeyRow, SecretRow, SessionRow, StoreKeyRow,
    UserKeyRow,
};
use claviger_vault::{
    ContentKey, CredentialAd, DataKeyAd, DeltaAd, IndexKey, StoreKey, UserKey, open_canary,
    open_credential, open_delta, open_secret, unwrap_content_key, unwrap_data_key,
    unwrap_index_key, unwrap_user_key,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Begins what a row of credentials holds while a token may set a new password. No password's hash
/// begins so, and none is verified against it.
pub(crate) const RESET_HASH: &str = "claviger-reset-sha256:";

/// Whether a row opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It does, and holds what it should.
    Yes,
    /// It does not, or holds something else.
    No,
    /// The key that it needs is missing or does not open itself.
    NoKey,
}

/// The rows of keys that were seen so far. Keys come before what they open.
pub(crate) struct Opener {
    keychain: Arc<Keychain>,
    user_keys: BTreeMap<UserId, UserKeyRow>,
    index_keys: BTreeMap<UserId, IndexKeyRow>,
    content_keys: BTreeMap<StreamName, ContentKeyRow>,
    /// The keys of the user whose rows were opened last.
    user: Option<(UserId, Option<UserKey>)>,
    content: Option<(StreamName, Option<ContentKey>)>,
}

impl Opener {
    pub(crate) const fn new(keychain: Arc<Keychain>) -> Self {
        Self {
            keychain,
            user_keys: BTreeMap::new(),
            index_keys: BTreeMap::new(),
            content_keys: BTreeMap::new(),
            user: None,
            content: None,
        }
    }

    /// Keeps a user key. Of several, the newest opens a user's rows.
    pub(crate) fn user_key(&mut self, row: UserKeyRow) -> Opened {
        let opened = if self.open_user(&row).is_some() { Opened::Yes } else { Opened::No };
        let kept = self.user_keys.get(&row.owner);
        if kept.is_none_or(|kept| kept.version < row.version) {
            self.user_keys.insert(row.owner, row);
        }
        opened
    }

    /// Keeps a user's index key.
    pub(crate) fn index_key(&mut self, row: IndexKeyRow) -> Opened {
        let opened = match self.user(row.owner) {
            None => Opened::NoKey,
            Some(_) => opened(self.open_index(&row).is_some()),
        };
        self.index_keys.insert(row.owner, row);
        opened
    }

    /// Keeps a content key.
    pub(crate) fn content_key(&mut self, row: ContentKeyRow) -> Opened {
        let opened = match self.user(row.owner) {
            None => Opened::NoKey,
            Some(_) => opened(self.open_content(&row).is_some()),
        };
        self.content_keys.insert(row.stream, row);
        opened
    }

    /// Whether a secret opens and has this fingerprint. The opened secret is wiped at once.
    pub(crate) fn secret(&mut self, row: &SecretRow, fingerprint: &Fingerprint) -> Opened {
        let (owner, key, secret_version) = (row.owner, row.key, row.secret_version);
        let ad = DataKeyAd { owner, key, secret_version, user_key_version: row.user_key_version };
        let is_newest = self.is_newest(owner, row.user_key_version);
        let Some(user) = self.user(owner) else { return Opened::NoKey };
        let secret = unwrap_data_key(user, &ad, &row.wrapped_data_key)
            .and_then(|data_key| open_secret(&data_key, owner, key, secret_version, &row.sealed));
        let Ok(secret) = secret else { return Opened::No };
        let Some(index) = self.index_keys.get(&owner).cloned() else { return Opened::NoKey };
        let Some(index) = self.open_index(&index) else { return Opened::NoKey };
        let found = ApiKeySecret::parse(&secret).ok().map(|secret| index.fingerprint(&secret));
        opened(is_newest && found.as_ref() == Some(fingerprint))
    }

    /// Whether the row of a password opens, and holds its hash, or that of a token that sets one.
    pub(crate) fn credential(&mut self, row: &CredentialRow, has_password: bool) -> Opened {
        let ad = CredentialAd {
            owner: row.owner,
            password_version: row.password_version,
            user_key_version: row.user_key_version,
        };
        let is_newest = self.is_newest(row.owner, row.user_key_version);
        let Some(user) = self.user(row.owner) else { return Opened::NoKey };
        let phc = open_credential(user, &ad, &row.sealed);
        let begins = if has_password { "$argon2" } else { RESET_HASH };
        opened(is_newest && phc.is_ok_and(|phc| phc.expose().starts_with(begins)))
    }

    /// A session's user agent.
    ///
    /// # Errors
    /// When it does not open.
    pub(crate) fn in_account<T>(
        &mut self,
        session: &SessionRow,
        open: impl FnOnce(&SessionRow, Option<&ContentKey>) -> T,
    ) -> Option<T> {
        let key = self.content(StreamName::Account(session.owner))?;
        Some(open(session, Some(key)))
    }

    /// Whether a session that began at this position is its owner's, as its MAC says.
    pub(crate) fn is_bound(&self, row: &SessionRow, begun_at: u64) -> bool {
        self.keychain.evidence().check_session_row(row, Some(begun_at)).is_ok()
    }

    /// Whether a row of text opens.
    pub(crate) fn delta(&mut self, row: &DeltaRow) -> Opened {
        let stream = StreamName::Run(row.place.run.0);
        let ad = DeltaAd { owner: row.owner, stream, v: row.place.v, d: row.place.d };
        match self.content(stream) {
            None => Opened::NoKey,
            Some(key) => opened(open_delta(key, &ad, &row.sealed).is_ok()),
        }
    }

    /// Whether the store's own keys open, and are those of this process.
    pub(crate) fn store_key(&self, row: &StoreKeyRow) -> Opened {
        let keks = self.keychain.keks.having(row.kek);
        let Ok(kek) = keks.get(row.kek) else { return Opened::NoKey };
        let (ours, evidence) = (self.keychain.index(), self.keychain.evidence());
        let key = StoreKey::unwrap(&keks, row.kek, &row.wrapped_index_key);
        let same = key.is_ok_and(|key| {
            key.index.claim_username("") == ours.claim_username("")
                && key.signed_since == evidence.signed_since()
        });
        opened(same && open_canary(kek, &row.canary).is_ok())
    }

    /// The current time.
    pub(crate) fn now(&self) -> Timestamp {
        self.keychain.env.clock.now()
    }

    fn is_newest(&self, owner: UserId, version: u32) -> bool {
        self.user_keys.get(&owner).is_some_and(|row| row.version == version)
    }

    fn open_user(&self, row: &UserKeyRow) -> Option<UserKey> {
        let keks = self.keychain.keks.having(row.kek);
        unwrap_user_key(&keks, row.kek, row.owner, row.version, &row.wrapped).ok()
    }

    fn user(&mut self, owner: UserId) -> Option<&UserKey> {
        if self.user.as_ref().is_none_or(|(of, _)| *of != owner) {
            let key = self.user_keys.get(&owner).and_then(|row| self.open_user(row));
            self.user = Some((owner, key));
        }
        self.user.as_ref().and_then(|(_, key)| key.as_ref())
    }

    fn open_index(&mut self, row: &IndexKeyRow) -> Option<IndexKey> {
        if !self.is_newest(row.owner, row.user_key_version) {
            return None;
        }
        let user = self.user(row.owner)?;
        unwrap_index_key(user, row.owner, row.user_key_version, &row.wrapped).ok()
    }

    fn open_content(&mut self, row: &ContentKeyRow) -> Option<ContentKey> {
        if !self.is_newest(row.owner, row.user_key_version) {
            return None;
        }
        let user = self.user(row.owner)?;
        unwrap_content_key(user, row.owner, row.stream, row.user_key_version, &row.wrapped).ok()
    }

    fn content(&mut self, stream: StreamName) -> Option<&ContentKey> {
        if self.content.as_ref().is_none_or(|(of, _)| *of != stream) {
            let row = self.content_keys.get(&stream).cloned();
            let key = row.and_then(|row| self.open_content(&row));
            self.content = Some((stream, key));
        }
        self.content.as_ref().and_then(|(_, key)| key.as_ref())
    }
}

const fn opened(does: bool) -> Opened {
    if does { Opened::Yes } else { Opened::No }
}
