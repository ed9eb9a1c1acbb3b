//! Why something didn't open.

/// What the vault refuses. Names the kind of fault, never a byte of a key or of a text: it may be logged as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The KEK that a wrap names isn't loaded.
    #[error("the key-encryption key {} isn't loaded: add it to the master keys", hex(*id))]
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
    /// No KEK was given at all.
    #[error("no key-encryption key is loaded")]
    NoKek,
    /// The box was sealed under another key, or its nonce or commitment was changed.
    #[error("a sealed box belongs to another key")]
    WrongKey,
    /// The box was sealed for another place (owner, stream, version …), or its text or tag was changed.
    #[error("a sealed box was changed or moved")]
    Tampered,
    /// The bytes aren't what the format says; the text says which rule they break.
    #[error("malformed sealed bytes: {0}")]
    Malformed(&'static str),
    /// The cipher took no text of that length: far above any bound of the callers.
    #[error("a text is too long to be sealed")]
    TooLong,
}

/// Lower-case hexadecimal of a KEK's id, which is no secret.
fn hex(id: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(id))
}

/// What every operation of the vault answers.
pub(crate) type Result<T> = std::result::Result<T, VaultError>;
