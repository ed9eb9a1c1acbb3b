//! A user who is signed out is cut off at once, on every connection.

use crate::harness::client::Client;
use crate::harness::person::password;
use crate::harness::socket::Socket;
use crate::harness::stores::StoreKind;
use crate::scenario::stage::Stage;
use claviger::bus::AccountRequest;
use claviger::simulator::keys::{Scenario, key};
use claviger_application::ids::{IdKind, decode_as};
use claviger_domain::account::{AccountCommand, DeactivateAccount, GrantRole, RevokeRole};
use claviger_domain::actor::{Actor, Role};
use claviger_domain::id::{CorrelationId, UserId};
use serde_json::json;
use uuid::Uuid;

async fn again(stage: &Stage, name: &str) -> Client {
    let nobody = stage.nobody();
    let payload =
        nobody.done("login", json!({ "usernameOrEmail": name, "password": password(name) })).await;
    nobody.with_token(payload["accessToken"].as_str().unwrap())
}

async fn by_operator(stage: &Stage, whose: &Client, command: AccountCommand) {
    let id = whose.ask("{ viewer { id } }", json!({})).await["viewer"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let call = AccountRequest {
        owner: UserId(decode_as(IdKind::User, &id).unwrap()),
        actor: Actor::OPERATOR,
        correlation: CorrelationId(Uuid::from_u128(7)),
        command,
        phc: None,
    };
    stage.bus().run_account_command(call).await.unwrap();
}

#[tokio::test]
async fn an_auditor_sees_facts_of_all_and_content_of_none_as_long_as_they_are_one() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
    by_operator(&stage, &ada, GrantRole { role: Role::Auditor }.into()).await;
    let mut socket = Socket::of(stage.address(), &ada).await;
    let query = "subscription($after: Cursor) { auditEvents(after: $after) { node { position type facts content } } }";
    socket.subscribe("past", query, json!({ "after": "AQAAAAAAAAAA" })).await;
    for position in 1..=5 {
        let node = socket.next_of("past").await["auditEvents"]["node"].clone();
        assert_eq!(
            (&node["position"], &node["content"]),
            (&json!(position.to_string()), &json!(null)),
            "{node}"
        );
    }
    bob.add("bob's", &key(Scenario::Good, 1)).await;
    let live = socket.next_of("past").await["auditEvents"]["node"].clone();
    assert_eq!((&live["type"], &live["content"]), (&json!("KeyAdded"), &json!(null)));
    by_operator(&stage, &ada, RevokeRole { role: Role::Auditor }.into()).await;
    assert_eq!(socket.closed().await, 4403);
    stage.close().await;
}

#[tokio::test]
async fn logout_ends_the_sockets_of_its_session_and_no_others() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let elsewhere = again(&stage, "ada").await;
    let (ended, mut other) =
        (Socket::of(stage.address(), &ada).await, Socket::of(stage.address(), &elsewhere).await);
    // From a cursor: the subscription may begin after the logout.
    let cursor = elsewhere.ask("{ viewer { eventsCursor } }", json!({})).await;
    other.follow("1", cursor["viewer"]["eventsCursor"].as_str()).await;
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
    let (mut own, ended) =
        (Socket::of(stage.address(), &ada).await, Socket::of(stage.address(), &elsewhere).await);
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
    let socket = Socket::of(stage.address(), &ada).await;
    let input =
        json!({ "currentPassword": password("ada"), "newPassword": "another long password" });
    ada.done("changePassword", input).await;
    assert_eq!(socket.closed().await, 4401);
    stage.close().await;
}

#[tokio::test]
async fn deactivation_ends_every_socket() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
    let (socket, mut of_bob) =
        (Socket::of(stage.address(), &ada).await, Socket::of(stage.address(), &bob).await);
    by_operator(&stage, &ada, DeactivateAccount.into()).await;
    assert_eq!(socket.closed().await, 4401);
    assert!(of_bob.ask("1", "{ viewer { username } }", json!({})).await["viewer"].is_object());
    stage.close().await;
}
