//! Verifies a token of an external issuer and reads its claims.

use super::flaws::{Flaw, Flaws};
use super::jwks::{Jwks, JwksError};
use super::keys::{IssuerKey, MAX_KID};
use super::roles::RoleClaim;
use crate::auth::tokens::LEEWAY_S;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::account::Identity;
use claviger_domain::actor::Role;
use claviger_domain::text::{Email, FullName, Username};
use claviger_domain::timestamp::Timestamp;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The longest token accepted, in bytes: tokens that list many groups are long, but none reaches
/// this.
const MAX_LEN: usize = 16 * 1024;

/// Fewest and most bytes of a signature with a key of 2048 to 8192 bits.
const RSA_SIGNATURE: std::ops::RangeInclusive<usize> = 256..=1024;

/// Longest `sub` (section 2 of `OpenID` Connect Core).
const MAX_SUBJECT: usize = 255;

/// An issuer whose tokens are accepted.
#[expect(missing_debug_implementations, reason = "a client and keys")]
pub struct ExternalIssuer {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// The `aud` that names this server.
    pub audience: String,
    /// The claim that holds a user's roles. Without it the roles of the local account apply.
    pub role_claim: Option<RoleClaim>,
    pub jwks: Arc<Jwks>,
    flaws: Flaws,
}

/// The content of a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    pub identity: Identity,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    /// The user's roles, where the issuer decides them.
    pub roles: Option<BTreeSet<Role>>,
    /// The user's name at the issuer, if it is valid as a username here.
    pub username: Option<Username>,
    /// The e-mail address, unless the issuer marks it as unverified.
    pub email: Option<Email>,
    pub full_name: Option<FullName>,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    Good(Box<Vouched>),
    /// It was valid once.
    Expired,
    /// It isn't a token of this issuer for this server, or isn't valid yet.
    Bad,
}

/// Claims of which each was checked, as far as they need no key.
struct Claims {
    sub: String,
    issued_at: Timestamp,
    expires_at: Timestamp,
    all: Map<String, Value>,
}

/// Why a token is not good.
enum Refused {
    Expired,
    Flawed(Flaw),
    Unknown(JwksError),
}

impl From<Flaw> for Refused {
    fn from(flaw: Flaw) -> Self {
        Self::Flawed(flaw)
    }
}

impl ExternalIssuer {
    /// An issuer of tokens for this server.
    pub fn new(
        (issuer, audience): (String, String),
        role_claim: Option<RoleClaim>,
        jwks: Arc<Jwks>,
    ) -> Self {
        Self { issuer, audience, role_claim, jwks, flaws: Flaws::default() }
    }

    /// Checks a token.
    ///
    /// # Errors
    /// [`JwksError`] when the issuer's keys are unavailable, so the token can't be checked.
    pub async fn check(&self, token: &str, now: Timestamp) -> Result<Judged, JwksError> {
        match self.vouched_by(token, now).await {
            Ok(vouched) => Ok(Judged::Good(Box::new(vouched))),
            Err(Refused::Expired) => Ok(Judged::Expired),
            Err(Refused::Flawed(flaw)) => {
                self.flaws.note(flaw);
                Ok(Judged::Bad)
            }
            Err(Refused::Unknown(error)) => Err(error),
        }
    }

    /// Everything that needs no key is checked first: nobody can make this server ask the issuer for
    /// a key with a token that no key would make good.
    async fn vouched_by(&self, token: &str, now: Timestamp) -> Result<Vouched, Refused> {
        let (header, kid) = header_of(token)?;
        self.claims(unverified(token, header.alg)?, &header, now)?;
        let found = self.jwks.find(&kid).await.map_err(Refused::Unknown)?;
        let keys = found.ok_or(Flaw::UnknownKey)?;
        let mut keys = keys.iter().filter(|key| key.algorithms.contains(&header.alg)).peekable();
        if keys.peek().is_none() {
            return Err(Flaw::Algorithm.into());
        }
        let verified = keys.find_map(|key| self.verified(token, key, &header));
        let claims = self.claims(verified.ok_or(Flaw::Signature)?, &header, now)?;
        Ok(self.vouched(claims))
    }

    /// The claims, if the key verifies the token's signature.
    fn verified(
        &self,
        token: &str,
        key: &IssuerKey,
        header: &Header,
    ) -> Option<Map<String, Value>> {
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // The times are compared in `claims`, with the injected clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        jsonwebtoken::decode(token, &key.key, &validation).ok().map(|data| data.claims)
    }

