//! Invalid and expired access tokens, and bodies that are not requests.

use super::stage::{Stage, on_every_store};
use crate::harness::client::Client;
use crate::harness::person::password;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::auth::{Named, TokenKey};
use claviger::bus::AccountRequest;
use claviger_application::ids::{IdKind, decode_as};
use claviger_domain::account::DeactivateAccount;
use claviger_domain::actor::Actor;
use claviger_domain::id::{CorrelationId, SessionId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

const WHO: &str = "{ viewer { username } }";

/// One answer to everything that is not a valid token.
async fn assert_refused(client: &Client) {
    for (query, variables) in [
        (WHO, json!({})),
        ("{ __typename }", json!({})),
        ("query($i: ID!) { node(id: $i) { id } }", json!({ "i": "x" })),
    ] {
        let answer = client.send(query, variables).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "UNAUTHENTICATED"),
            "{}",
            answer.text
        );
        assert!(
            answer.json()["errors"][0]["message"].as_str().unwrap().contains("sign in again"),
            "{}",
            answer.text
        );
        assert!(answer.json().get("data").is_none());
    }
    let answer = client.send_mutation("revokeSessions", json!({})).await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "UNAUTHENTICATED"));
}

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// Tokens that a forger might make of a valid one.
fn forged(valid: &str, user: UserId, session: SessionId, stage: &Stage) -> Vec<String> {
    let parts: Vec<&str> = valid.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let now = stage.clock.now();
    let other_key = TokenKey::from_seed(&[7; 32])
        .unwrap()
        .sign(Named { user, session }, now, now.plus_ms(900_000))
        .unwrap();
    let mut longer: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    longer["exp"] = json!(9_999_999_999_u64);
    vec![
        String::new(),
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        other_key.expose().to_owned(),
        format!("{}.{claims}.", part(&json!({ "alg": "none", "typ": "at+jwt" }))),
        format!("{}.{claims}.{signature}", part(&json!({ "alg": "none", "typ": "at+jwt" }))),
        format!("{}.{claims}.{signature}", part(&json!({ "alg": "HS256", "typ": "at+jwt" }))),
        format!("{}.{claims}.{signature}", part(&json!({ "alg": "EdDSA", "typ": "JWT" }))),
        format!("{header}.{}.{signature}", part(&longer)),
        format!("{header}.{claims}"),
        format!("{valid}A"),
        valid.get(..valid.len() - 2).unwrap().to_owned(),
        "x".repeat(5_000),
    ]
}

#[tokio::test]
async fn without_a_token_nothing_of_a_users_can_be_asked() {
    on_every_store(async |stage: &mut Stage| {
        let nobody = stage.nobody();
        for query in [
            WHO,
            "{ models { id } }",
            "{ node(id: \"x\") { id } }",
            "{ nodes(ids: [\"x\"]) { id } }",
            "{ key(id: \"x\") { id } }",
        ] {
            let answer = nobody.send(query, json!({})).await;
            assert_eq!(answer.code(), "UNAUTHENTICATED", "{query}: {}", answer.text);
            assert!(
                answer.json()["errors"][0]["message"]
                    .as_str()
                    .unwrap()
                    .contains("Authorization: Bearer")
            );
        }
        for (mutation, input) in [
            ("logout", json!({})),
            ("revokeSessions", json!({})),
            ("changePassword", json!({ "currentPassword": "a", "newPassword": "b" })),
            ("addKey", json!({ "name": "", "secret": "" })),
            ("testKey", json!({ "id": "x" })),
            ("setDefaultKey", json!({ "id": "x" })),
            ("clearDefaultKey", json!({})),
            ("activateKey", json!({ "id": "x" })),
            ("deactivateKey", json!({ "id": "x" })),
            ("renameKey", json!({ "id": "x", "name": "" })),
            ("replaceKeySecret", json!({ "id": "x", "secret": "" })),
            ("setKeyExpiry", json!({ "id": "x" })),
            ("deleteKey", json!({ "id": "x" })),
        ] {
            assert_eq!(
                nobody.send_mutation(mutation, input).await.code(),
                "UNAUTHENTICATED",
                "{mutation}"
            );
        }
        assert_eq!(stage.head().await, 0);
    })
    .await;
}

