//! The vault over the store: finds wrapped keys, opens them, creates new ones. No opened key is
//! kept beyond one use.

use super::evidence::Evidence;
use super::master_keys::{LookAgain, MasterKeys, hex};
use super::signing::{refuse_foreign_log, refuse_lost_keys};
use crate::system::environment::Environment;
use crate::system::failure::{store_failure, vault_failure};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::failure::Failure;
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{
    ContentKeyRow, CredentialRow, IndexKeyRow, KekId, RowChange, SecretRow, Store, StoreError,
    StoreKeyRow, UserKeyRow,
};
use claviger_vault::{
    ContentKey, CredentialAd, DataKey, DataKeyAd, Entropy, IndexKey, Kek, KekSet, StoreIndexKey,
    StoreKey, UserKey, VaultError, open_canary, open_credential, open_secret, seal_canary,
    seal_credential, seal_secret, unwrap_content_key, unwrap_data_key, unwrap_index_key,
    unwrap_user_key, wrap_content_key, wrap_data_key, wrap_index_key, wrap_user_key,
};
use std::sync::Arc;

/// Why the vault doesn't open at start.
#[derive(Debug, thiserror::Error)]
pub enum KeychainError {
    #[error(
        "the store is sealed under master key {id}, which was not given: add it to \
         CLAVIGER_MASTER_KEYS (or the file named by CLAVIGER_MASTER_KEYS_FILE, or master.key in \
         the data directory); without it nothing in this store can be opened"
    )]
    MissingKek {
        /// The missing key's id, in hex.
        id: String,
    },
    /// A master key with the right id doesn't open its canary: the row was changed.
    #[error(
        "the store's canary does not open under master key {id}: the store was changed from \
         outside, restore it from a backup"
    )]
    Canary {
        /// The key's id, in hex.
        id: String,
    },
    /// The store's own keys are gone, but what they seal is there.
    #[error(
        "the store holds events or users' keys, but its own keys (store_keys) are gone: restore \
         store_keys from a backup of this store; without them no name, identity or session in it \
         can be found"
    )]
    StoreKeysLost,
    /// The log ends before a position that these keys know.
    #[error(
        "the log ends at position {head}, but the store's own keys know of more: restore the whole \
         store, with its events, from one backup"
    )]
    LogLost {
        /// The last position found.
        head: u64,
    },
    /// The log was signed by another store's key.
    #[error(
        "the log is not signed by the store's own key (store_keys): the two do not belong together, \
         restore both from one backup"
    )]
    ForeignLog,
    /// The last event was changed, and its time lies ahead.
    #[error(
        "the time of the last event lies ahead, and it is not as it was appended ({0}): restore the \
         store from a backup; what is appended next would continue from that time"
    )]
    LastEvent(#[source] StoreError),
    #[error("cannot read the store: {0}")]
    Store(#[from] StoreError),
    #[error("cannot wrap a key: {0}")]
    Vault(#[from] VaultError),
}

/// The keys of one user, open for one use.
#[expect(missing_debug_implementations, reason = "keys")]
pub struct UserKeys {
    pub owner: UserId,
    /// Version of the user key.
    pub version: u32,
    /// Wraps all other keys of the user.
    pub user: UserKey,
    /// Computes keyed hashes.
    pub index: IndexKey,
}

/// The vault over the store.
#[expect(missing_debug_implementations, reason = "keys")]
pub struct Keychain {
    pub(super) store: Arc<dyn Store>,
    pub(super) keks: MasterKeys,
    evidence: Arc<Evidence>,
    pub(super) env: Environment,
}

/// How often a row is read again because a rotation replaced its key after the key was read. A
/// rotation moves each user once.
const MAX_READS: usize = 10;

/// Whether every master key that a store needs is at hand, and is the one that it needs.
///
/// # Errors
/// [`KeychainError`], naming the key.
pub fn check_master_keys(
    keks: &KekSet,
    rows: &[StoreKeyRow],
    used: impl Iterator<Item = KekId>,
) -> Result<(), KeychainError> {
    if let Some(id) = used.chain(rows.iter().map(|row| row.kek)).find(|id| keks.get(*id).is_err()) {
        return Err(KeychainError::MissingKek { id: hex(id) });
    }
    for row in rows {
        open_canary(keks.get(row.kek)?, &row.canary)
            .map_err(|_| KeychainError::Canary { id: hex(row.kek) })?;
    }
    Ok(())
}

impl Keychain {
    /// Opens the vault. In a new store the first keys are created; otherwise every master key in
    /// use must be available.
    ///
    /// # Errors
    /// [`KeychainError`], naming the key.
    pub async fn open(
        store: Arc<dyn Store>,
        keks: KekSet,
        env: Environment,
    ) -> Result<Self, KeychainError> {
        Self::open_with(store, keks, None, env).await
    }

    /// The same, with a way to read the master keys again when a row names an unknown one.
    ///
    /// # Errors
    /// [`KeychainError`], naming the key.
    pub async fn open_with(
        store: Arc<dyn Store>,
        keks: KekSet,
        again: Option<LookAgain>,
        env: Environment,
    ) -> Result<Self, KeychainError> {
        let mut rows = store.store_keys().await?;
        if rows.is_empty() {
            refuse_lost_keys(&*store).await?;
            let index = StoreIndexKey::generate(&*env.entropy);
            let key = StoreKey { index, signed_since: Some(0) };
            store.init_store_key(store_key_row(keks.current(), &key, &*env.entropy)?).await?;
            // Another process may have been first: the stored row wins.
            rows = store.store_keys().await?;
        }
        let used = store.user_keys_by_kek().await?.into_iter().map(|(kek, _)| kek);
        check_master_keys(&keks, &rows, used)?;
        // The store's newest key, not the first of the list, decides which master key new keys go
        // under.
        let row = rows.first().ok_or(StoreError::Corrupt("no store key".to_owned()))?;
        let key = StoreKey::unwrap(&keks, row.kek, &row.wrapped_index_key)?;
        let evidence = Arc::new(Evidence::new(key));
        refuse_foreign_log(&*store, &evidence, env.clock.now()).await?;
        store.sign_with(Arc::<Evidence>::clone(&evidence));
        Ok(Self { store, keks: MasterKeys::new(keks, row.kek, again), evidence, env })
    }

    /// The master keys of this process.
    pub const fn master_keys(&self) -> &MasterKeys {
        &self.keks
    }

    /// The store's index key: for claims on usernames and e-mail addresses, and for refresh tokens.
    pub fn index(&self) -> &StoreIndexKey {
        self.evidence.index()
    }

    /// Checks rows and events that grant something.
    pub const fn evidence(&self) -> &Arc<Evidence> {
        &self.evidence
    }

    /// A user's keys; `None` for an unknown user, or once erased.
    ///
    /// # Errors
    /// When the store is unavailable or the keys don't open.
    pub async fn user(&self, owner: UserId) -> Result<Option<UserKeys>, Failure> {
        for _ in 0..MAX_READS {
            let row = self.store.user_key(owner).await.map_err(|error| store_failure(&error))?;
            let index = self.store.index_key(owner).await.map_err(|error| store_failure(&error))?;
            let (Some(row), Some(index)) = (row, index) else { return Ok(None) };
            if row.version != index.user_key_version {
                // A rotation came between the two reads.
                continue;
            }
            let open = || -> Result<UserKeys, VaultError> {
                let keks = self.keks.having(row.kek);
                let user = unwrap_user_key(&keks, row.kek, owner, row.version, &row.wrapped)?;
                let index = unwrap_index_key(&user, owner, index.user_key_version, &index.wrapped)?;
                Ok(UserKeys { owner, version: row.version, user, index })
            };
            return open().map(Some).map_err(|error| vault_failure(&error));
        }
        Err(mixed(owner))
    }

    /// Opens a row with the user key that wraps it: `keys` if the versions match, else the current
    /// one. Key and row are read separately, so a rotation may come between the reads.
    async fn opened<R, T, F>(
        &self,
        keys: &UserKeys,
        read: impl Fn() -> F,
        version: impl Fn(&R) -> u32,
        open: impl Fn(&UserKeys, &R) -> Result<T, VaultError>,
    ) -> Result<Option<T>, Failure>
    where
        F: Future<Output = Result<Option<R>, StoreError>>,
    {
        let mut newer = None;
        for _ in 0..MAX_READS {
            let Some(row) = read().await.map_err(|error| store_failure(&error))? else {
                return Ok(None);
            };
            let at_hand = newer.as_ref().unwrap_or(keys);
            if version(&row) == at_hand.version {
                return open(at_hand, &row).map(Some).map_err(|error| vault_failure(&error));
            }
            let Some(found) = self.user(keys.owner).await? else { return Ok(None) };
            newer = Some(found);
        }
        Err(mixed(keys.owner))
    }

    /// Keys for a new user, and the rows that store them.
    ///
    /// # Errors
    /// When they can't be wrapped.
    pub fn new_user(&self, owner: UserId) -> Result<(UserKeys, Vec<RowChange>), Failure> {
        let make = || -> Result<(UserKeys, Vec<RowChange>), VaultError> {
            let (entropy, sealing) = (&*self.env.entropy, self.keks.sealing());
            let keks = self.keks.having(sealing);
            let kek = keks.get(sealing)?;
            let (user, index) = (UserKey::generate(entropy), IndexKey::generate(entropy));
            let rows = vec![
                RowChange::PutUserKey(UserKeyRow {
                    owner,
                    version: 1,
                    kek: kek.id(),
                    wrapped: wrap_user_key(kek, &user, owner, 1, entropy)?,
                }),
                RowChange::PutIndexKey(IndexKeyRow {
                    owner,
                    user_key_version: 1,
                    wrapped: wrap_index_key(&user, &index, owner, 1, entropy)?,
                }),
            ];
            Ok((UserKeys { owner, version: 1, user, index }, rows))
        };
        make().map_err(|error| vault_failure(&error))
    }

    /// The content key of a stream; `None` before its first event, or once erased.
    ///
    /// # Errors
    /// When the store is unavailable or the key doesn't open.
    pub async fn content_key(
        &self,
        keys: &UserKeys,
        stream: StreamName,
    ) -> Result<Option<ContentKey>, Failure> {
        let open = |keys: &UserKeys, row: &ContentKeyRow| {
            unwrap_content_key(&keys.user, keys.owner, stream, row.user_key_version, &row.wrapped)
        };
        self.opened(keys, || self.store.content_key(stream), |row| row.user_key_version, open).await
    }

    /// The same for a caller that opens nothing else of this user: the index key isn't read, and
    /// both rows are read concurrently.
    ///
    /// # Errors
    /// When the store is unavailable or the key doesn't open.
    pub async fn content_key_of(
        &self,
        owner: UserId,
        stream: StreamName,
    ) -> Result<Option<ContentKey>, Failure> {
        let (user, content) =
            futures::join!(self.store.user_key(owner), self.store.content_key(stream));
        let user = user.map_err(|error| store_failure(&error))?;
        let content = content.map_err(|error| store_failure(&error))?;
        let (Some(user), Some(content)) = (user, content) else { return Ok(None) };
        if user.version != content.user_key_version {
            // A rotation came between the two reads.
            let Some(keys) = self.user(owner).await? else { return Ok(None) };
            return self.content_key(&keys, stream).await;
        }
        let open = || -> Result<ContentKey, VaultError> {
            let keks = self.keks.having(user.kek);
            let key = unwrap_user_key(&keks, user.kek, owner, user.version, &user.wrapped)?;
            unwrap_content_key(&key, owner, stream, content.user_key_version, &content.wrapped)
        };
        open().map(Some).map_err(|error| vault_failure(&error))
    }

    /// A content key for a new stream, and the row that stores it.
    ///
    /// # Errors
    /// When it can't be wrapped.
    pub fn new_content_key(
        &self,
        keys: &UserKeys,
        stream: StreamName,
    ) -> Result<(ContentKey, RowChange), Failure> {
        let key = ContentKey::generate(&*self.env.entropy);
        let wrapped = wrap_content_key(
            &keys.user,
            &key,
            keys.owner,
            stream,
            keys.version,
            &*self.env.entropy,
        )
        .map_err(|error| vault_failure(&error))?;
        let row =
            ContentKeyRow { stream, owner: keys.owner, user_key_version: keys.version, wrapped };
        Ok((key, RowChange::PutContentKey(row)))
    }

    /// Seals a version of a secret under a data key of its own.
    ///
    /// # Errors
    /// When it can't be sealed.
    pub fn seal_secret(
        &self,
        keys: &UserKeys,
        key: KeyId,
        secret_version: u32,
        secret: &ApiKeySecret,
    ) -> Result<RowChange, Failure> {
        let seal = || -> Result<SecretRow, VaultError> {
            let (owner, entropy) = (keys.owner, &*self.env.entropy);
            let data_key = DataKey::generate(entropy);
            let ad = DataKeyAd { owner, key, secret_version, user_key_version: keys.version };
            Ok(SecretRow {
                owner,
                key,
                secret_version,
                user_key_version: keys.version,
                wrapped_data_key: wrap_data_key(&keys.user, &data_key, &ad, entropy)?,
                sealed: seal_secret(&data_key, secret, owner, key, secret_version, entropy)?,
            })
        };
        seal().map(RowChange::PutSecret).map_err(|error| vault_failure(&error))
    }

    /// Opens a version of a secret, for one use. Call only after the event that records the use is
    /// committed.
    ///
    /// # Errors
    /// When the store is unavailable or the secret doesn't open.
    pub async fn open_secret(
        &self,
        keys: &UserKeys,
        key: KeyId,
        secret_version: u32,
    ) -> Result<Option<SecretText>, Failure> {
        let owner = keys.owner;
        let open = |keys: &UserKeys, row: &SecretRow| -> Result<SecretText, VaultError> {
            let ad =
                DataKeyAd { owner, key, secret_version, user_key_version: row.user_key_version };
            let data_key = unwrap_data_key(&keys.user, &ad, &row.wrapped_data_key)?;
            open_secret(&data_key, owner, key, secret_version, &row.sealed)
        };
        let read = || self.store.secret(owner, key, secret_version);
        self.opened(keys, read, |row| row.user_key_version, open).await
    }

    /// Seals a password's hash.
    ///
    /// # Errors
    /// When it can't be sealed.
    pub fn seal_credential(
        &self,
        keys: &UserKeys,
        phc: &SecretText,
        password_version: u32,
    ) -> Result<RowChange, Failure> {
        let (owner, user_key_version) = (keys.owner, keys.version);
        let ad = CredentialAd { owner, password_version, user_key_version };
        let sealed = seal_credential(&keys.user, phc, &ad, &*self.env.entropy)
            .map_err(|error| vault_failure(&error))?;
        Ok(RowChange::PutCredential(CredentialRow {
            owner,
            password_version,
            user_key_version,
            sealed,
        }))
    }

    /// Opens a password's hash; `None` if there is none, or if the password was changed since the
    /// version was read.
    ///
    /// # Errors
    /// When the store is unavailable or the hash doesn't open.
    pub async fn credential(
        &self,
        keys: &UserKeys,
        password_version: u32,
    ) -> Result<Option<SecretText>, Failure> {
        let open = |keys: &UserKeys, row: &CredentialRow| {
            // The log decides which version is valid: an older row put back into the store doesn't
            // open.
            let ad = CredentialAd {
                owner: keys.owner,
                password_version,
                user_key_version: row.user_key_version,
            };
            open_credential(&keys.user, &ad, &row.sealed)
        };
        let read = || async {
            let row = self.store.credential(keys.owner).await?;
            Ok(row.filter(|row| row.password_version <= password_version))
        };
        self.opened(keys, read, |row| row.user_key_version, open).await
    }
}

/// The store's own keys, wrapped by a master key.
pub(super) fn store_key_row(
    kek: &Kek,
    key: &StoreKey,
    entropy: &dyn Entropy,
) -> Result<StoreKeyRow, VaultError> {
    Ok(StoreKeyRow {
        kek: kek.id(),
        wrapped_index_key: key.wrap(kek, entropy)?,
        canary: seal_canary(kek, entropy)?,
    })
}

/// The rows of a user never agreed on a version. A rotation changes them all at once, so the store
/// is damaged.
fn mixed(owner: UserId) -> Failure {
    tracing::error!(%owner, "rows of a user are sealed under different user keys");
    Failure::internal()
}
