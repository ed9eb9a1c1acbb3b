//! Keys, told apart by type, so that none is used for another's work.

use crate::entropy::Entropy;
use crate::error::{Result, VaultError};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Length of every key, in bytes.
pub const KEY_LEN: usize = 32;

const KEK_ID_INFO: &[u8] = b"claviger/kek-id/1";

/// The bytes of a key. On the heap, so that moving a key moves a pointer and leaves no copy of the bytes behind; wiped when dropped.
pub(crate) struct KeyBytes(Box<Zeroizing<[u8; KEY_LEN]>>);

impl KeyBytes {
    fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Box::new(Zeroizing::new([0; KEY_LEN]));
        entropy.fill(bytes.as_mut_slice());
        Self(bytes)
    }

    /// Takes an opened text as a key.
    fn from_text(text: &[u8]) -> Result<Self> {
        let from = <&[u8; KEY_LEN]>::try_from(text)
            .map_err(|_| VaultError::Malformed("a key has 32 bytes"))?;
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

            /// Takes an opened text as this key; [`VaultError::Malformed`] unless it has 32 bytes.
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
    /// A user's key (UEK), wrapped by a KEK. Seals that user's other keys and password hash; destroying it erases the user.
    UserKey,
    /// Makes a user's keyed hashes, wrapped by the user key. Made once and never replaced, else no duplicate would be found again.
    IndexKey,
    /// Makes the installation's keyed hashes, wrapped by each KEK in use. Made once and never replaced.
    StoreIndexKey,
    /// Seals the content of one stream and of the views folded from it; made with the stream's first event.
    ContentKey,
    /// Seals one version of one API key's secret.
    DataKey,
}

/// A key-encryption key: the master key of an installation, held by the process and never stored beside what it wraps.
///
/// Has no `Debug`, `Clone` or `Serialize`; its memory is wiped when it is dropped.
#[expect(missing_debug_implementations, reason = "a key that can be printed will be printed")]
pub struct Kek {
    bytes: KeyBytes,
    id: [u8; 8],
}

impl Kek {
    /// Takes over a key that was read from a key file or the environment: 32 bytes from a secure generator, not a passphrase.
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
        // Fails above 8,160 bytes only, and no secret hangs on an id.
        let _fits = Hkdf::<Sha256>::new(None, bytes.as_bytes()).expand(KEK_ID_INFO, &mut id);
        Self { bytes, id }
    }

    /// Its id, derived from the key itself: a mislabelled key can't load. No secret.
    pub const fn id(&self) -> [u8; 8] {
        self.id
    }

    /// The key itself, for writing the key file. Every caller of this is a place to review.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        self.bytes.as_bytes()
    }
}

/// The KEKs of a process: the newest seals, the others only open what a rotation hasn't reached yet.
#[expect(missing_debug_implementations, reason = "a key that can be printed will be printed")]
pub struct KekSet {
    current: Kek,
    older: Vec<Kek>,
}

impl KekSet {
    /// Takes the keys over, newest first.
    ///
    /// # Errors
    /// [`VaultError::NoKek`] for an empty list; [`VaultError::DuplicateKek`] when one stands in it twice, since the operator then
    /// surely meant another.
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

    /// The newest KEK: everything new is wrapped by it.
    pub const fn current(&self) -> &Kek {
        &self.current
    }

    /// The KEK with this id. Chosen by id, never by trial.
    ///
    /// # Errors
    /// [`VaultError::UnknownKek`], which names it.
    pub fn get(&self, id: [u8; 8]) -> Result<&Kek> {
        self.iter().find(|kek| kek.id == id).ok_or(VaultError::UnknownKek { id })
    }

    /// All ids, newest first.
    pub fn ids(&self) -> Vec<[u8; 8]> {
        self.iter().map(Kek::id).collect()
    }

    fn iter(&self) -> impl Iterator<Item = &Kek> {
        std::iter::once(&self.current).chain(&self.older)
    }
}
