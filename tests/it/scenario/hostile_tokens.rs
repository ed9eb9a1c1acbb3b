//! Tokens of a forger who knows everything but the key: each is refused alike, whichever issuer it
//! claims.

use super::stage::Stage;
use crate::harness::issuer::{AUDIENCE, ISSUER, Issuer, Signing, claims, part};
use crate::harness::stores::StoreKind;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use claviger_application::ids::{IdKind, decode_as};
use claviger_domain::secret::SecretText;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Map, Value, json};
use std::time::Duration;

const SEED: [u8; 32] = [42; 32];

/// Our own key, as the tests know it.
fn own_key() -> Signing {
    let mut pkcs8 = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    pkcs8.extend_from_slice(&SEED);
    Signing {
        kid: "none".to_owned(),
        algorithm: Algorithm::EdDSA,
        key: EncodingKey::from_ed_der(&pkcs8),
    }
}

fn merged(base: &Value, more: &Value) -> Value {
    let mut base = base.as_object().unwrap().clone();
    for (name, value) in more.as_object().unwrap() {
        base.insert(name.clone(), value.clone());
    }
    Value::Object(base)
}

fn without(base: &Value, name: &str) -> Value {
    let mut base = base.as_object().unwrap().clone();
    assert!(base.remove(name).is_some(), "{name}");
    Value::Object(base)
}

/// A valid token taken apart: what the forgers begin with.
struct Original<'a> {
    key: &'a Signing,
    header: Value,
    claims: Value,
    /// The public key in every form that might be mistaken for a secret.
    public: Vec<Vec<u8>>,
}

