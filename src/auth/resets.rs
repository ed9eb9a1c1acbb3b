//! The tokens of password resets (`ops/docs/FORMATS.md`, section 4). A token is 32 random bytes with
//! the user they belong to; the store holds its hash, sealed, where the password's hash would be.

use crate::keychain::RESET_HASH;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::id::UserId;
use claviger_domain::secret::SecretText;
use claviger_vault::Entropy;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

/// How long a token can be used: one hour.
pub(super) const RESET_MS: u64 = 3600 * 1000;

/// The first byte of a token.
const FORMAT: u8 = 1;
/// Of a token: format, user, random bytes.
const BYTES: usize = 1 + 16 + 32;

/// A new token of a user.
pub(super) fn new_token(user: UserId, entropy: &dyn Entropy) -> SecretText {
    let mut random = Zeroizing::new([0; 32]);
    entropy.fill(&mut *random);
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES));
    bytes.push(FORMAT);
    bytes.extend_from_slice(user.0.as_bytes());
    bytes.extend_from_slice(&*random);
    SecretText::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

/// The user that a token names; `None` for a text that is no token.
pub(super) fn user_of(token: &SecretText) -> Option<UserId> {
    let text = token.expose().trim();
    if text.len() > 2 * BYTES {
        return None;
    }
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
    let (format, rest) = bytes.split_first()?;
    let (user, _) = rest.split_at_checked(16)?;
    let is_one = *format == FORMAT && bytes.len() == BYTES;
    is_one.then(|| Uuid::from_slice(user).ok().map(UserId)).flatten()
}

/// The text that is stored instead of the token.
pub(super) fn hash(token: &SecretText) -> SecretText {
    let hash = Sha256::digest(token.expose().trim().as_bytes());
    SecretText::new(format!("{RESET_HASH}{}", URL_SAFE_NO_PAD.encode(hash)))
}

/// Whether this is the token that the stored text was made of. Hashes of 256 random bits are
/// compared, so the time that it takes shows nothing of use.
pub(super) fn fits(token: &SecretText, stored: &SecretText) -> bool {
    hash(token).expose() == stored.expose()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    #[test]
    fn a_token_names_its_user_and_fits_only_its_own_hash() {
        let user = UserId(Uuid::from_u128(7));
        let (token, other) = (new_token(user, &Fixed(1)), new_token(user, &Fixed(2)));
        assert_eq!(user_of(&token), Some(user));
        assert!(fits(&token, &hash(&token)) && !fits(&other, &hash(&token)));
        let pasted = SecretText::new(format!(" {}\n", token.expose()));
        assert!(user_of(&pasted) == Some(user) && fits(&pasted, &hash(&token)));
        assert!(!hash(&token).expose().contains(token.expose()));
    }

    #[test]
    fn any_other_text_names_nobody() {
        let token = new_token(UserId(Uuid::from_u128(7)), &Fixed(1));
        let bytes = URL_SAFE_NO_PAD.decode(token.expose()).unwrap();
        for n in 0..bytes.len() {
            let cut = SecretText::new(URL_SAFE_NO_PAD.encode(&bytes[..n]));
            assert_eq!(user_of(&cut), None, "first {n} bytes");
        }
        let mut newer = bytes;
        newer[0] = 2;
        for text in [URL_SAFE_NO_PAD.encode(newer), "x".repeat(10_000), "\u{0}".to_owned()] {
            assert_eq!(user_of(&SecretText::new(text)), None);
        }
    }
}
