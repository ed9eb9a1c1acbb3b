//! Verifies a token of an external issuer and reads its claims.

use super::jwks::{Jwks, JwksError};
use super::keys::{IssuerKey, MAX_KID};
use super::roles::RoleClaim;
use claviger_domain::account::Identity;
use claviger_domain::actor::Role;
use claviger_domain::text::{Email, FullName, Username};
use claviger_domain::timestamp::Timestamp;
use jsonwebtoken::{Header, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The longest token accepted, in bytes: tokens that list many groups are long, but none reaches
/// this.
const MAX_LEN: usize = 16 * 1024;

/// How far the issuer's clock may differ from this one, in seconds.
const LEEWAY_S: u64 = 30;

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

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    iat: u64,
    exp: u64,
    #[serde(default)]
    nbf: Option<u64>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl ExternalIssuer {
    /// Checks a token.
    ///
    /// # Errors
    /// [`JwksError`] when the issuer's keys are unavailable, so the token can't be checked.
    pub async fn check(&self, token: &str, now: Timestamp) -> Result<Judged, JwksError> {
        let Some((header, kid)) = header_of(token) else { return Ok(Judged::Bad) };
        let Some(keys) = self.jwks.find(&kid).await? else { return Ok(Judged::Bad) };
        let claims = keys
            .iter()
            .filter(|key| key.algorithms.contains(&header.alg))
            .find_map(|key| self.claims(token, key, &header));
        Ok(claims.and_then(|claims| self.judge(&header, claims, now)).unwrap_or(Judged::Bad))
    }

    /// The claims, if the key verifies the token's signature.
    fn claims(&self, token: &str, key: &IssuerKey, header: &Header) -> Option<Claims> {
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // The times are compared below, with the injected clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        jsonwebtoken::decode::<Claims>(token, &key.key, &validation).ok().map(|data| data.claims)
    }

    /// `None` for claims that no valid token has, or that aren't valid yet.
    fn judge(&self, header: &Header, claims: Claims, now: Timestamp) -> Option<Judged> {
        let seconds = now.0 / 1000;
        let latest = seconds + LEEWAY_S;
        let begun = claims.iat <= latest && claims.nbf.is_none_or(|nbf| nbf <= latest);
        let named = (1..=MAX_SUBJECT).contains(&claims.sub.len());
        if !begun || !named || (!is_access_token(header) && is_id_token(&claims.rest)) {
            return None;
        }
        if seconds >= claims.exp.checked_add(LEEWAY_S)? {
            return Some(Judged::Expired);
        }
        self.vouched(claims).map(Box::new).map(Judged::Good)
    }

    fn vouched(&self, claims: Claims) -> Option<Vouched> {
        let text = |name: &str| claims.rest.get(name).and_then(Value::as_str);
        let unchecked = claims.rest.get("email_verified") == Some(&Value::Bool(false));
        Some(Vouched {
            issued_at: Timestamp(claims.iat.checked_mul(1000)?),
            expires_at: Timestamp(claims.exp.saturating_mul(1000)).min(Timestamp::MAX),
            roles: self.role_claim.as_ref().map(|claim| claim.roles(&claims.rest)),
            username: text("preferred_username")
                .or(text("username"))
                .and_then(|name| Username::parse(name).ok()),
            email: text("email").filter(|_| !unchecked).and_then(|email| Email::parse(email).ok()),
            full_name: text("name").and_then(|name| FullName::parse(name).ok()),
            identity: Identity { issuer: claims.iss, subject: claims.sub },
        })
    }
}

/// The header and the key's id, if the token is worth verifying.
fn header_of(token: &str) -> Option<(Header, String)> {
    if token.len() > MAX_LEN {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    let typ = header.typ.as_deref()?;
    // A token that brings its own key, or requires an extension that isn't supported, is refused
    // (RFC 8725, sections 3.1 and 3.10).
    let brings_a_key = header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some();
    let is_strange = header.crit.is_some() || header.enc.is_some() || header.zip.is_some();
    // Keycloak, Entra and others type their access tokens as plain JWT.
    if brings_a_key || is_strange || !(is_access_token(&header) || typ.eq_ignore_ascii_case("jwt"))
    {
        return None;
    }
    let kid = header.kid.clone().filter(|kid| (1..=MAX_KID).contains(&kid.len()))?;
    Some((header, kid))
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
