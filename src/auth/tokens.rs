//! Access tokens: EdDSA-signed JWTs (RFC 9068) that name their session, so that ending the session
//! ends them. Refresh tokens: derived from the session's id and a generation under the store's
//! index key, so that none has to be stored.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::id::{SessionId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::timestamp::Timestamp;
use claviger_vault::StoreIndexKey;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The issuer and audience of these tokens.
const ISSUER: &str = "claviger";
/// RFC 9068, section 2.1: no ID token or other JWT signed with the same key passes as an access
/// token.
const TYPE: &str = "at+jwt";
/// PKCS#8 of an Ed25519 key, up to its 32 bytes (RFC 8410, section 7).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// How far the clock of whoever signed a token may be ahead of this one, in seconds.
pub(super) const LEEWAY_S: u64 = 30;
/// No token of this server is longer.
const MAX_LEN: usize = 2048;

/// The key doesn't load.
#[derive(Debug, thiserror::Error)]
#[error("the token key is not an Ed25519 seed of 32 bytes")]
pub struct TokenKeyError;

/// Signs and verifies access tokens.
#[expect(missing_debug_implementations, reason = "a key")]
#[derive(Clone)]
pub struct TokenKey {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    sid: Uuid,
    iat: u64,
    nbf: u64,
    exp: u64,
}

/// The result of reading a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It is valid until then.
    Good(Named, Timestamp),
    /// It was valid once.
    Expired,
    /// It isn't a token of this server, or isn't valid yet.
    Bad,
}

/// The user and session of a valid token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    pub user: UserId,
    pub session: SessionId,
}

impl TokenKey {
    /// From a 32-byte Ed25519 seed.
    ///
    /// # Errors
    /// When the seed isn't one.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, TokenKeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| TokenKeyError)?;
        let mut pkcs8 = Zeroizing::new(PKCS8.to_vec());
        pkcs8.extend_from_slice(seed);
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        // The times are compared below, with the injected clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self {
            signing: EncodingKey::from_ed_der(&pkcs8),
            checking: DecodingKey::from_ed_der(pair.public_key().as_ref()),
            validation,
        })
    }

    /// Signs a token; `None` only if the signer fails, which it doesn't.
    pub fn sign(&self, named: Named, now: Timestamp, expires_at: Timestamp) -> Option<SecretText> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: named.user.0,
            sid: named.session.0,
            iat: now.0 / 1000,
            nbf: now.0 / 1000,
            exp: expires_at.0 / 1000,
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        jsonwebtoken::encode(&header, &claims, &self.signing).ok().map(SecretText::new)
    }

    /// Verifies a token: signature, algorithm, type, issuer, audience, times. `None` for everything
    /// else.
    pub fn check(&self, token: &str, now: Timestamp) -> Option<Named> {
        match self.read(token, now) {
            Reading::Good(named, _) => Some(named),
            Reading::Expired | Reading::Bad => None,
        }
    }

    /// Like [`Self::check`], but distinguishes expired tokens from invalid ones.
    pub fn read(&self, token: &str, now: Timestamp) -> Reading {
        if token.len() > MAX_LEN {
            return Reading::Bad;
        }
        let Ok(data) = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.validation)
        else {
            return Reading::Bad;
        };
        let seconds = now.0 / 1000;
        if data.header.typ.as_deref() != Some(TYPE) {
            return Reading::Bad;
        }
        // Signed by another process of this store, whose clock is not this one's.
        if data.claims.nbf > seconds.saturating_add(LEEWAY_S) {
            tracing::warn!(
                claim = "nbf",
                "refused an access token of this store: the clocks of its processes differ by more \
                 than {LEEWAY_S} s"
            );
            return Reading::Bad;
        }
        if seconds >= data.claims.exp {
            return Reading::Expired;
        }
        let named = Named { user: UserId(data.claims.sub), session: SessionId(data.claims.sid) };
        Reading::Good(named, Timestamp(data.claims.exp.saturating_mul(1000)))
    }
}

/// What a refresh token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RefreshToken {
    pub(super) session: SessionId,
    /// Whose session it is; `None` in the first format, which no token is written in any more.
    pub(super) owner: Option<UserId>,
    pub(super) generation: u32,
}

