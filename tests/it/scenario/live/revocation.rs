//! Whoever is signed out is cut off at once, wherever they are connected.

use super::socket::Socket;
use crate::scenario::client::Client;
use crate::scenario::stage::{Stage, StoreKind, password};
use claviger::bus::AccountCall;
use claviger_domain::account::DeactivateAccount;
use claviger_domain::actor::{Actor, Via};
use claviger_domain::id::{CorrelationId, UserId};
use claviger_graphql::ids::{IdKind, decode_as};
use serde_json::json;
use uuid::Uuid;

async fn again(stage: &Stage, name: &str) -> Client {
    let nobody = stage.nobody();
    let payload = nobody.done("login", json!({ "usernameOrEmail": name, "password": password(name) })).await;
    nobody.with_token(payload["accessToken"].as_str().unwrap())
}

#[tokio::test]
async fn logout_ends_the_sockets_of_its_session_and_no_others() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let elsewhere = again(&stage, "ada").await;
    let (ended, mut other) = (Socket::of(&stage, &ada).await, Socket::of(&stage, &elsewhere).await);
    other.follow("1", None).await;
    ada.done("logout", json!({})).await;
    assert_eq!(ended.closed().await, 4401);
    assert_eq!(other.event_of("1").await.1, "SignedOut");
    stage.close().await;
}

#[tokio::test]
async fn ending_all_other_sessions_spares_the_one_that_asks() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let elsewhere = again(&stage, "ada").await;
    let (mut own, ended) = (Socket::of(&stage, &ada).await, Socket::of(&stage, &elsewhere).await);
    let revoke = "mutation($input: RevokeSessionsInput!) { revokeSessions(input: $input) { userErrors { code } } }";
    let done = own.ask("1", revoke, json!({ "input": {} })).await;
    assert_eq!(done, json!({ "revokeSessions": { "userErrors": [] } }));
    assert_eq!(ended.closed().await, 4401);
    assert!(own.ask("2", "{ viewer { username } }", json!({})).await["viewer"].is_object());
    stage.close().await;
}

#[tokio::test]
async fn another_password_ends_every_socket() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let socket = Socket::of(&stage, &ada).await;
    let input = json!({ "currentPassword": password("ada"), "newPassword": "another long password" });
    ada.done("changePassword", input).await;
    assert_eq!(socket.closed().await, 4401);
    stage.close().await;
}

#[tokio::test]
async fn deactivation_ends_every_socket() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
    let (socket, mut of_bob) = (Socket::of(&stage, &ada).await, Socket::of(&stage, &bob).await);
    let id = ada.ask("{ viewer { id } }", json!({})).await["viewer"]["id"].as_str().unwrap().to_owned();
    let call = AccountCall {
        user: UserId(decode_as(IdKind::User, &id).unwrap()),
        actor: Actor { user: None, role: None, via: Via::Cli },
        correlation: CorrelationId(Uuid::from_u128(7)),
        command: DeactivateAccount.into(),
        phc: None,
    };
    stage.bus().run_account_command(call).await.unwrap();
    assert_eq!(socket.closed().await, 4401);
    assert!(of_bob.ask("1", "{ viewer { username } }", json!({})).await["viewer"].is_object());
    stage.close().await;
}
