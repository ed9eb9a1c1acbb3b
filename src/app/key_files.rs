//! Master keys and the token key: from the environment, from a file, or created once in the data
//! directory.

use super::config::Config;
use crate::auth::TokenKey;
use crate::keychain::LookAgain;
use crate::system::files::{open_regular, read_whole};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_domain::text::without_mark;
use claviger_vault::{Entropy, Kek, KekSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A key is unavailable.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// A store that several processes share has no key file of its own.
    #[error(
        "with MongoDB every process needs the same key: give it by {variable} or {variable}_FILE \
         (make one with `openssl rand -base64 32`)"
    )]
    NotGiven { variable: &'static str },
    /// The store exists, but its master key doesn't.
    #[error(
        "{path} is missing, but the data directory holds a store sealed under it: put the file back, or give the key by \
         CLAVIGER_MASTER_KEYS; without it nothing in this store can be opened"
    )]
    Missing {
        /// The path that was tried.
        path: PathBuf,
    },
    /// The store has events, but the key of access tokens is gone.
    #[error(
        "{path} is missing, but the store has events: put the file back from a backup, or make a new \
         key, which ends only the access tokens of the last minutes: \
         `(umask 077 && openssl rand -base64 32 > {path})`"
    )]
    TokenKeyMissing {
        /// The path that was tried.
        path: PathBuf,
    },
    /// The key that is made with the store's first start is there, and the store is not.
    #[error(
        "{path} is there, but the database beside it is missing or empty, and a store was there: restore it from a backup, \
         beside the same keys; to begin a new store, choose another data directory, or move everything in this one away"
    )]
    StoreGone {
        /// The file that the store left.
        path: PathBuf,
    },
    /// The file is readable by other users.
    #[error(
        "{path} can be read by others or belongs to another user: run `chmod 0400 {path}` as its owner, this program's user"
    )]
    Exposed { path: PathBuf },
    /// The file can't be read or created.
    #[error("cannot read or create {path}: {reason}")]
    Unusable { path: PathBuf, reason: io::Error },
    /// Not 32 bytes of base64.
    #[error(
        "{place} does not hold 32-byte keys in base64: make one with `openssl rand -base64 32`"
    )]
    Malformed {
        /// The variable or file.
        place: String,
    },
    /// A key is listed twice, or there is none.
    #[error("the master keys are invalid: {0}")]
    Keys(#[from] claviger_vault::VaultError),
}

/// The master keys, the current one first. `is_new`: no store exists yet, so a key may be created.
///
/// # Errors
/// [`KeyFileError`], whose message tells the operator what to do.
pub fn master_keys(
    config: &Config,
    is_new: bool,
    entropy: &dyn Entropy,
) -> Result<KekSet, KeyFileError> {
    let keys = if let Some(text) = &config.master_keys {
        decode_all(text.expose(), "CLAVIGER_MASTER_KEYS")?
    } else if let Some(path) = &config.master_keys_file {
        read(path)?
    } else if config.mongodb_uri.is_some() {
        return Err(KeyFileError::NotGiven { variable: "CLAVIGER_MASTER_KEYS" });
    } else {
        let path = config.data_dir.join("master.key");
        match read(&path) {
            Err(KeyFileError::Unusable { reason, .. })
                if reason.kind() == io::ErrorKind::NotFound =>
            {
                if !is_new {
                    return Err(KeyFileError::Missing { path });
                }
                let made = vec![make(&path, entropy)?];
                tracing::warn!(
                    path = %path.display(),
                    "made a new master key: back this file up apart from the database, because \
                     without it nothing can be opened"
                );
                made
            }
            read => read?,
        }
    };
    keks(keys)
}

/// The file of the token key that this program makes; `None` if the operator provides the key.
pub fn own_token_file(config: &Config) -> Option<PathBuf> {
    let given = config.token_key.is_some()
        || config.token_key_file.is_some()
        || config.mongodb_uri.is_some();
    (!given).then(|| config.data_dir.join("token.key"))
}

/// The key file that this program manages, in the data directory; `None` if the operator provides
/// the master keys.
pub fn own_file(config: &Config) -> Option<PathBuf> {
    let given = config.master_keys.is_some()
        || config.master_keys_file.is_some()
        || config.mongodb_uri.is_some();
    (!given).then(|| config.data_dir.join("master.key"))
}

/// Reads the master keys' file again, for a process that meets an unknown key; `None` if the keys
/// don't come from a file.
pub fn look_again(config: &Config) -> Option<LookAgain> {
    let from_file = config.master_keys.is_none().then(|| config.master_keys_file.clone()).flatten();
    let path = from_file.or_else(|| own_file(config))?;
    Some(Box::new(move || {
        let keys = read(&path)
            .inspect_err(|error| tracing::warn!(%error, "cannot read the master keys again"))
            .ok()?;
        keks(keys).ok()
    }))
}