impl Original<'_> {
    fn token(&self) -> String {
        self.key.sign(&self.header, &self.claims)
    }

    fn with_header(&self, more: &Value) -> String {
        self.key.sign(&merged(&self.header, more), &self.claims)
    }

    fn with_claims(&self, more: &Value) -> String {
        self.key.sign(&self.header, &merged(&self.claims, more))
    }

    /// Changed after it was signed.
    fn tampered(&self, header: &Value, claims: &Value) -> String {
        let token = self.token();
        format!("{}.{}.{}", part(header), part(claims), token.rsplit('.').next().unwrap())
    }

    /// Cut, grown and written in other alphabets.
    fn bytes(&self) -> Vec<String> {
        let good = self.token();
        let [header, claims, signature]: [&str; 3] =
            good.split('.').collect::<Vec<_>>().try_into().unwrap();
        let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let mut flipped = raw.clone();
        flipped[0] ^= 1;
        let json = URL_SAFE_NO_PAD.decode(claims).unwrap();
        vec![
            "garbage".to_owned(),
            "..".to_owned(),
            "...".to_owned(),
            "a.b.c".to_owned(),
            header.to_owned(),
            format!("{header}."),
            format!("{header}.{claims}"),
            format!("{header}.{claims}."),
            format!("{header}..{signature}"),
            format!(".{claims}.{signature}"),
            format!("{good}."),
            format!(".{good}"),
            format!("{good}.{signature}"),
            format!("{header}.{claims}.{claims}.{signature}"),
            format!("{good}A"),
            format!("{good}="),
            format!("{good}=="),
            good.get(..good.len() - 2).unwrap().to_owned(),
            good.get(..good.len() / 2).unwrap().to_owned(),
            good.get(1..).unwrap().to_owned(),
            good.to_uppercase(),
            format!("{claims}.{header}.{signature}"),
            format!("{header}.{claims}.{}", URL_SAFE.encode(&raw)),
            format!("{header}.{}.{signature}", STANDARD.encode(&json)).replace('+', "-") + "+",
            format!("{header}.{claims}.{}", STANDARD_NO_PAD.encode([0xfb; 64])),
            format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(&flipped)),
            format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
            format!("{header}.{claims}.{}", "A".repeat(20_000)),
            "x".repeat(20_000),
            format!("{}.{claims}.{signature}", "A".repeat(20_000)),
            format!("{header}.{claims}%2e{signature}"),
            format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode("[]")),
            format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode("{\"alg\":\"EdDSA\"")),
            format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("null")),
        ]
    }

    /// Of an algorithm that the key isn't for.
    fn algorithms(&self) -> Vec<String> {
        let mut tokens = Vec::new();
        for none in ["none", "None", "NONE", "nOnE"] {
            let header = merged(&self.header, &json!({ "alg": none }));
            tokens.push(format!("{}.{}.", part(&header), part(&self.claims)));
            tokens.push(self.tampered(&header, &self.claims));
        }
        for algorithm in [
            "HS256", "HS384", "HS512", "RS256", "RS512", "PS256", "ES256", "ES384", "ES512",
            "Ed25519", "EdDSA ",
        ] {
            if json!(algorithm) != self.header["alg"] {
                tokens.push(
                    self.tampered(
                        &merged(&self.header, &json!({ "alg": algorithm })),
                        &self.claims,
                    ),
                );
            }
        }
        for algorithm in [json!(null), json!(1), json!(["EdDSA"]), json!("")] {
            tokens.push(
                self.tampered(&merged(&self.header, &json!({ "alg": algorithm })), &self.claims),
            );
        }
        tokens.push(self.tampered(&without(&self.header, "alg"), &self.claims));
        // The public key, which everybody has, as the secret of an HMAC.
        for (name, algorithm) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            let message = format!(
                "{}.{}",
                part(&merged(&self.header, &json!({ "alg": name }))),
                part(&self.claims)
            );
            for public in &self.public {
                let tag = hmac::sign(&hmac::Key::new(algorithm, public), message.as_bytes());
                tokens.push(format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)));
            }
        }
        tokens
    }

    /// Headers that lead to a key of the forger's, or want to be understood.
    fn headers(&self) -> Vec<String> {
        let forger = Signing { kid: self.key.kid.clone(), ..Signing::ed25519("mine") };
        let mut tokens = vec![
            forger.sign(&merged(&self.header, &json!({ "alg": "EdDSA" })), &self.claims),
            forger.sign(
                &merged(&self.header, &json!({ "alg": "EdDSA", "jwk": forger.jwk() })),
                &self.claims,
            ),
            forger.sign(
                &merged(
                    &self.header,
                    &json!({ "alg": "EdDSA", "jku": "https://evil.example.org/jwks.json" }),
                ),
                &self.claims,
            ),
            forger.sign(
                &merged(
                    &self.header,
                    &json!({ "alg": "EdDSA", "x5u": "https://evil.example.org/x.pem" }),
                ),
                &self.claims,
            ),
            forger.sign(
                &merged(&self.header, &json!({ "alg": "EdDSA", "x5c": ["MIIB"] })),
                &self.claims,
            ),
            self.tampered(&merged(&self.header, &json!({ "crit": ["exp"] })), &self.claims),
            self.tampered(
                &merged(&self.header, &json!({ "crit": ["b64"], "b64": false })),
                &self.claims,
            ),
            self.tampered(&merged(&self.header, &json!({ "zip": "DEF" })), &self.claims),
            self.with_header(&json!({ "typ": null })),
            self.key.sign(&without(&self.header, "typ"), &self.claims),
        ];
        for typ in ["", "jwe", "id+jwt", "logout+jwt", "dpop+jwt", "at+jwt "] {
            tokens.push(self.with_header(&json!({ "typ": typ })));
        }
        for kid in ["../../dev/null", "' OR 1=1 --", "k1\0"] {
            tokens.push(self.tampered(&merged(&self.header, &json!({ "kid": kid })), &self.claims));
        }
        tokens
    }

    /// Claims that are missing, of the wrong type or about something else, signed by the right key
    /// all the same.
    fn claims(&self, required: &[&str], now: u64) -> Vec<String> {
        let mut tokens = Vec::new();
        for name in required {
            tokens.push(self.key.sign(&self.header, &without(&self.claims, name)));
            for wrong in [json!(null), json!(true), json!({}), json!("zebra"), json!("")] {
                // A subject may have any name at an issuer, and none of the times is a text.
                if *name != "sub" || wrong != json!("zebra") || self.claims.get("sid").is_some() {
                    tokens.push(
                        self.with_claims(&Map::from_iter([((*name).to_owned(), wrong)]).into()),
                    );
                }
            }
        }
        for more in [
            json!({ "aud": [] }),
            json!({ "aud": ["zebra", "another"] }),
            json!({ "iss": [ISSUER] }),
            json!({ "iss": format!("{ISSUER}x") }),
            json!({ "sub": 1 }),
            json!({ "sub": "x".repeat(300) }),
            json!({ "exp": now - 31 }),
            json!({ "exp": 0 }),
            json!({ "exp": -1 }),
            json!({ "exp": (now + 600).to_string() }),
            json!({ "nbf": now + 31 }),
            json!({ "nbf": u64::MAX }),
            json!({ "iat": now + 3600, "nbf": now + 3600, "exp": now + 7200 }),
            json!({ "iat": -1 }),
        ] {
            tokens.push(self.with_claims(&more));
        }
        // Claimed after it was signed.
        tokens.push(
            self.tampered(&self.header, &merged(&self.claims, &json!({ "exp": now + 999_999 }))),
        );
        tokens.push(
            self.tampered(&self.header, &merged(&self.claims, &json!({ "roles": ["admin"] }))),
        );
        tokens
    }
}

