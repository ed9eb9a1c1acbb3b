//! Why a sealed box cannot be opened.

/// Why the vault refuses an operation. Safe to log: it names the kind of fault and holds no byte of
/// a key or of a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The KEK named by a wrap is not loaded.
    #[error("the key-encryption key {} is not loaded: add it to the master keys", hex(*id))]
    UnknownKek {
        /// Id of the missing KEK.
        id: [u8; 8],
    },
    /// The same KEK was given twice.
    #[error("the key-encryption key {} is listed twice among the master keys", hex(*id))]
    DuplicateKek {
        /// Id of the KEK.
        id: [u8; 8],
    },
    /// No KEK was given.
    #[error("no key-encryption key is loaded")]
    NoKek,
    /// The box was sealed under another key, or its nonce or commitment was changed.
    #[error("a sealed box was made with another key")]
    WrongKey,
    /// The box was sealed for another place (owner, stream, version …), or its text or tag was
    /// changed.
    #[error("a sealed box was changed or moved")]
    Tampered,
    /// The bytes do not follow the format; the text names the rule that they break.
    #[error("malformed sealed bytes: {0}")]
    Malformed(&'static str),
    /// The text is longer than the cipher accepts, which is far above every bound of the callers.
    #[error("the text is too long to be sealed")]
    TooLong,
}

/// Lower-case hexadecimal of a KEK's id, which is not a secret.
fn hex(id: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(id))
}

/// The result of every vault operation.
pub(crate) type Result<T> = std::result::Result<T, VaultError>;
