//! Rows of keys and of what they seal: they must be there, open, and hold what the log says.

use super::{Walk, hex};
use crate::audit::expected::Expected;
use crate::keychain::Opened;
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{
    ContentKeyRow, CredentialRow, IndexKeyRow, KekId, SecretRow, StoreKeyRow, Table, UserKeyState,
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Missing {
    /// The store's keys that were found, by their place in the order of master keys.
    store_keys: BTreeMap<u64, KekId>,
    /// Master keys that wrap user keys, which are found later than those of the store.
    users: BTreeSet<UserId>,
    /// Users whose key was found, whatever became of it.
    seen: BTreeSet<UserId>,
    streams: BTreeSet<StreamName>,
    secrets: BTreeSet<(UserId, KeyId)>,
    credentials: BTreeSet<UserId>,
}

impl Missing {
    pub(super) fn expect_keys(&mut self, table: Table, expected: &Expected) {
        if table == Table::ContentKeys {
            let sealed = expected.sealed.iter();
            let kept = sealed.filter(|(_, sealed)| !expected.is_erased(sealed.owner));
            self.streams = kept.map(|(stream, _)| *stream).collect();
        } else {
            self.users = expected.keyed();
            self.seen.clear();
        }
    }

    pub(super) fn expect_secrets(&mut self, expected: &Expected) {
        let alive = expected.users.iter().filter(|(_, user)| !user.account.is_erased);
        self.secrets = alive
            .flat_map(|(owner, user)| user.ring.keys.keys().map(|key| (*owner, *key)))
            .collect();
    }

    pub(super) fn expect_credentials(&mut self, expected: &Expected) {
        let with = expected.users.iter().filter(|(_, user)| {
            let account = &user.account;
            account.is_registered && !account.is_erased && !account.is_external
        });
        self.credentials = with.map(|(owner, _)| *owner).collect();
    }
}

impl Walk<'_> {
    pub(super) fn store_key(&mut self, row: &StoreKeyRow, seq: u64, missing: &mut Missing) {
        let name = hex(&row.kek);
        match self.opener.store_key(row) {
            Opened::Yes => {}
            Opened::NoKey => self.problem(format!(
                "the store's own key under master key {name} cannot be opened: that master key was not given"
            )),
            Opened::No => self.problem(format!(
                "the store's own key under master key {name} does not open: restore the row from a backup"
            )),
        }
        missing.store_keys.insert(seq, row.kek);
    }

    /// The row with the highest number is the newest: new user keys are wrapped by its master key.
    pub(super) fn missing_store_keys(&mut self, missing: &Missing) {
        let newest = missing.store_keys.last_key_value().map(|(_, kek)| *kek);
        let expected = self.expected.master_key.map(|key| key.0);
        if expected.is_some() && expected != newest {
            self.problem(format!(
                "the newest of the store's own keys is not that of master key {}, to which the log \
                 rotated: restore table store_keys from a backup",
                expected.map(|kek| hex(&kek)).unwrap_or_default()
            ));
        }
    }

    pub(super) fn user_key(&mut self, state: UserKeyState, missing: &mut Missing) {
        let UserKeyState { row, worn } = state;
        let (owner, version) = (row.owner, row.version);
        if !missing.users.remove(&owner) {
            self.unknown(&if missing.seen.contains(&owner) {
                format!("a second user key of {owner}, version {version},")
            } else {
                format!("a user key of {owner}, version {version},")
            });
        }
        missing.seen.insert(owner);
        if !missing.store_keys.values().any(|kek| *kek == row.kek) {
            let kek = hex(&row.kek);
            self.problem(format!(
                "the user key of {owner} is wrapped by master key {kek}, under which the store has \
                 no key of its own: restore table store_keys from a backup"
            ));
        }
        // Only a rotation makes a worn key fresh, and then it is another version.
        let is_worn = self.expected.users.get(&owner).is_some_and(|user| user.is_worn);
        if worn != is_worn && (version == 1 || worn) {
            self.problem(format!(
                "the user key of {owner} is marked as {}worn, and by the log it is{}: set worn to {}",
                if worn { "" } else { "not " },
                if is_worn { "" } else { " not" },
                u8::from(is_worn)
            ));
        }
        if self.opener.user_key(row) == Opened::No {
            self.problem(format!(
                "the user key of {owner}, version {version}, does not open: restore the row from a \
                 backup, without it nothing of this user can be opened"
            ));
        }
    }

    pub(super) fn missing_user_keys(&mut self, missing: &mut Missing) {
        for owner in std::mem::take(&mut missing.users) {
            self.problem(format!(
                "the user key of {owner} is missing: restore the row from a backup, without it \
                 nothing of this user can be opened"
            ));
        }
    }

    pub(super) fn index_key(&mut self, row: IndexKeyRow, missing: &mut Missing) {
        let owner = row.owner;
        if !missing.users.remove(&owner) {
            self.unknown(&format!("an index key of {owner}"));
        }
        if self.opener.index_key(row) == Opened::No {
            self.problem(format!(
                "the index key of {owner} does not open: restore the row from a backup"
            ));
        }
    }

    pub(super) fn missing_index_keys(&mut self, missing: &mut Missing) {
        for owner in std::mem::take(&mut missing.users) {
            self.problem(format!(
                "the index key of {owner} is missing: restore the row from a backup, without it \
                 this user's keys cannot be used"
            ));
        }
    }

    pub(super) fn content_key(&mut self, row: ContentKeyRow, missing: &mut Missing) {
        let (stream, owner) = (row.stream, row.owner);
        missing.streams.remove(&stream);
        if self.expected.owner(stream) != Some(owner) || self.expected.is_erased(owner) {
            self.unknown(&format!("a content key of {stream}"));
            return;
        }
        if self.opener.content_key(row) == Opened::No {
            self.problem(format!(
                "the content key of {stream} does not open: restore the row from a backup"
            ));
        }
    }

    pub(super) fn missing_content_keys(&mut self, missing: &mut Missing) {
        for stream in std::mem::take(&mut missing.streams) {
            let Some(sealed) = self.expected.sealed.get(&stream) else { continue };
            let (first, events) = (sealed.first, sealed.events);
            self.problem(format!(
                "the content key of {stream} is missing: restore the row from a backup, without it \
                 the content of {events} events from position {first} on cannot be opened"
            ));
        }
    }

    pub(super) fn secret(&mut self, row: &SecretRow, missing: &mut Missing) {
        let (owner, key, version) = (row.owner, row.key, row.secret_version);
        let user = self.expected.users.get(&owner).filter(|user| !user.account.is_erased);
        let known = user.and_then(|user| user.ring.keys.get(&key));
        let Some(fingerprint) =
            known.filter(|known| known.secret_version == version).map(|known| known.fingerprint)
        else {
            self.unknown(&format!("the secret of key {key} of {owner}, version {version},"));
            return;
        };
        missing.secrets.remove(&(owner, key));
        if self.opener.secret(row, &fingerprint) == Opened::No {
            self.problem(format!(
                "the secret of key {key} of {owner}, version {version}, does not open or is not the \
                 secret that the log names: restore the row from a backup, or have the user replace it"
            ));
        }
    }

    pub(super) fn missing_secrets(&mut self, missing: &mut Missing) {
        for (owner, key) in std::mem::take(&mut missing.secrets) {
            let version = self.expected.users.get(&owner).and_then(|user| user.ring.keys.get(&key));
            let version = version.map(|key| key.secret_version).unwrap_or_default();
            self.problem(format!(
                "the secret of key {key} of {owner}, version {version}, is missing: restore the row \
                 from a backup, or have the user replace the secret"
            ));
        }
    }

    pub(super) fn credential(&mut self, row: &CredentialRow, missing: &mut Missing) {
        let owner = row.owner;
        if !missing.credentials.remove(&owner) {
            self.unknown(&format!("a password hash of {owner}"));
            return;
        }
        let account = self.expected.users.get(&owner).map(|user| &user.account);
        let version = account.map(|account| account.password_version);
        let has_password = account.is_some_and(|account| account.has_password);
        if version != Some(row.password_version) {
            self.problem(format!(
                "the password hash of {owner} has version {} instead of {}: restore the row from a \
                 backup, without it this user cannot sign in",
                row.password_version,
                version.unwrap_or_default()
            ));
        } else if self.opener.credential(row, has_password) == Opened::No {
            self.problem(format!(
                "the password hash of {owner} does not open: restore the row from a backup, without \
                 it this user cannot sign in"
            ));
        }
    }

    pub(super) fn missing_credentials(&mut self, missing: &mut Missing) {
        for owner in std::mem::take(&mut missing.credentials) {
            self.problem(format!(
                "the password hash of {owner} is missing: restore the row from a backup, without it \
                 this user cannot sign in"
            ));
        }
    }
}