async fn assert_all_refused(stage: &Stage, tokens: Vec<String>) {
    assert!(tokens.len() >= 80, "{} tokens", tokens.len());
    let nobody = stage.nobody();
    for token in tokens {
        let client = nobody.with_token(&token);
        let answer = client.send("{ viewer { id } }", json!({})).await;
        let shown: String = token.chars().take(300).collect();
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "UNAUTHENTICATED"),
            "{shown}: {}",
            answer.text
        );
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{shown}");
        assert!(answer.json().get("data").is_none(), "{shown}: {}", answer.text);
    }
}

async fn stage(kind: StoreKind, issuer: &Issuer) -> Stage {
    let opened = Stage::with(kind, |config| {
        config.token_key = Some(SecretText::new(STANDARD.encode(SEED)));
        config.issuer = Some(issuer.config(Duration::from_hours(1), None));
    });
    Box::pin(opened).await
}

#[tokio::test]
async fn tokens_of_ours_that_we_did_not_make_are_refused() {
    for kind in StoreKind::available().await {
        let (key, theirs) = (own_key(), Signing::ed25519("k1"));
        let issuer = Issuer::start(&[&theirs]).await;
        let stage = stage(*kind, &issuer).await;
        let ada = stage.user("ada").await;
        let data = ada.ask("{ viewer { id sessions { id } } }", json!({})).await;
        let id = |kind, value: &Value| decode_as(kind, value.as_str().unwrap()).unwrap();
        let (user, session) = (
            id(IdKind::User, &data["viewer"]["id"]),
            id(IdKind::Session, &data["viewer"]["sessions"][0]["id"]),
        );
        let now = stage.clock.now().0 / 1000;
        let claims = json!({ "iss": "claviger", "aud": "claviger", "sub": user, "sid": session, "iat": now, "nbf": now, "exp": now + 600 });
        let raw =
            Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap().public_key().as_ref().to_vec();
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt" });
        let public = vec![
            raw.clone(),
            URL_SAFE_NO_PAD.encode(&raw).into_bytes(),
            STANDARD.encode(&raw).into_bytes(),
        ];
        let original = Original { key: &key, header, claims, public };
        ada.with_token(&original.token()).ask("{ viewer { id } }", json!({})).await;

        let mut tokens = original.bytes();
        tokens.extend(original.algorithms());
        tokens.extend(original.headers());
        tokens
            .extend(original.claims(&["iss", "aud", "sub", "sid", "iat", "nbf", "exp"], now + 31));
        for (name, value) in [
            ("sub", uuid::Uuid::nil()),
            ("sid", uuid::Uuid::nil()),
            ("sub", session),
            ("sid", user),
        ] {
            tokens.push(
                original.with_claims(&Map::from_iter([(name.to_owned(), json!(value))]).into()),
            );
        }
        tokens.push(original.with_header(&json!({ "typ": "JWT" })));
        tokens.push(original.with_claims(&json!({ "exp": now })));
        // Claims of ours under the issuer's key, with its id and without.
        tokens.push(theirs.token(&original.claims));
        tokens.push(theirs.sign(&original.header, &original.claims));
        assert_all_refused(&stage, tokens).await;
        ada.ask("{ viewer { id } }", json!({})).await;
        stage.close().await;
    }
}

