//! The keys of an issuer. A key decides which algorithms it may verify, never the token: forgers
//! rely on a public key being used as an HMAC secret, or on RSA being accepted for an
//! elliptic-curve key.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most keys of one document: issuers have two to ten.
const MAX_KEYS: usize = 100;

/// Longest key id.
pub(super) const MAX_KID: usize = 256;

/// Fewest and most characters of an RSA modulus in base64url: 2048 and 8192 bits.
const RSA_MODULUS: std::ops::RangeInclusive<usize> = 342..=1366;

/// A document without usable keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not the shape of RFC 7517, section 5.
    #[error("it is not a JSON Web Key Set")]
    Malformed,
    #[error("it has more than {MAX_KEYS} keys")]
    TooMany,
    /// None of its keys verifies signatures.
    #[error("it has no key that verifies signatures and has a kid")]
    Empty,
}

/// A key that verifies signatures.
#[derive(Clone, Debug)]
pub struct IssuerKey {
    pub key: DecodingKey,
    /// The algorithms it may verify.
    pub algorithms: Vec<Algorithm>,
}

/// The keys by their ids. Two with one id (of different types) are both tried.
#[derive(Clone, Debug, Default)]
pub struct KeySet(BTreeMap<String, Vec<IssuerKey>>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Parses a document. Keys of other uses and types are left out, as RFC 7517 requires.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn read(json: &[u8]) -> Result<Self, KeySetError> {
        // Some gateways and file servers write a mark before the text.
        let json = json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(json);
        let document: Document =
            serde_json::from_slice(json).map_err(|_| KeySetError::Malformed)?;
        if document.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut keys: BTreeMap<String, Vec<IssuerKey>> = BTreeMap::new();
        for key in document.keys {
            let Ok(jwk) = serde_json::from_value::<Jwk>(key) else { continue };
            let kid = jwk.common.key_id.clone().filter(|kid| (1..=MAX_KID).contains(&kid.len()));
            if let (Some(kid), Some(key)) = (kid, usable(&jwk)) {
                keys.entry(kid).or_default().push(key);
            }
        }
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self(keys)) }
    }

    /// The keys of an id; `None` for an unknown id.
    pub fn find(&self, kid: &str) -> Option<&[IssuerKey]> {
        self.0.get(kid).map(Vec::as_slice)
    }

    /// The number of ids.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn usable(jwk: &Jwk) -> Option<IssuerKey> {
    let common = &jwk.common;
    let signs =
        common.public_key_use.as_ref().is_none_or(|given| *given == PublicKeyUse::Signature)
            && common
                .key_operations
                .as_ref()
                .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let mut algorithms = if signs { by_type(&jwk.algorithm) } else { Vec::new() };
    if let Some(named) = common.key_algorithm {
        algorithms.retain(|algorithm| jsonwebtoken::jwk::KeyAlgorithm::from(*algorithm) == named);
    }
    let key = if algorithms.is_empty() { None } else { DecodingKey::from_jwk(jwk).ok() };
    key.map(|key| IssuerKey { key, algorithms })
}

/// Asymmetric algorithms only: with a symmetric key, every reader of the document could sign.
fn by_type(parameters: &AlgorithmParameters) -> Vec<Algorithm> {
    use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
    if let AlgorithmParameters::RSA(rsa) = parameters {
        if !RSA_MODULUS.contains(&rsa.n.len()) {
            return Vec::new();
        }
        vec![RS256, RS384, RS512, PS256, PS384, PS512]
    } else if let AlgorithmParameters::EllipticCurve(curve) = parameters {
        // jsonwebtoken doesn't support P-521.
        let of_curves =
            [(EllipticCurve::P256, Algorithm::ES256), (EllipticCurve::P384, Algorithm::ES384)];
        of_curves
            .into_iter()
            .filter(|(known, _)| *known == curve.curve)
            .map(|(_, algorithm)| algorithm)
            .collect()
    } else if let AlgorithmParameters::OctetKeyPair(pair) = parameters
        && pair.curve == EllipticCurve::Ed25519
    {
        vec![Algorithm::EdDSA]
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn ed(more: &Value) -> Value {
        let mut key = json!({"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "a"});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    fn read(keys: &Value) -> Result<KeySet, KeySetError> {
        KeySet::read(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn a_key_checks_what_its_type_can_and_its_alg_allows() {
        let modulus = "u".repeat(341) + "w";
        let rsa = json!({"kty": "RSA", "n": modulus, "e": "AQAB", "kid": "rsa"});
        let mut narrowed = rsa.clone();
        narrowed["alg"] = "RS256".into();
        narrowed["kid"] = "narrow".into();
        let curve = json!({"kty": "EC", "crv": "P-256", "x": X, "y": X, "kid": "ec"});
        let keys =
            read(&json!([rsa, narrowed, curve, ed(&json!({"use": "sig", "key_ops": ["verify"]}))]))
                .unwrap();
        let algorithms = |kid: &str| keys.find(kid).unwrap()[0].algorithms.clone();
        assert_eq!(algorithms("rsa").len(), 6);
        assert_eq!(algorithms("narrow"), [Algorithm::RS256]);
        assert_eq!(algorithms("ec"), [Algorithm::ES256]);
        assert_eq!(algorithms("a"), [Algorithm::EdDSA]);
        assert!(keys.find("b").is_none());
    }

    #[test]
    fn keys_that_check_no_signatures_are_left_out() {
        for unusable in [
            json!({"kty": "oct", "k": X, "kid": "a"}),
            json!({"kty": "oct", "k": X, "kid": "a", "alg": "HS256"}),
            json!({"kty": "RSA", "n": "u".repeat(171), "e": "AQAB", "kid": "a"}),
            json!({"kty": "EC", "crv": "P-521", "x": X, "y": X, "kid": "a"}),
            json!({"kty": "Zebra", "kid": "a"}),
            json!("zebra"),
            ed(&json!({"use": "enc"})),
            ed(&json!({"key_ops": ["sign"]})),
            ed(&json!({"alg": "HS256"})),
            ed(&json!({"alg": "RS256"})),
            ed(&json!({"kid": null})),
            ed(&json!({"kid": ""})),
            ed(&json!({"kid": "x".repeat(257)})),
        ] {
            assert_eq!(read(&json!([unusable])).unwrap_err(), KeySetError::Empty, "{unusable}");
            let beside = read(&json!([unusable, ed(&json!({"kid": "good"}))])).unwrap();
            assert_eq!(beside.len(), 1, "{unusable}");
        }
    }

    #[test]
    fn a_document_that_is_no_key_set_is_refused() {
        for text in ["", "[]", "{}", "{\"keys\": {}}", "null", "{\"keys\": 1}", "<html>"] {
            assert_eq!(
                KeySet::read(text.as_bytes()).unwrap_err(),
                KeySetError::Malformed,
                "{text}"
            );
        }
        assert_eq!(
            read(&Value::Array(vec![ed(&json!({})); MAX_KEYS + 1])).unwrap_err(),
            KeySetError::TooMany
        );
    }
}
