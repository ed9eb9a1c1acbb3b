//! Keys, each kind with a type of its own, so that none is used for another's purpose.

use crate::entropy::Entropy;
use crate::error::{Result, VaultError};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Length of every key, in bytes.
pub const KEY_LEN: usize = 32;

const KEK_ID_INFO: &[u8] = b"claviger/kek-id/1";

/// The bytes of a key. They live on the heap, so moving a key moves a pointer and leaves no copy of
/// the bytes behind. Wiped when dropped.
pub(crate) struct KeyBytes(Box<Zeroizing<[u8; KEY_LEN]>>);

impl KeyBytes {
    fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Box::new(Zeroizing::new([0; KEY_LEN]));
        entropy.fill(bytes.as_mut_slice());
        Self(bytes)
    }

    /// Makes a key from an opened text.
    fn from_text(text: &[u8]) -> Result<Self> {
        let from = <&[u8; KEY_LEN]>::try_from(text)
            .map_err(|_| VaultError::Malformed("a key must have 32 bytes"))?;
        let mut bytes = Box::new(Zeroizing::new([0; KEY_LEN]));
        bytes.copy_from_slice(from);
        Ok(Self(bytes))
    }

    fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        ///
        /// Has no `Debug`, `Clone` or `Serialize`; its memory is wiped when it is dropped.
        #[expect(missing_debug_implementations, reason = "a key that can be printed will be printed")]
        pub struct $name(KeyBytes);

        impl $name {
            /// Makes a new key of 32 bytes from `entropy`.
            pub fn generate(entropy: &dyn Entropy) -> Self {
                Self(KeyBytes::generate(entropy))
            }

            /// Makes this key from an opened text; [`VaultError::Malformed`] unless the text has 32
            /// bytes.
            pub(crate) fn from_text(text: &[u8]) -> Result<Self> {
                KeyBytes::from_text(text).map(Self)
            }

            pub(crate) fn as_bytes(&self) -> &[u8; KEY_LEN] {
                self.0.as_bytes()
            }
        }
    )+};
}

keys! {
    /// A user's key (UEK), wrapped by a KEK. Seals that user's other keys and password hash;
    /// destroying it erases the user.
    UserKey,
    /// Makes a user's keyed hashes; wrapped by the user key. Made once and never replaced, because
    /// duplicates would no longer be found.
    IndexKey,
    /// Makes the installation's keyed hashes; wrapped by each KEK in use. Made once and never
    /// replaced.
    StoreIndexKey,
    /// Seals the content of one stream and of the views folded from it. Made with the stream's
    /// first event.
    ContentKey,
    /// Seals one version of one API key's secret.
    DataKey,
}

/// A key-encryption key: the master key of an installation, held by the process and never stored
/// beside the keys that it wraps.
///
/// Has no `Debug`, `Clone` or `Serialize`; its memory is wiped when it is dropped.
#[expect(missing_debug_implementations, reason = "a key that can be printed will be printed")]
pub struct Kek {
    bytes: KeyBytes,
    id: [u8; 8],
}

impl Kek {
    /// Takes ownership of a key read from a key file or the environment: 32 bytes from a secure
    /// generator, not a passphrase.
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let mut kept = Box::new(Zeroizing::new([0; KEY_LEN]));
        kept.copy_from_slice(&*bytes);
        Self::new(KeyBytes(kept))
    }

    /// Makes a new key from `entropy`.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::new(KeyBytes::generate(entropy))
    }

    fn new(bytes: KeyBytes) -> Self {
        let mut id = [0; 8];
        // Fails only above 8,160 bytes, and no secret depends on an id.
        let _fits = Hkdf::<Sha256>::new(None, bytes.as_bytes()).expand(KEK_ID_INFO, &mut id);
        Self { bytes, id }
    }

    /// The id, derived from the key itself, so a mislabelled key cannot be loaded. Not a secret.
    pub const fn id(&self) -> [u8; 8] {
        self.id
    }

    /// The key itself, for writing the key file. Review every caller of this method.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        self.bytes.as_bytes()
    }
}

/// The KEKs of a process. The newest seals; the others only open rows that a rotation has not
/// reached yet.
#[expect(missing_debug_implementations, reason = "a key that can be printed will be printed")]
pub struct KekSet {
    current: Kek,
    older: Vec<Kek>,
}

impl KekSet {
    /// Takes ownership of the keys, newest first.
    ///
    /// # Errors
    /// [`VaultError::NoKek`] for an empty list; [`VaultError::DuplicateKek`] when a key is listed
    /// twice, since the operator must have meant another one.
    pub fn new(keks: Vec<Kek>) -> Result<Self> {
        let mut older = keks;
        if older.is_empty() {
            return Err(VaultError::NoKek);
        }
        let current = older.remove(0);
        let mut seen = vec![current.id];
        for kek in &older {
            if seen.contains(&kek.id) {
                return Err(VaultError::DuplicateKek { id: kek.id });
            }
            seen.push(kek.id);
        }
        Ok(Self { current, older })
    }

    /// The newest KEK, which wraps everything new.
    pub const fn current(&self) -> &Kek {
        &self.current
    }

    /// The KEK with this id. Keys are chosen by id, never by trial.
    ///
    /// # Errors
    /// [`VaultError::UnknownKek`], with the id.
    pub fn get(&self, id: [u8; 8]) -> Result<&Kek> {
        self.iter().find(|kek| kek.id == id).ok_or(VaultError::UnknownKek { id })
    }

    /// All KEK ids, newest first.
    pub fn ids(&self) -> Vec<[u8; 8]> {
        self.iter().map(Kek::id).collect()
    }

    fn iter(&self) -> impl Iterator<Item = &Kek> {
        std::iter::once(&self.current).chain(&self.older)
    }
}
