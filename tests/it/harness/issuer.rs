//! An issuer in this process: keys of every type it may have, a document that tests change, and a
//! count of the requests for it.

use super::environment::TestClock;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::app::config::IssuerConfig;
use claviger::auth::JwksSettings;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

pub(crate) const ISSUER: &str = "https://login.example.org/";
pub(crate) const AUDIENCE: &str = "https://keys.example.org";

/// A key that signs.
#[derive(Clone)]
pub(crate) struct Signing {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: EncodingKey,
}

fn key(kid: &str, algorithm: Algorithm, key: EncodingKey) -> Signing {
    Signing { kid: kid.to_owned(), algorithm, key }
}

impl Signing {
    pub(crate) fn ed25519(kid: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
        key(kid, Algorithm::EdDSA, EncodingKey::from_ed_der(pkcs8.as_ref()))
    }

    pub(crate) fn p256(kid: &str) -> Self {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .unwrap();
        key(kid, Algorithm::ES256, EncodingKey::from_ec_der(pkcs8.as_ref()))
    }

    pub(crate) fn rsa(kid: &str) -> Self {
        use aws_lc_rs::encoding::AsDer as _;
        let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        // The library wants the key inside.
        key(kid, Algorithm::RS256, EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]))
    }

    /// The public half, as the issuer publishes it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap())
                .unwrap();
        jwk["kid"] = self.kid.clone().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A token with this header and these claims, signed correctly with the key's own algorithm.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "alg": self.algorithm, "typ": "at+jwt", "kid": self.kid })
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), claims)
    }
}

pub(crate) fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// The claims of a valid token of a subject.
pub(crate) fn claims(clock: &TestClock, subject: &str) -> Value {
    let now = clock.now().0 / 1000;
    json!({ "iss": ISSUER, "aud": [AUDIENCE, "another"], "sub": subject, "iat": now, "nbf": now, "exp": now + 600 })
}

#[derive(Default)]
struct Shared {
    body: Mutex<(u16, Vec<u8>)>,
    asked: AtomicUsize,
    /// While held, answers wait.
    hold: Mutex<Option<Arc<Notify>>>,
}

/// The issuer's server.
pub(crate) struct Issuer {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Between two fetches of a server.
    pub(crate) pause: Duration,
    /// After a fetch that failed.
    pub(crate) after_failure: Duration,
}

impl Issuer {
    pub(crate) async fn start(keys: &[&Signing]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let of_server = Arc::clone(&shared);
        let answer = async move || {
            of_server.asked.fetch_add(1, Ordering::SeqCst);
            let hold = of_server.hold.lock().unwrap().clone();
            if let Some(hold) = hold {
                hold.notified().await;
            }
            let (status, body) = of_server.body.lock().unwrap().clone();
            let location = [("location", "/jwks.json")];
            (StatusCode::from_u16(status).unwrap(), location, body)
        };
        let router = Router::new().route("/jwks.json", get(answer));
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        let (pause, after_failure) = (Duration::from_millis(1), Duration::ZERO);
        let issuer = Self { address, shared, pause, after_failure };
        issuer.publish(keys);
        issuer
    }

    pub(crate) fn publish(&self, keys: &[&Signing]) {
        self.answer(
            200,
            json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() })
                .to_string()
                .into_bytes(),
        );
    }

    pub(crate) fn answer(&self, status: u16, body: Vec<u8>) {
        *self.shared.body.lock().unwrap() = (status, body);
    }

    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn hold(&self) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        *self.shared.hold.lock().unwrap() = Some(Arc::clone(&notify));
        notify
    }

    pub(crate) fn go_on(&self, held: &Notify) {
        *self.shared.hold.lock().unwrap() = None;
        held.notify_waiters();
        held.notify_one();
    }

    /// Keys are fresh for as long as the test sets.
    pub(crate) fn config(&self, fresh_for: Duration, role_claim: Option<&str>) -> IssuerConfig {
        IssuerConfig {
            url: format!("http://{}/jwks.json", self.address),
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            role_claim: role_claim.map(|claim| claviger::auth::RoleClaim::parse(claim).unwrap()),
            fetching: JwksSettings {
                fresh_for,
                pause: self.pause,
                after_failure: self.after_failure,
                ..JwksSettings::default()
            },
        }
    }
}