#[tokio::test]
async fn forged_and_expired_tokens_are_refused_alike() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let data = ada.ask("{ viewer { id sessions { id } } }", json!({})).await;
        let user = UserId(decode_as(IdKind::User, data["viewer"]["id"].as_str().unwrap()).unwrap());
        let session = SessionId(
            decode_as(IdKind::Session, data["viewer"]["sessions"][0]["id"].as_str().unwrap())
                .unwrap(),
        );
        let valid = ada.token().to_owned();
        for token in forged(&valid, user, session, stage) {
            if !token.is_empty() {
                assert_refused(&ada.with_token(&token)).await;
            }
        }
        stage.advance_ms(15 * 60_000 - 1_000);
        ada.ask(WHO, json!({})).await;
        stage.advance_ms(1_000);
        assert_refused(&ada).await;
    })
    .await;
}

#[tokio::test]
async fn a_deactivated_user_is_out_at_once() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let nobody = stage.nobody();
        let login = json!({ "usernameOrEmail": "ada", "password": password("ada") });
        let refresh = nobody.done("login", login.clone()).await["refreshToken"].clone();
        let data = ada.ask("{ viewer { id } }", json!({})).await;
        let user = UserId(decode_as(IdKind::User, data["viewer"]["id"].as_str().unwrap()).unwrap());
        let actor = Actor::OPERATOR;
        let correlation = CorrelationId(Uuid::from_u128(1));
        let call = AccountRequest {
            owner: user,
            actor,
            correlation,
            command: DeactivateAccount.into(),
            phc: None,
        };
        stage.bus().run_account_command(call).await.unwrap();
        let head = stage.head().await;
        assert_refused(&ada).await;
        let wrong = json!({ "usernameOrEmail": "nobody at all", "password": "wrong" });
        let unknown = nobody.send_mutation("login", wrong).await;
        assert_eq!(nobody.send_mutation("login", login).await.text, unknown.text);
        let refused = nobody.run("refreshSession", json!({ "refreshToken": refresh })).await;
        assert_eq!(refused["userErrors"][0]["__typename"], "AuthError");
        assert_eq!(stage.head().await, head);
    })
    .await;
}

#[tokio::test]
async fn bytes_that_are_no_request_are_refused_before_anything_runs() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let before = stage.state_of(&ada).await;
        let valid =
            json!({ "query": "mutation { revokeSessions(input: {}) { clientMutationId } }" })
                .to_string();
        for (body, media, status, code) in [
            (b"{".to_vec(), "application/json", 400, "BAD_REQUEST"),
            (Vec::new(), "application/json", 400, "BAD_REQUEST"),
            (b"\"zebra\"".to_vec(), "application/json", 400, "BAD_REQUEST"),
            (b"{\"query\": 1}".to_vec(), "application/json", 400, "BAD_REQUEST"),
            (
                b"{\"query\": \"{ viewer { username } }\xff\"}".to_vec(),
                "application/json",
                400,
                "BAD_REQUEST",
            ),
            (b"{\"query\": \"{ zebra\"}".to_vec(), "application/json", 400, "BAD_REQUEST"),
            (
                b"{\"query\": \"{ viewer { zebra } }\"}".to_vec(),
                "application/json",
                400,
                "BAD_REQUEST",
            ),
            (valid.clone().into_bytes(), "text/plain", 415, "BAD_REQUEST"),
            (valid.clone().into_bytes(), "application/x-www-form-urlencoded", 415, "BAD_REQUEST"),
            (valid.into_bytes(), "application/json; charset=latin1", 415, "BAD_REQUEST"),
        ] {
            let shown = String::from_utf8_lossy(&body).into_owned();
            let answer = ada.post(body, media).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (status, code),
                "{shown} as {media}: {}",
                answer.text
            );
            assert!(answer.json().get("data").is_none());
        }
        assert_eq!(stage.state_of(&ada).await, before);
    })
    .await;
}

#[tokio::test]
async fn an_expired_token_keeps_nobody_from_getting_the_next_one() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let login = json!({ "usernameOrEmail": "ada", "password": password("ada") });
        let refresh = ada.done("login", login.clone()).await["refreshToken"].clone();
        stage.advance_ms(15 * 60_000);
        assert_refused(&ada).await;
        let both = ada
            .send("mutation { logout(input: {}) { clientMutationId } __typename }", json!({}))
            .await;
        assert_eq!((both.status, both.code().as_str()), (401, "UNAUTHENTICATED"));
        let next = ada.done("refreshSession", json!({ "refreshToken": refresh })).await;
        ada.with_token(next["accessToken"].as_str().unwrap()).ask(WHO, json!({})).await;
        ada.done("login", login).await;
    })
    .await;
}