#[tokio::test]
async fn tokens_of_the_issuer_that_it_did_not_make_for_us_are_refused() {
    for kind in StoreKind::available().await {
        for key in [Signing::ed25519("k1"), Signing::p256("k1"), Signing::rsa("k1")] {
            let issuer = Issuer::start(&[&key]).await;
            let stage = stage(*kind, &issuer).await;
            let now = stage.clock.now().0 / 1000;
            let jwk = key.jwk();
            let public = ["x", "n"]
                .iter()
                .filter_map(|name| jwk[*name].as_str())
                .flat_map(|text| [text.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(text).unwrap()]);
            let public = public.chain([jwk.to_string().into_bytes()]).collect();
            let original = Original {
                key: &key,
                header: key.header(),
                claims: claims(&stage.clock, "00u1ada"),
                public,
            };
            for (header, claims) in [
                (json!({}), json!({})),
                (json!({ "typ": "JWT", "x5t": "abc" }), json!({ "aud": AUDIENCE })),
                (
                    json!({ "typ": "application/at+jwt" }),
                    json!({ "exp": now - 29, "iat": now - 600 }),
                ),
            ] {
                let good = key
                    .sign(&merged(&original.header, &header), &merged(&original.claims, &claims));
                stage.nobody().with_token(&good).ask("{ viewer { id } }", json!({})).await;
            }
            let head = stage.head().await;

            let mut tokens = original.bytes();
            tokens.extend(original.algorithms());
            tokens.extend(original.headers());
            tokens.extend(original.claims(&["iss", "aud", "sub", "iat", "exp"], now));
            for more in [
                json!({ "crit": ["exp"] }),
                json!({ "crit": [] }),
                json!({ "jku": "https://x" }),
                json!({ "jwk": jwk }),
            ] {
                tokens.push(original.with_header(&more));
            }
            for kid in [json!("k2"), json!(""), json!(1), json!(null), json!("x".repeat(1000))] {
                tokens.push(original.with_header(&json!({ "kid": kid })));
            }
            tokens.push(key.sign(&without(&original.header, "kid"), &original.claims));
            for id_token in ["nonce", "at_hash", "c_hash"] {
                let claims = merged(
                    &original.claims,
                    &Map::from_iter([(id_token.to_owned(), json!("x"))]).into(),
                );
                tokens.push(key.sign(&merged(&original.header, &json!({ "typ": "JWT" })), &claims));
            }
            // The issuer's claims under our own key.
            tokens.push(
                own_key()
                    .sign(&merged(&original.header, &json!({ "alg": "EdDSA" })), &original.claims),
            );
            tokens.push(
                own_key().sign(&json!({ "alg": "EdDSA", "typ": "at+jwt" }), &original.claims),
            );
            assert_all_refused(&stage, tokens).await;
            assert_eq!(stage.head().await, head, "none of them made an account");
            stage.close().await;
        }
    }
}