    fn claims(
        &self,
        all: Map<String, Value>,
        header: &Header,
        now: Timestamp,
    ) -> Result<Claims, Refused> {
        let text = |name: &str| all.get(name).and_then(Value::as_str);
        if text("iss") != Some(self.issuer.as_str()) {
            return Err(Flaw::Issuer.into());
        }
        let is_ours = |audience: &Value| audience.as_str() == Some(self.audience.as_str());
        let is_for_us = match all.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
            Some(audience) => is_ours(audience),
            None => false,
        };
        if !is_for_us {
            return Err(Flaw::Audience.into());
        }
        let sub = text("sub").filter(|sub| (1..=MAX_SUBJECT).contains(&sub.len()));
        let sub = sub.ok_or(Flaw::Subject)?.to_owned();
        let latest = now.plus_ms(LEEWAY_S * 1000);
        let past = |name: &str| time_of(&all, name).filter(|time| *time <= latest);
        let issued_at = past("iat").ok_or(Flaw::IssuedAt)?;
        if !matches!(all.get("nbf"), None | Some(Value::Null)) {
            past("nbf").ok_or(Flaw::NotBefore)?;
        }
        let expires_at = time_of(&all, "exp").ok_or(Flaw::Expires)?;
        if !is_access_token(header) && is_id_token(&all) {
            return Err(Flaw::IdToken.into());
        }
        if now >= expires_at.plus_ms(LEEWAY_S * 1000) {
            return Err(Refused::Expired);
        }
        Ok(Claims { sub, issued_at, expires_at, all })
    }

    fn vouched(&self, claims: Claims) -> Vouched {
        let text = |name: &str| claims.all.get(name).and_then(Value::as_str);
        // Some issuers write truth as a text.
        let unchecked = claims
            .all
            .get("email_verified")
            .is_some_and(|said| *said == Value::Bool(false) || said.as_str() == Some("false"));
        Vouched {
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            roles: self.role_claim.as_ref().map(|claim| claim.roles(&claims.all)),
            username: text("preferred_username")
                .or(text("username"))
                .and_then(|name| Username::parse(name).ok()),
            email: text("email").filter(|_| !unchecked).and_then(|email| Email::parse(email).ok()),
            full_name: text("name").and_then(|name| FullName::parse(name).ok()),
            identity: Identity { issuer: self.issuer.clone(), subject: claims.sub },
        }
    }
}

/// A time as RFC 7519 has it (section 2): seconds since 1970, with or without a fraction.
fn time_of(claims: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    let seconds = claims.get(name)?.as_f64()?;
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    Some(u64::try_from(since.as_millis()).map_or(Timestamp::MAX, Timestamp).min(Timestamp::MAX))
}

/// The header and the key's id, if the token is worth verifying.
fn header_of(token: &str) -> Result<(Header, String), Flaw> {
    if token.len() > MAX_LEN {
        return Err(Flaw::Form);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Flaw::Form)?;
    let typ = header.typ.as_deref().ok_or(Flaw::Type)?;
    // A token that brings its own key, or requires an extension that isn't supported, is refused
    // (RFC 8725, sections 3.1 and 3.10).
    let brings_a_key = header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some();
    let is_strange = header.crit.is_some() || header.enc.is_some() || header.zip.is_some();
    if brings_a_key || is_strange {
        return Err(Flaw::Extensions);
    }
    // Keycloak, Entra and others type their access tokens as plain JWT.
    if !(is_access_token(&header) || typ.eq_ignore_ascii_case("jwt")) {
        return Err(Flaw::Type);
    }
    let kid = header.kid.clone().filter(|kid| (1..=MAX_KID).contains(&kid.len()));
    Ok((header, kid.ok_or(Flaw::KeyId)?))
}

/// What the token claims, if its signature could be one.
fn unverified(token: &str, algorithm: Algorithm) -> Result<Map<String, Value>, Flaw> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let mut parts = token.split('.').skip(1);
    let (payload, signature) = parts.next().zip(parts.next()).ok_or(Flaw::Form)?;
    let bytes = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Flaw::Signature)?.len();
    let is_possible = if [EdDSA, ES256].contains(&algorithm) {
        bytes == 64
    } else if algorithm == ES384 {
        bytes == 96
    } else if [RS256, RS384, RS512, PS256, PS384, PS512].contains(&algorithm) {
        RSA_SIGNATURE.contains(&bytes)
    } else {
        // No published key verifies a symmetric one.
        return Err(Flaw::Algorithm);
    };
    if !is_possible {
        return Err(Flaw::Signature);
    }
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Flaw::Form)?;
    serde_json::from_slice(&payload).map_err(|_| Flaw::Form)
}

/// Whether the header declares an access token (RFC 9068, section 2.1).
fn is_access_token(header: &Header) -> bool {
    let typ = header.typ.as_deref().unwrap_or_default();
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}

/// An ID token tells the program that requested it who signed in, and grants no access. Only ID
/// tokens have these claims.
fn is_id_token(claims: &Map<String, Value>) -> bool {
    ["nonce", "at_hash", "c_hash"].iter().any(|name| claims.contains_key(*name))
}
