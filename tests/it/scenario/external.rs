//! Users of an external issuer: an account at first sight, roles by its claim, keys that change, an
//! issuer that is down.

use super::stage::Stage;
use crate::harness::client::Client;
use crate::harness::issuer::{Issuer, Signing, claims};
use crate::harness::stores::StoreKind;
use claviger::auth::Registration;
use claviger::bus::AccountRequest;
use claviger::simulator::keys::{Scenario, key as secret_key};
use claviger_application::ids::{IdKind, decode_as};
use claviger_domain::account::{
    AccountCommand, DeactivateAccount, EraseAccount, ReactivateAccount,
};
use claviger_domain::actor::Actor;
use claviger_domain::id::{CorrelationId, UserId};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const WHO: &str = "{ viewer { id username email fullName roles sessions { id isCurrent } } }";

/// Keys that stay fresh for the whole test.
const LONG: Duration = Duration::from_hours(1);

/// Plays a scenario on every store, with an issuer beside it; registration by password is closed.
async fn with_issuer(
    issuer: &Issuer,
    fresh_for: Duration,
    role_claim: Option<&str>,
    scenario: impl AsyncFn(&mut Stage),
) {
    for kind in StoreKind::available().await {
        let stage = Stage::with(*kind, |config| {
            config.issuer = Some(issuer.config(fresh_for, role_claim));
            config.registration = Registration::Closed;
        });
        let mut stage = Box::pin(stage).await;
        Box::pin(scenario(&mut stage)).await;
        stage.close().await;
    }
}

pub(super) async fn run(stage: &Stage, user: UserId, command: AccountCommand) {
    let actor = Actor::OPERATOR;
    let call = AccountRequest {
        owner: user,
        actor,
        correlation: CorrelationId(Uuid::from_u128(1)),
        command,
        phc: None,
    };
    stage.bus().run_account_command(call).await.unwrap();
}

async fn viewer(client: &Client) -> Value {
    client.ask(WHO, json!({})).await["viewer"].clone()
}

async fn code(client: &Client) -> (u16, String) {
    let answer = client.send(WHO, json!({})).await;
    (answer.status, answer.code())
}

fn refused() -> (u16, String) {
    (401, "UNAUTHENTICATED".to_owned())
}

#[tokio::test]
async fn a_user_of_the_issuer_has_an_account_at_first_sight_and_the_same_ever_after() {
    for key in [Signing::ed25519("k1"), Signing::p256("k1"), Signing::rsa("k1")] {
        let issuer = Issuer::start(&[&key]).await;
        with_issuer(&issuer, LONG, None, async |stage: &mut Stage| {
            let mut said = claims(&stage.clock, "00u1ada");
            said["preferred_username"] = "ada".into();
            said["email"] = "Ada@Example.org".into();
            said["name"] = "Ada Lovelace".into();
            let ada = stage.nobody().with_token(&key.token(&said));
            let first = viewer(&ada).await;
            assert_eq!(
                (&first["username"], &first["email"]),
                (&json!("ada"), &json!("ada@example.org")),
                "{first}"
            );
            assert_eq!(
                (&first["fullName"], &first["roles"]),
                (&json!("Ada Lovelace"), &json!(["USER"])),
                "{first}"
            );
            assert_eq!(first["sessions"].as_array().unwrap().len(), 1, "{first}");
            assert_eq!(
                ada.last_events(5).await,
                ["SignedIn", "IdentityLinked", "AccountRegistered"]
            );
            stage.advance_ms(60_000);
            let again = stage.nobody().with_token(&key.token(&claims(&stage.clock, "00u1ada")));
            assert_eq!(viewer(&again).await, first, "another token, nothing new");
            assert_eq!(stage.head().await, 3);

            // Another subject who has the same name is another user; and so is one without a
            // name.
            said["sub"] = "00u2ada".into();
            let other = viewer(&stage.nobody().with_token(&key.token(&said))).await;
            assert_ne!(other["id"], first["id"]);
            assert!(other["username"].as_str().unwrap().starts_with("ada-"), "{other}");
            let nameless =
                viewer(&stage.nobody().with_token(&key.token(&claims(&stage.clock, "00u3")))).await;
            assert!(nameless["username"].as_str().unwrap().starts_with("user-"), "{nameless}");
            assert_eq!(nameless["email"], "");
            said["sub"] = "00u4".into();
            said["email_verified"] = false.into();
            assert_eq!(
                viewer(&stage.nobody().with_token(&key.token(&said))).await["email"],
                "",
                "nobody has checked it"
            );
            ada.add("work", &secret_key(Scenario::Good, 1)).await;
        })
        .await;
    }
}

