//! Password resets: one-time tokens.

use super::stage::{Stage, account_of, refusal, signed_in, user_of};
use crate::harness::client::Client;
use crate::harness::stores::StoreKind;
use claviger_application::AccountChange;
use claviger_domain::actor::Role;
use serde_json::{Value, json};

const HOUR_MS: u64 = 3_600_000;
const NEW: &str = "a new long password";

async fn reset(admin: &Client, id: &str) -> String {
    let payload = admin.done("createPasswordReset", json!({ "id": id })).await;
    payload["resetToken"].as_str().unwrap().to_owned()
}

fn with(token: &str) -> Value {
    json!({ "token": token, "newPassword": NEW })
}

#[tokio::test]
async fn a_reset_works_once_within_an_hour_and_ends_what_was_there() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let admin = stage.with_role("root", Role::Admin).await;
        let ada = stage.user("ada").await;
        let id = account_of(&ada).await;
        let token = reset(&admin, &id).await;
        assert_eq!(ada.send("{ viewer { id } }", json!({})).await.code(), "UNAUTHENTICATED");
        assert_eq!(
            refusal(&stage.login("ada").await),
            "UNAUTHENTICATED",
            "the old password is void"
        );

        let nobody = stage.nobody();
        let short =
            nobody.run("resetPassword", json!({ "token": token, "newPassword": "short" })).await;
        assert_eq!(refusal(&short), "VALIDATION");
        let done = stage.elsewhere(&nobody).done("resetPassword", with(&token)).await;
        let back = signed_in(&nobody, &done);
        assert_eq!(
            back.last_events(4).await,
            ["SignedIn", "PasswordReset", "SessionsRevoked", "PasswordResetCreated"]
        );
        let again = nobody.run("resetPassword", with(&token)).await;
        assert_eq!(refusal(&again), "UNAUTHENTICATED");
        let login = json!({ "usernameOrEmail": "ada", "password": NEW });
        nobody.done("login", login).await;

        let (older, newer) = (reset(&admin, &id).await, reset(&admin, &id).await);
        let replaced = nobody.run("resetPassword", with(&older)).await;
        stage.clock.advance_ms(HOUR_MS);
        let expired = nobody.run("resetPassword", with(&newer)).await;
        let invalid = nobody.run("resetPassword", with("not a token")).await;
        for refused in [&replaced, &expired, &invalid] {
            assert_eq!(refused["userErrors"], again["userErrors"], "all are refused alike");
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn of_many_that_use_one_token_at_once_one_succeeds() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let admin = stage.with_role("root", Role::Admin).await;
    let ada = stage.user("ada").await;
    let token = reset(&admin, &account_of(&ada).await).await;
    let clients = [stage.nobody(), stage.elsewhere(&stage.nobody())];
    let racing = (0..6).map(|n| clients[n % 2].run("resetPassword", with(&token)));
    let payloads = futures::future::join_all(racing).await;
    let done = payloads.iter().filter(|payload| payload["accessToken"].is_string());
    assert_eq!(done.count(), 1, "{payloads:?}");
    stage.close().await;
}

#[tokio::test]
async fn a_deactivated_account_is_reset_and_only_used_when_it_is_active() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let admin = stage.with_role("root", Role::Admin).await;
    let ada = stage.user("ada").await;
    let (id, user) = (account_of(&ada).await, user_of(&ada).await);
    stage.by_operator(user, AccountChange::Deactivate).await;
    let token = reset(&admin, &id).await;
    let nobody = stage.nobody();
    assert_eq!(refusal(&nobody.run("resetPassword", with(&token)).await), "UNAUTHENTICATED");
    admin.done("reactivateAccount", json!({ "id": id })).await;
    assert_eq!(refusal(&stage.login("ada").await), "UNAUTHENTICATED");
    nobody.done("resetPassword", with(&token)).await;

    let token = reset(&admin, &id).await;
    admin.done("deactivateAccount", json!({ "id": id })).await;
    admin.done("reactivateAccount", json!({ "id": id })).await;
    let ended = nobody.run("resetPassword", with(&token)).await;
    assert_eq!(refusal(&ended), "UNAUTHENTICATED", "a deactivation ends the token");
    stage.close().await;
}

#[tokio::test]
async fn a_reset_token_is_stored_nowhere() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let admin = stage.with_role("root", Role::Admin).await;
    let ada = stage.user("ada").await;
    let user = user_of(&ada).await;
    let token = reset(&admin, &account_of(&ada).await).await;
    let store = &stage.servers[0].store;
    let events = store.read(0, 1000).await.unwrap();
    let holds = |bytes: &[u8]| bytes.windows(token.len()).any(|part| part == token.as_bytes());
    assert!(!events.iter().any(|event| holds(&event.facts)));
    let row = store.credential(user).await.unwrap().unwrap();
    assert!(!holds(&row.sealed));
    let keychain = &stage.servers[0].keychain;
    let keys = keychain.user(user).await.unwrap().unwrap();
    let stored = keychain.credential(&keys, row.password_version).await.unwrap().unwrap();
    assert!(
        stored.expose().starts_with("claviger-reset-sha256:") && !stored.expose().contains(&token)
    );
    stage.close().await;
}

#[tokio::test]
async fn an_administrator_resets_thirty_passwords_at_once_and_then_one_in_two_seconds() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let admin = stage.with_role("root", Role::Admin).await;
    let id = account_of(&stage.user("ada").await).await;
    let mut done = 0;
    // The clock goes on, so some more than thirty may pass.
    while done < 300 {
        let answer = admin.send_mutation("createPasswordReset", json!({ "id": id })).await;
        if answer.code() == "RATE_LIMITED" {
            break;
        }
        done += 1;
    }
    assert!((30..300).contains(&done), "{done} resets passed");
    stage.close().await;
}
