//! Tokens as issuers make them, clocks as machines have them, and what the operator's log says of
//! tokens that are refused.

use super::stage::Stage;
use crate::harness::client::Client;
use crate::harness::environment::TestClock;
use crate::harness::issuer::{AUDIENCE, ISSUER, Issuer, Signing, claims, part};
use crate::harness::program::{Home, Server};
use crate::harness::stores::StoreKind;
use crate::harness::upstream::NO_UPSTREAM;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use claviger::auth::{Named, TokenKey};
use claviger_application::ids::{IdKind, decode_as};
use claviger_domain::id::{SessionId, UserId};
use claviger_domain::secret::SecretText;
use serde_json::{Value, json};
use std::time::Duration;

const WHO: &str = "{ viewer { username email } }";
const LONG: Duration = Duration::from_hours(1);

fn merged(claims: &Value, more: &Value) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

async fn with(issuer: &Issuer) -> Stage {
    Stage::with(StoreKind::Sqlite, |config| config.issuer = Some(issuer.config(LONG, None))).await
}

async fn status(client: &Client) -> (u16, String) {
    let answer = client.send(WHO, json!({})).await;
    (answer.status, answer.code())
}

#[tokio::test]
async fn numbers_are_those_of_rfc_7519_and_clocks_may_differ_a_little() {
    let key = Signing::p256("k1");
    let issuer = Issuer::start(&[&key]).await;
    let stage = with(&issuer).await;
    let said = claims(&stage.clock, "00u1ada");
    let now = stage.clock.now().0 / 1000;
    let at = |offset: i64| json!(i64::try_from(now).unwrap() + offset);
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let fraction = |offset: f64| json!(now as f64 + offset);
    let refused = (401, "UNAUTHENTICATED".to_owned());
    for (more, is_good) in [
        (json!({ "iat": fraction(0.25) }), true),
        (json!({ "iat": fraction(-0.5), "nbf": fraction(-0.5), "exp": fraction(599.75) }), true),
        (json!({ "exp": 9.9e9, "nbf": 1.0e9 }), true),
        (json!({ "nbf": at(1) }), true),
        (json!({ "iat": at(29), "nbf": fraction(29.9) }), true),
        (json!({ "nbf": null }), true),
        (json!({ "email_verified": "false", "email": "a@example.org" }), true),
        (json!({ "nbf": fraction(31.5) }), false),
        (json!({ "iat": at(32) }), false),
        (json!({ "exp": fraction(-30.5) }), false),
        (json!({ "exp": -1.5 }), false),
        (json!({ "nbf": "soon" }), false),
        (json!({ "iat": 1e300 }), false),
    ] {
        let client = stage.nobody().with_token(&key.token(&merged(&said, &more)));
        let answer = status(&client).await;
        assert_eq!(answer == refused, !is_good, "{more}: {answer:?}");
    }
    stage.close().await;
}

/// Signed by a peer whose clock is a second ahead of this one.
#[tokio::test]
async fn our_own_token_is_taken_a_little_before_its_time() {
    let seed = [7; 32];
    let stage = Stage::with(StoreKind::Sqlite, |config| {
        config.token_key = Some(SecretText::new(STANDARD.encode(seed)));
    })
    .await;
    let ada = stage.user("ada").await;
    let data = ada.ask("{ viewer { id sessions { id } } }", json!({})).await;
    let id = |kind, value: &Value| decode_as(kind, value.as_str().unwrap()).unwrap();
    let viewer = &data["viewer"];
    let user = UserId(id(IdKind::User, &viewer["id"]));
    let session = SessionId(id(IdKind::Session, &viewer["sessions"][0]["id"]));
    let peer = TokenKey::from_seed(&seed).unwrap();
    for (ahead_ms, expected) in [(1_000, 200), (29_000, 200), (32_000, 401)] {
        let theirs = stage.clock.now().plus_ms(ahead_ms);
        let token = peer.sign(Named { user, session }, theirs, theirs.plus_ms(900_000)).unwrap();
        let client = ada.with_token(token.expose());
        assert_eq!(status(&client).await.0, expected, "{ahead_ms} ms ahead");
    }
    stage.close().await;
}

/// A token whose signature is made up.
fn unsigned(header: &Value, claims: &Value, bytes: usize) -> String {
    let signature = URL_SAFE_NO_PAD.encode(vec![7; bytes]);
    format!("{}.{}.{signature}", part(header), part(claims))
}

