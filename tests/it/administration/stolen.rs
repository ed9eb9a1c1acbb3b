//! What an access token that somebody stole is not good for.

use super::stage::{Stage, account_of, refusal, signed_in, user_of};
use crate::harness::client::Client;
use crate::harness::stores::StoreKind;
use claviger_application::AccountChange;
use claviger_domain::actor::Role;
use claviger_domain::id::SessionId;
use serde_json::{Value, json};

/// Longer than a sign-in counts as one of lately, and shorter than an access token lives.
const LATER_MS: u64 = 5 * 60_000 + 1;

/// Mutations with their inputs.
type Mutations = Vec<(&'static str, Value)>;

/// What a token alone does not do, as its own user and as an administrator to somebody else.
fn guarded(of_ada: &str) -> (Mutations, Mutations) {
    let own = vec![
        ("renameAccount", json!({ "username": "mallory" })),
        ("renameAccount", json!({ "email": "mallory@example.org", "fullName": "Ada" })),
    ];
    let of_others = vec![
        ("renameAccount", json!({ "id": of_ada, "username": "mallory" })),
        ("createAccount", json!({ "username": "eve", "email": "eve@example.org" })),
        ("createPasswordReset", json!({ "id": of_ada })),
        ("grantRole", json!({ "id": of_ada, "role": "ADMIN" })),
        ("revokeRole", json!({ "id": of_ada, "role": "AUDITOR" })),
        ("deactivateAccount", json!({ "id": of_ada })),
        ("reactivateAccount", json!({ "id": of_ada })),
    ];
    (own, of_others)
}

async fn assert_refused(client: &Client, mutations: &[(&str, Value)]) {
    for (mutation, input) in mutations {
        let payload = client.run(mutation, input.clone()).await;
        let error = &payload["userErrors"][0];
        assert_eq!(error["code"], "UNAUTHENTICATED", "{mutation}: {payload}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("sign in again (login)"), "{mutation}: {message}");
    }
}

#[tokio::test]
async fn a_token_whose_sign_in_is_some_minutes_old_changes_nobodys_access() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let root = stage.with_role("root", Role::Admin).await;
        let ada = stage.with_role("ada", Role::Auditor).await;
        let (own, of_others) = guarded(&account_of(&ada).await);
        let signed_in_then = stage.login("root").await;
        stage.clock.advance_ms(LATER_MS);

        let before = stage.servers[0].store.head().await.unwrap().position;
        for client in [ada.clone(), stage.elsewhere(&ada)] {
            assert_refused(&client, &own).await;
        }
        for client in [root.clone(), stage.elsewhere(&root)] {
            assert_refused(&client, &own).await;
            assert_refused(&client, &of_others).await;
        }
        assert_eq!(stage.servers[0].store.head().await.unwrap().position, before);
        // Tokens that were renewed come from the same sign-in.
        let refresh = json!({ "refreshToken": signed_in_then["refreshToken"] });
        let renewed = stage.nobody().done("refreshSession", refresh).await;
        assert_refused(&signed_in(&stage.nobody(), &renewed), &of_others).await;

        // What somebody does in a hurry who fears a thief needs no password.
        ada.done("renameAccount", json!({ "fullName": "Ada King" })).await;
        ada.done("revokeSessions", json!({})).await;
        root.done("endAccountSessions", json!({ "id": account_of(&root).await })).await;

        // Whoever knows the password goes on.
        let root = signed_in(&stage.nobody(), &stage.login("root").await);
        for (mutation, input) in of_others {
            root.done(mutation, input).await;
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn a_repeat_is_answered_though_the_sign_in_is_old() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let root = stage.with_role("root", Role::Admin).await;
    let new = json!({ "username": "eve", "email": "eve@example.org", "idempotencyKey": "one" });
    let first = root.done("createAccount", new.clone()).await;
    stage.clock.advance_ms(LATER_MS);
    let again = root.done("createAccount", new).await;
    assert_eq!((&again["account"], &again["resetToken"]), (&first["account"], &json!(null)));
    stage.close().await;
}

#[tokio::test]
async fn nobody_resets_their_own_password_but_the_operator_can() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let root = stage.with_role("root", Role::Admin).await;
        stage.with_role("grace", Role::Admin).await;
        let refused =
            root.run("createPasswordReset", json!({ "id": account_of(&root).await })).await;
        assert_eq!(refusal(&refused), "VALIDATION", "{refused}");
        assert_eq!(refusal(&stage.login("root").await), "", "the password is as it was");
        stage.by_operator(user_of(&root).await, AccountChange::CreateReset).await;
        assert_eq!(refusal(&stage.login("root").await), "UNAUTHENTICATED");
        stage.close().await;
    }
}

/// A session that the row names and the account does not know is none, however young it is.
#[tokio::test]
async fn a_session_that_has_ended_is_no_sign_in() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let root = stage.with_role("root", Role::Admin).await;
    let user = user_of(&root).await;
    let sessions = stage.servers[0].ports.reads.sessions(user).await.unwrap();
    let session: SessionId = sessions[0].id;
    stage.by_operator(user, AccountChange::EndSession(session)).await;
    let new = json!({ "username": "eve", "email": "eve@example.org" });
    assert_eq!(root.send_mutation("createAccount", new).await.code(), "UNAUTHENTICATED");
    stage.close().await;
}