/// Inserts a new key at the start of this program's own file. The file is durable on return:
/// nothing may be wrapped by the new key before that.
///
/// # Errors
/// [`KeyFileError`]; the file is then unchanged, or holds the new key too.
pub fn add_first(path: &Path, entropy: &dyn Entropy) -> Result<(), KeyFileError> {
    let mut keys = read(path)?;
    let mut key = Zeroizing::new([0; 32]);
    entropy.fill(key.as_mut_slice());
    keys.insert(0, key);
    write(path, &keys)
}

/// Keeps only the first key in this program's own file. Call only once nothing is wrapped by the
/// other keys.
///
/// # Errors
/// [`KeyFileError`]; the file is then unchanged, or holds the first key alone.
pub fn keep_first(path: &Path) -> Result<(), KeyFileError> {
    let mut keys = read(path)?;
    keys.truncate(1);
    write(path, &keys)
}

fn keks(keys: Vec<Key>) -> Result<KekSet, KeyFileError> {
    Ok(KekSet::new(keys.into_iter().map(|key| Kek::from_bytes(*key)).collect())?)
}

/// The key that signs access tokens. Replacing it ends all access tokens and has no other effect:
/// refresh tokens stay. `may_make`: the store has no event yet, so no token was signed.
///
/// # Errors
/// [`KeyFileError`], whose message tells the operator what to do.
pub fn token_key(
    config: &Config,
    may_make: bool,
    entropy: &dyn Entropy,
) -> Result<TokenKey, KeyFileError> {
    let (keys, place) = if let Some(text) = &config.token_key {
        (decode_all(text.expose(), "CLAVIGER_TOKEN_KEY")?, "CLAVIGER_TOKEN_KEY".to_owned())
    } else if config.mongodb_uri.is_some() && config.token_key_file.is_none() {
        return Err(KeyFileError::NotGiven { variable: "CLAVIGER_TOKEN_KEY" });
    } else {
        let made_here = config.data_dir.join("token.key");
        let path = config.token_key_file.clone().unwrap_or_else(|| made_here.clone());
        let keys = match read(&path) {
            Err(KeyFileError::Unusable { reason, .. })
                if reason.kind() == io::ErrorKind::NotFound && path == made_here =>
            {
                if !may_make {
                    return Err(KeyFileError::TokenKeyMissing { path });
                }
                vec![make(&path, entropy)?]
            }
            read => read?,
        };
        (keys, path.display().to_string())
    };
    let key = keys.first().and_then(|seed| TokenKey::from_seed(seed).ok());
    key.ok_or(KeyFileError::Malformed { place })
}

type Key = Zeroizing<[u8; 32]>;

fn decode_all(text: &str, place: &str) -> Result<Vec<Key>, KeyFileError> {
    let keys: Option<Vec<Key>> = without_mark(text)
        .split([',', '\n'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let bytes = Zeroizing::new(STANDARD.decode(part).ok()?);
            <[u8; 32]>::try_from(bytes.as_slice()).ok().map(Zeroizing::new)
        })
        .collect();
    keys.filter(|keys| !keys.is_empty())
        .ok_or_else(|| KeyFileError::Malformed { place: place.to_owned() })
}

fn read(path: &Path) -> Result<Vec<Key>, KeyFileError> {
    let failed = |reason| KeyFileError::Unusable { path: path.to_owned(), reason };
    let file = open_regular(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if meta.mode() & 0o077 != 0 || meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(KeyFileError::Exposed { path: path.to_owned() });
    }
    let text = read_whole(&file).map_err(failed)?;
    decode_all(&text, &path.display().to_string())
}

/// Creates a key file with one new key.
fn make(path: &Path, entropy: &dyn Entropy) -> Result<Key, KeyFileError> {
    let mut key = Zeroizing::new([0; 32]);
    entropy.fill(key.as_mut_slice());
    write(path, std::slice::from_ref(&key))?;
    Ok(key)
}

/// Replaces a key file atomically: after a crash it is complete or unchanged. A file that its owner
/// made read-only stays so.
fn write(path: &Path, keys: &[Key]) -> Result<(), KeyFileError> {
    let failed = |reason| KeyFileError::Unusable { path: path.to_owned(), reason };
    let mut text = Zeroizing::new(String::with_capacity(keys.len() * 45));
    for key in keys {
        STANDARD.encode_string(key.as_slice(), &mut text);
        text.push('\n');
    }
    let mode = std::fs::metadata(path).map_or(0o600, |meta| meta.mode() & 0o600);
    let draft = path.with_extension("key.new");
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    drop(std::fs::remove_file(&draft));
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&draft, path).map_err(failed)?;
    if let Some(dir) = path.parent() {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
    }
    Ok(())
}
