//! A cache of access tokens with verified signatures: a client sends the same token for a quarter
//! of an hour, and verifying it costs a tenth of a short query. Whether its session is open and its
//! user active is checked on every request.

use super::tokens::{Named, Reading, TokenKey};
use claviger_domain::timestamp::Timestamp;
use lru::LruCache;
use sha2::{Digest as _, Sha256};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

/// Tokens kept, some hundred bytes each; the least recently used go first.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Valid tokens by their hashes: the tokens themselves aren't kept.
pub(super) struct CheckedTokens(Mutex<LruCache<[u8; 32], (Named, Timestamp)>>);

impl Default for CheckedTokens {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl CheckedTokens {
    /// The result of [`TokenKey::check`].
    pub(super) fn check(&self, key: &TokenKey, token: &str, now: Timestamp) -> Option<Named> {
        let hash = <[u8; 32]>::from(Sha256::digest(token));
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).copied();
        if let Some((named, until)) = kept
            && now < until
        {
            return Some(named);
        }
        let Reading::Good(named, until) = key.read(token, now) else { return None };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(hash, (named, until));
        Some(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_domain::id::{SessionId, UserId};
    use uuid::Uuid;

    #[test]
    fn a_checked_token_expires_on_time_and_validates_no_other() {
        let key = TokenKey::from_seed(&[7; 32]).unwrap();
        let named =
            Named { user: UserId(Uuid::from_u128(1)), session: SessionId(Uuid::from_u128(2)) };
        let (now, end) = (Timestamp(1_000_000), Timestamp(1_900_000));
        let token = key.sign(named, now, end).unwrap();
        let checked = CheckedTokens::default();
        for at in [now, now, Timestamp(end.0 - 1)] {
            assert_eq!(checked.check(&key, token.expose(), at), Some(named));
        }
        assert_eq!(checked.check(&key, token.expose(), end), None);
        let (signed, signature) = token.expose().rsplit_once('.').unwrap();
        let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
        assert_eq!(checked.check(&key, &forged, now), None);
        assert_eq!(checked.check(&TokenKey::from_seed(&[8; 32]).unwrap(), &forged, now), None);
    }
}