#[tokio::test]
async fn many_first_requests_at_once_make_one_account() {
    let key = Signing::ed25519("k1");
    let issuer = Issuer::start(&[&key]).await;
    with_issuer(&issuer, LONG, None, async |stage: &mut Stage| {
        let before = issuer.asked();
        let mut said = claims(&stage.clock, "00u1ada");
        said["preferred_username"] = "ada".into();
        let ada = stage.nobody().with_token(&key.token(&said));
        let answers = futures::future::join_all((0..30).map(|_| viewer(&ada))).await;
        assert!(answers.iter().all(|answer| answer["id"] == answers[0]["id"]), "{answers:?}");
        assert_eq!(stage.head().await, 3, "registered, linked, signed in");
        let fetches = issuer.asked() - before;
        assert!(fetches <= 2, "they share one fetch, beside that of the start: {fetches}");
    })
    .await;
}

#[tokio::test]
async fn the_issuers_claim_decides_what_its_users_may_do() {
    let key = Signing::ed25519("k1");
    let issuer = Issuer::start(&[&key]).await;
    with_issuer(&issuer, LONG, Some("realm_access.roles"), async |stage: &mut Stage| {
        let mut said = claims(&stage.clock, "00u1ada");
        for (roles, expected) in [
            (json!(["admin", "zebra"]), json!(["USER", "ADMIN"])),
            (json!(["auditor"]), json!(["USER", "AUDITOR"])),
            (json!(null), json!(["USER"])),
        ] {
            said["realm_access"] = json!({ "roles": roles });
            let ada = stage.nobody().with_token(&key.token(&said));
            assert_eq!(viewer(&ada).await["roles"], expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_user_who_was_deactivated_or_signed_out_stays_out_with_the_old_tokens() {
    let key = Signing::ed25519("k1");
    let issuer = Issuer::start(&[&key]).await;
    with_issuer(&issuer, LONG, None, async |stage: &mut Stage| {
        let sign_in =
            |stage: &Stage| stage.nobody().with_token(&key.token(&claims(&stage.clock, "00u1ada")));
        let ada = sign_in(stage);
        let id = viewer(&ada).await["id"].as_str().unwrap().to_owned();
        let user = UserId(decode_as(IdKind::User, &id).unwrap());

        ada.done("logout", json!({})).await;
        assert_eq!(
            code(&ada).await,
            refused(),
            "the token outlives the session, and doesn't count"
        );
        stage.advance_ms(1_000);
        let ada = sign_in(stage);
        assert_eq!(viewer(&ada).await["id"], id.as_str(), "a newer one opens it again");

        run(stage, user, DeactivateAccount.into()).await;
        assert_eq!(code(&ada).await, refused());
        stage.advance_ms(1_000);
        assert_eq!(code(&sign_in(stage)).await, refused(), "a new token doesn't help");
        run(stage, user, ReactivateAccount.into()).await;
        assert_eq!(code(&ada).await, refused(), "it was made before");
        stage.advance_ms(1_000);
        let ada = sign_in(stage);
        assert_eq!(viewer(&ada).await["id"], id.as_str());

        let password =
            json!({ "currentPassword": "whatever it is", "newPassword": "whatever it is 2" });
        let error = stage.refused(&ada, "changePassword", password).await;
        assert!(error["message"].as_str().unwrap().contains("identity provider"), "{error}");
        let login = json!({ "usernameOrEmail": viewer(&ada).await["username"], "password": "" });
        assert_eq!(
            stage.nobody().run("login", login).await["userErrors"][0]["code"],
            "UNAUTHENTICATED"
        );

        run(stage, user, EraseAccount.into()).await;
        stage.advance_ms(1_000);
        assert_ne!(
            viewer(&sign_in(stage)).await["id"],
            id.as_str(),
            "who was forgotten is a stranger"
        );
    })
    .await;
}

#[tokio::test]
async fn keys_change_without_a_single_refusal() {
    let (old, new) = (Signing::ed25519("old"), Signing::p256("new"));
    let issuer = Issuer::start(&[&old]).await;
    // Keys are stale at once: each request is answered with what is at hand while they are fetched
    // behind it.
    with_issuer(&issuer, Duration::ZERO, None, async |stage: &mut Stage| {
        issuer.publish(&[&old]);
        let said = claims(&stage.clock, "00u1ada");
        let (by_old, by_new) = (
            stage.nobody().with_token(&old.token(&said)),
            stage.nobody().with_token(&new.token(&said)),
        );
        viewer(&by_old).await;
        let held = issuer.hold();
        for _ in 0..5 {
            viewer(&by_old).await;
        }
        issuer.publish(&[&old, &new]);
        issuer.go_on(&held);
        // The new key is used the moment it is published.
        let all = (0..20).map(|n| viewer(if n % 2 == 0 { &by_new } else { &by_old }));
        futures::future::join_all(all).await;

        issuer.publish(&[&new]);
        viewer(&by_new).await;
        let mut tries = 0;
        while code(&by_old).await != refused() {
            tries += 1;
            assert!(tries < 10_000, "a key that was withdrawn is still taken");
        }
        viewer(&by_new).await;
    })
    .await;
}

#[tokio::test]
async fn an_issuer_that_is_down_keeps_nobody_out_whose_key_is_known() {
    let (key, other) = (Signing::ed25519("k1"), Signing::ed25519("k2"));
    let issuer = Issuer::start(&[&key]).await;
    with_issuer(&issuer, Duration::ZERO, None, async |stage: &mut Stage| {
        issuer.publish(&[&key]);
        let said = claims(&stage.clock, "00u1ada");
        let ada = stage.nobody().with_token(&key.token(&said));
        viewer(&ada).await;
        let unknown = stage.nobody().with_token(&other.token(&said));
        let answers: [(u16, Vec<u8>); 7] = [
            (500, Vec::new()),
            (302, json!({ "keys": [other.jwk()] }).to_string().into_bytes()),
            (200, Vec::new()),
            (200, b"<html>".to_vec()),
            (200, b"{\"keys\": []}".to_vec()),
            (200, json!({ "keys": vec![other.jwk(); 101] }).to_string().into_bytes()),
            (
                200,
                json!({ "keys": [other.jwk()], "more": "x".repeat(600_000) })
                    .to_string()
                    .into_bytes(),
            ),
        ];
        for (status, body) in answers {
            let asked = issuer.asked();
            issuer.answer(status, body);
            assert_eq!(
                code(&unknown).await,
                (502, "UPSTREAM".to_owned()),
                "{status}: nobody knows whether it is valid"
            );
            assert!(issuer.asked() > asked);
            viewer(&ada).await;
        }
        issuer.publish(&[&key, &other]);
        viewer(&unknown).await;
        viewer(&ada).await;
    })
    .await;
}

#[tokio::test]
async fn a_storm_of_unknown_keys_is_few_fetches_and_shuts_nobody_out() {
    let key = Signing::ed25519("k1");
    let mut issuer = Issuer::start(&[&key]).await;
    issuer.pause = Duration::from_millis(500);
    with_issuer(&issuer, LONG, None, async |stage: &mut Stage| {
        let said = claims(&stage.clock, "00u1ada");
        let ada = stage.nobody().with_token(&key.token(&said));
        viewer(&ada).await;
        let asked = issuer.asked();
        let held = issuer.hold();
        // One client for all: making two hundred takes longer than the server keeps an idle
        // connection of the others'.
        let nobody = stage.nobody();
        let storm = (0..200).map(|n| {
            let stranger = Signing { kid: format!("unknown {n}"), ..key.clone() };
            let client = nobody.with_token(&stranger.token(&said));
            async move { code(&client).await }
        });
        let others = async {
            for _ in 0..20 {
                viewer(&ada).await;
            }
            issuer.go_on(&held);
        };
        let (answers, ()) = tokio::join!(futures::future::join_all(storm), others);
        assert!(answers.iter().all(|answer| *answer == refused()), "{answers:?}");
        let fetches = issuer.asked() - asked;
        assert!((1..=20).contains(&fetches), "{fetches} fetches for 200 unknown keys");
    })
    .await;
}