/// Writes a refresh token (`ops/docs/FORMATS.md`, section 4).
pub(super) fn write_refresh(
    index: &StoreIndexKey,
    (session, owner): (SessionId, UserId),
    generation: u32,
) -> SecretText {
    let mut bytes = Zeroizing::new(Vec::with_capacity(69));
    bytes.push(2);
    bytes.extend_from_slice(session.0.as_bytes());
    bytes.extend_from_slice(owner.0.as_bytes());
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(&index.refresh_mac_2(session, owner, generation));
    SecretText::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

/// Reads a refresh token of this server, of either format; `None` for any other text. Whether it is
/// still current is up to its session.
pub(super) fn read_refresh(index: &StoreIndexKey, token: &SecretText) -> Option<RefreshToken> {
    let text = token.expose().trim();
    if text.len() > 200 {
        return None;
    }
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
    let (format, rest) = bytes.split_first()?;
    let (session, rest) = rest.split_at_checked(16)?;
    let session = SessionId(Uuid::from_bytes(session.try_into().ok()?));
    let (owner, rest) = match format {
        1 => (None, rest),
        2 => {
            let (owner, rest) = rest.split_at_checked(16)?;
            (Some(UserId(Uuid::from_bytes(owner.try_into().ok()?))), rest)
        }
        _ => return None,
    };
    let (generation, mac) = rest.split_at_checked(4)?;
    let generation = u32::from_be_bytes(generation.try_into().ok()?);
    let mac: [u8; 32] = mac.try_into().ok()?;
    let is_ours = match owner {
        Some(owner) => index.verify_refresh_mac_2((session, owner), generation, &mac),
        None => index.verify_refresh_mac(session, generation, &mac),
    };
    is_ours.then_some(RefreshToken { session, owner, generation })
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_domain::id::read_hex;
    use claviger_vault::Entropy;
    use serde_json::Value;

    struct Fixed([u8; 32]);

    impl Entropy for Fixed {
        fn fill(&self, out: &mut [u8]) {
            out.copy_from_slice(&self.0[..out.len()]);
        }
    }

    fn index(hex: &str) -> StoreIndexKey {
        StoreIndexKey::generate(&Fixed(read_hex(hex).unwrap()))
    }

    #[test]
    fn refresh_tokens_are_those_of_the_golden_vectors() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../ops/formats/vectors.json")).unwrap();
        for (list, names_owner) in [("refresh_tokens", false), ("refresh_tokens_2", true)] {
            let tokens = vectors[list].as_array().unwrap();
            assert!(!tokens.is_empty());
            for vector in tokens {
                let index = index(vector["store_index_key"].as_str().unwrap());
                let session = SessionId(vector["session_id"].as_str().unwrap().parse().unwrap());
                let owner =
                    names_owner.then(|| UserId(vector["owner"].as_str().unwrap().parse().unwrap()));
                let generation = u32::try_from(vector["generation"].as_u64().unwrap()).unwrap();
                let token = SecretText::new(vector["token"].as_str().unwrap().to_owned());
                let named = RefreshToken { session, owner, generation };
                assert_eq!(read_refresh(&index, &token), Some(named));
                if let Some(owner) = owner {
                    let written = write_refresh(&index, (session, owner), generation);
                    assert_eq!(written.expose(), token.expose());
                }
            }
        }
    }

    #[test]
    fn a_foreign_refresh_token_is_refused() {
        let (index, session) = (index(&"07".repeat(32)), SessionId(Uuid::from_u128(1)));
        let token = write_refresh(&index, (session, UserId(Uuid::from_u128(2))), 3);
        let bytes = URL_SAFE_NO_PAD.decode(token.expose()).unwrap();
        for n in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[n] ^= 1;
            assert_eq!(
                read_refresh(&index, &SecretText::new(URL_SAFE_NO_PAD.encode(&changed))),
                None,
                "byte {n}"
            );
            assert_eq!(
                read_refresh(&index, &SecretText::new(URL_SAFE_NO_PAD.encode(&bytes[..n]))),
                None,
                "first {n} bytes"
            );
        }
    }

    const NAMED: Named =
        Named { user: UserId(Uuid::from_u128(1)), session: SessionId(Uuid::from_u128(2)) };
    const NOW: Timestamp = Timestamp(1_760_000_000_000);

    fn key(seed: u8) -> TokenKey {
        TokenKey::from_seed(&[seed; 32]).unwrap()
    }

    #[test]
    fn an_access_token_names_user_and_session_until_it_expires() {
        let token = key(1).sign(NAMED, NOW, NOW.plus_ms(60_000)).unwrap();
        assert_eq!(key(1).check(token.expose(), NOW), Some(NAMED));
        assert_eq!(key(1).check(token.expose(), NOW.plus_ms(59_000)), Some(NAMED));
        assert_eq!(key(1).check(token.expose(), NOW.plus_ms(60_000)), None, "expired");
        for ahead_s in [1, 29, 30] {
            let peers = Timestamp(NOW.0 - ahead_s * 1000);
            assert_eq!(key(1).check(token.expose(), peers), Some(NAMED), "{ahead_s}");
        }
        assert_eq!(key(1).check(token.expose(), Timestamp(NOW.0 - 31_000)), None, "not yet good");
        assert_eq!(key(2).check(token.expose(), NOW), None, "another key");
    }

    /// A token signed with the real key, with a header or claims an attacker chose.
    fn forged(header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &key(1).signing).unwrap()
    }

    #[test]
    fn a_token_of_another_type_issuer_or_audience_is_refused() {
        let (header, s) =
            (Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::EdDSA) }, NOW.0 / 1000);
        let good = serde_json::json!({ "iss": ISSUER, "aud": ISSUER, "sub": NAMED.user.0, "sid": NAMED.session.0,
            "iat": s, "nbf": s, "exp": s + 60 });
        assert_eq!(key(1).check(&forged(&header, &good), NOW), Some(NAMED));
        for (claim, value) in [
            ("iss", "other"),
            ("aud", "other"),
            ("sub", "nobody"),
            ("sid", "nothing"),
            ("exp", "soon"),
        ] {
            let mut claims = good.clone();
            claims[claim] = value.into();
            assert_eq!(key(1).check(&forged(&header, &claims), NOW), None, "{claim}");
            claims.as_object_mut().unwrap().remove(claim);
            assert_eq!(key(1).check(&forged(&header, &claims), NOW), None, "no {claim}");
        }
        for typ in [None, Some("JWT".to_owned())] {
            assert_eq!(key(1).check(&forged(&Header { typ, ..header.clone() }, &good), NOW), None);
        }
    }

    #[test]
    fn a_token_of_another_algorithm_is_refused() {
        let token = key(1).sign(NAMED, NOW, NOW.plus_ms(60_000)).unwrap();
        let (_, rest) = token.expose().split_once('.').unwrap();
        for header in [
            r#"{"alg":"none","typ":"at+jwt"}"#,
            r#"{"alg":"HS256","typ":"at+jwt"}"#,
            r#"{"typ":"at+jwt"}"#,
            "{}",
        ] {
            let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
            assert_eq!(key(1).check(&forged, NOW), None, "{header}");
        }
        for text in ["", "a.b.c", "..", &"x".repeat(10_000)] {
            assert_eq!(key(1).check(text, NOW), None);
        }
    }
}
