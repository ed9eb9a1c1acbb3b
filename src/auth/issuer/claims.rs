//! One token of an external issuer: whom it names, if it is good.

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

/// Longest token: those with many groups are long, none is longer.
const MAX_LEN: usize = 16 * 1024;

/// How far the issuer's clock may be from ours, in seconds.
const LEEWAY_S: u64 = 30;

/// Longest `sub` (section 2 of `OpenID` Connect Core).
const MAX_SUBJECT: usize = 255;

/// An issuer whose users may come with its tokens.
#[expect(missing_debug_implementations, reason = "a client and keys")]
pub struct ExternalIssuer {
    /// As its tokens name it.
    pub issuer: String,
    /// We, as its tokens name us.
    pub audience: String,
    /// Where its tokens say what a user may do. Without it our accounts say it.
    pub role_claim: Option<RoleClaim>,
    /// Its keys.
    pub jwks: Arc<Jwks>,
}

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Who it is.
    pub identity: Identity,
    /// When the token was made.
    pub issued_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// What they may do, where the issuer decides that.
    pub roles: Option<BTreeSet<Role>>,
    /// What they may be called by, if it can be a username of ours.
    pub username: Option<Username>,
    /// As the issuer knows it, unless it says that nobody has checked it.
    pub email: Option<Email>,
    /// Their name.
    pub full_name: Option<FullName>,
}

/// What there is to say of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is good.
    Good(Box<Vouched>),
    /// It was good once.
    Expired,
    /// It is no token of this issuer for us, or not good yet.
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
    /// [`JwksError`] when that can't be known now, because the issuer's keys can't be had.
    pub async fn check(&self, token: &str, now: Timestamp) -> Result<Judged, JwksError> {
        let Some((header, kid)) = header_of(token) else { return Ok(Judged::Bad) };
        let Some(keys) = self.jwks.find(&kid).await? else { return Ok(Judged::Bad) };
        let claims = keys
            .iter()
            .filter(|key| key.algorithms.contains(&header.alg))
            .find_map(|key| self.claims(token, key, &header));
        Ok(claims.and_then(|claims| self.judge(&header, claims, now)).unwrap_or(Judged::Bad))
    }

    /// The claims, if the key made the token's signature.
    fn claims(&self, token: &str, key: &IssuerKey, header: &Header) -> Option<Claims> {
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // Times are compared with our own clock, below.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        jsonwebtoken::decode::<Claims>(token, &key.key, &validation).ok().map(|data| data.claims)
    }

    /// `None` for claims that can't be a good token's at any time, or not yet.
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

/// The header and the id of the key, if the token may be looked at any further.
fn header_of(token: &str) -> Option<(Header, String)> {
    if token.len() > MAX_LEN {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    let typ = header.typ.as_deref()?;
    // A token that brings its own key, or wants something understood that we don't know, is not for us (RFC 8725, sections 3.1, 3.10).
    let brings_a_key = header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some();
    let is_strange = header.crit.is_some() || header.enc.is_some() || header.zip.is_some();
    // Keycloak, Entra and others call their access tokens plain JWT.
    if brings_a_key || is_strange || !(is_access_token(&header) || typ.eq_ignore_ascii_case("jwt"))
    {
        return None;
    }
    let kid = header.kid.clone().filter(|kid| (1..=MAX_KID).contains(&kid.len()))?;
    Some((header, kid))
}

/// Says it of itself (RFC 9068, section 2.1).
fn is_access_token(header: &Header) -> bool {
    let typ = header.typ.as_deref().unwrap_or_default();
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}

/// An ID token says who signed in, to the program that asked for it; it opens no doors. These claims stand in nothing else.
fn is_id_token(claims: &Map<String, Value>) -> bool {
    ["nonce", "at_hash", "c_hash"].iter().any(|name| claims.contains_key(*name))
}