#[tokio::test]
async fn a_token_that_no_key_makes_good_asks_the_issuer_nothing() {
    let key = Signing::p256("k1");
    let issuer = Issuer::start(&[&key]).await;
    issuer.answer(500, Vec::new());
    let stage = with(&issuer).await;
    let good = claims(&stage.clock, "00u1ada");
    let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "whatever" });
    // The server's own, at its start.
    let before = issuer.asked();
    for token in [
        unsigned(&header, &good, 0),
        unsigned(&header, &good, 63),
        unsigned(&merged(&header, &json!({ "alg": "none" })), &good, 0),
        unsigned(&merged(&header, &json!({ "alg": "HS256" })), &good, 32),
        unsigned(&merged(&header, &json!({ "alg": "RS256" })), &good, 64),
        unsigned(&merged(&header, &json!({ "alg": "EdDSA" })), &good, 96),
        unsigned(&header, &merged(&good, &json!({ "iss": "https://evil.example.org" })), 64),
        unsigned(&header, &merged(&good, &json!({ "aud": "another" })), 64),
        unsigned(&header, &merged(&good, &json!({ "exp": 1 })), 64),
        unsigned(&header, &merged(&good, &json!({ "sub": "" })), 64),
        unsigned(&header, &json!([]), 64),
    ] {
        let client = stage.nobody().with_token(&token);
        assert_eq!(status(&client).await, (401, "UNAUTHENTICATED".to_owned()), "{token}");
    }
    assert!(issuer.asked() <= before.max(1), "{} of {before}", issuer.asked());
    stage.close().await;
}

#[tokio::test]
async fn an_issuer_that_is_down_is_asked_once_and_the_answer_is_a_sentence() {
    let key = Signing::p256("k1");
    let mut issuer = Issuer::start(&[&key]).await;
    issuer.after_failure = LONG;
    issuer.answer(500, Vec::new());
    let stage = with(&issuer).await;
    let good = claims(&stage.clock, "00u1ada");
    let nobody = stage.nobody();
    let storm = (0..50).map(|n| {
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": format!("kid {n}") });
        let client = nobody.with_token(&unsigned(&header, &good, 64));
        async move { client.send(WHO, json!({})).await }
    });
    for answer in futures::future::join_all(storm).await {
        assert_eq!((answer.status, answer.code().as_str()), (502, "UPSTREAM"));
        let message = answer.message();
        assert_eq!(message, "the identity provider does not answer: try again in a moment");
    }
    assert!(issuer.asked() <= 2, "{} fetches", issuer.asked());
    stage.close().await;
}

struct Logged {
    home: Home,
    server: Server,
    nobody: Client,
}

/// The real program with an issuer, whose log is read.
fn logged(issuer: &Issuer) -> Logged {
    let home = Home::new();
    let url = issuer.config(LONG, None).url;
    let server = home.serve_with(NO_UPSTREAM, |command| {
        command
            .env("CLAVIGER_JWKS_URL", &url)
            .env("CLAVIGER_JWKS_ISSUER", ISSUER)
            .env("CLAVIGER_JWKS_AUDIENCE", AUDIENCE)
            .env("CLAVIGER_REGISTRATION", "closed");
    });
    let nobody = Client::new(server.url());
    Logged { home, server, nobody }
}

#[tokio::test]
async fn the_log_says_which_claim_is_wrong_and_once_for_many() {
    let (key, other) = (Signing::p256("k1"), Signing::p256("k1"));
    let issuer = Issuer::start(&[&key]).await;
    let Logged { home, server, nobody } = logged(&issuer);
    let now = TestClock::running().now().0 / 1000;
    let good =
        json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "00u1ada", "iat": now, "exp": now + 600 });
    nobody.with_token(&key.token(&good)).ask(WHO, json!({})).await;
    let header = |more: Value| key.sign(&merged(&key.header(), &more), &good);
    let claimed = |more: Value| key.token(&merged(&good, &more));
    for (claim, token) in [
        ("typ", header(json!({ "typ": "id+jwt" }))),
        ("kid", header(json!({ "kid": "k2" }))),
        ("alg", header(json!({ "alg": "HS256" }))),
        ("iss", claimed(json!({ "iss": "swordfish" }))),
        ("aud", claimed(json!({ "aud": "swordfish" }))),
        ("sub", claimed(json!({ "sub": 7 }))),
        ("iat", claimed(json!({ "iat": "swordfish" }))),
        ("nbf", claimed(json!({ "nbf": now + 3600 }))),
        ("exp", claimed(json!({ "exp": true }))),
        ("signature", other.token(&good)),
        ("header", header(json!({ "crit": ["swordfish"] }))),
        (
            "nonce",
            key.sign(
                &merged(&key.header(), &json!({ "typ": "JWT" })),
                &merged(&good, &json!({ "nonce": "x" })),
            ),
        ),
        ("token", "swordfish".to_owned()),
    ] {
        for _ in 0..5 {
            let answer = status(&nobody.with_token(&token)).await;
            assert_eq!(answer, (401, "UNAUTHENTICATED".to_owned()), "{claim}");
        }
        let line = format!("claim=\"{claim}\"");
        server.logged(&line).await;
    }
    server.stop().await;
    let log = home.log();
    for claim in ["typ", "iss", "aud", "exp"] {
        let lines = log.matches(&format!("claim=\"{claim}\"")).count();
        assert_eq!(lines, 1, "{claim}: {log}");
    }
    assert!(!log.contains("swordfish"), "{log}");
}
