//! The one sealed form: `0x01 ‖ nonce ‖ commitment ‖ ciphertext ‖ tag` (`ops/docs/FORMATS.md`,
//! section 3).
//!
//! XChaCha20-Poly1305 does not commit to a key: someone who knows two keys can make a box that
//! opens under both (partitioning oracles, Len, Grubbs and Ristenpart 2021). So cipher key and
//! commitment both come from HKDF over key and nonce, the shape of `UtC` in Bellare and Hoang,
//! "Efficient Schemes for Committing Authenticated Encryption" (2022), and the commitment is
//! compared before the cipher runs.

use crate::entropy::Entropy;
use crate::error::{Result, VaultError};
use crate::keys::KEY_LEN;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use claviger_domain::event::Fields;
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

/// First byte of every box and second field of all associated data: format and algorithm.
const FORMAT: u8 = 0x01;
const INFO: &[u8] = b"claviger/box/1";
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;

/// Bytes that a box adds to its text.
pub const OVERHEAD: usize = 1 + NONCE_LEN + KEY_LEN + TAG_LEN;

const SHORT: VaultError = VaultError::Malformed("a sealed box must have at least 73 bytes");

/// Associated data: names what a box is and where it belongs, so that it opens nowhere else.
pub(crate) struct Ad(Fields);

impl Ad {
    /// Starts with the tag of the purpose and the algorithm.
    pub(crate) fn new(tag: &str) -> Self {
        let mut fields = Fields::with_capacity(160);
        fields.push(tag.as_bytes()).push(&[FORMAT]);
        Self(fields)
    }

    pub(crate) fn id(self, id: impl Into<Uuid>) -> Self {
        self.bytes(id.into().as_bytes())
    }

    pub(crate) fn int(self, value: impl Into<u64>) -> Self {
        self.bytes(&value.into().to_be_bytes())
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.push(bytes);
        self
    }
}

/// Cipher key and commitment of a box, in this order.
fn derive(key: &[u8; KEY_LEN], nonce: &[u8; NONCE_LEN]) -> Result<Zeroizing<[[u8; KEY_LEN]; 2]>> {
    let mut okm = Zeroizing::new([[0; KEY_LEN]; 2]);
    // Cannot fail for 64 bytes. If it did, nothing may be sealed under a key of zeros.
    Hkdf::<Sha256>::new(Some(nonce), key)
        .expand(INFO, okm.as_flattened_mut())
        .map_err(|_| VaultError::TooLong)?;
    Ok(okm)
}

/// Seals `text` under `key`, with a fresh nonce, for the place named by `ad`.
pub(crate) fn seal(
    key: &[u8; KEY_LEN],
    ad: &Ad,
    text: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut nonce);
    let okm = derive(key, &nonce)?;
    let [cipher_key, commitment] = &*okm;
    // Encrypted in a buffer that is wiped: if the cipher failed, the buffer would still hold the
    // text.
    let mut buffer = Zeroizing::new(text.to_vec());
    let tag = XChaCha20Poly1305::new(cipher_key.into())
        .encrypt_inout_detached(&XNonce::from(nonce), ad.0.as_bytes(), buffer.as_mut_slice().into())
        .map_err(|_| VaultError::TooLong)?;
    let mut sealed = Vec::with_capacity(text.len().saturating_add(OVERHEAD));
    sealed.push(FORMAT);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(commitment);
    sealed.extend_from_slice(&buffer);
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens a box that [`seal`] made with the same key and associated data. The text is wiped when
/// dropped.
pub(crate) fn open(key: &[u8; KEY_LEN], ad: &Ad, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (&format, rest) = sealed.split_first().ok_or(SHORT)?;
    if format != FORMAT {
        return Err(VaultError::Malformed("a sealed box must begin with 0x01"));
    }
    let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SHORT)?;
    let (commitment, rest) = rest.split_first_chunk::<KEY_LEN>().ok_or(SHORT)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(SHORT)?;
    let okm = derive(key, nonce)?;
    let [cipher_key, expected] = &*okm;
    if !bool::from(expected.ct_eq(commitment)) {
        return Err(VaultError::WrongKey);
    }
    let mut text = Zeroizing::new(ciphertext.to_vec());
    XChaCha20Poly1305::new(cipher_key.into())
        .decrypt_inout_detached(
            &XNonce::from(*nonce),
            ad.0.as_bytes(),
            text.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .map_err(|_| VaultError::Tampered)?;
    Ok(text)
}
