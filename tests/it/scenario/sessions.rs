//! Refresh tokens: each serves once, a copy ends the session.

use super::stage::{Stage, on_every_store};
use crate::harness::client::Client;
use crate::harness::person::password;
use serde_json::{Value, json};

async fn sign_in(stage: &Stage, name: &str) -> (Client, Value) {
    let nobody = stage.nobody();
    let payload =
        nobody.done("login", json!({ "usernameOrEmail": name, "password": password(name) })).await;
    (nobody.with_token(payload["accessToken"].as_str().unwrap()), payload["refreshToken"].clone())
}

async fn refresh(stage: &Stage, token: &Value) -> Value {
    stage.nobody().done("refreshSession", json!({ "refreshToken": token })).await
}

/// A refresh that must be refused, as everything refused is.
async fn refused(stage: &Stage, token: &Value) {
    let payload = stage.nobody().run("refreshSession", json!({ "refreshToken": token })).await;
    let error = &payload["userErrors"][0];
    assert_eq!(
        (&error["__typename"], &error["code"]),
        (&json!("AuthError"), &json!("UNAUTHENTICATED")),
        "{payload}"
    );
    assert_eq!((&payload["accessToken"], &payload["refreshToken"]), (&Value::Null, &Value::Null));
    assert!(error["message"].as_str().unwrap().contains("sign in again"));
}

async fn is_open(client: &Client) -> bool {
    let answer = client.send("{ viewer { id } }", json!({})).await;
    let json = answer.json();
    assert!(
        json.get("errors").is_none()
            || (answer.code() == "UNAUTHENTICATED" && answer.status == 401),
        "{json}"
    );
    json.get("errors").is_none()
}

#[tokio::test]
async fn each_token_gives_the_next_and_the_session_goes_on() {
    on_every_store(async |stage: &mut Stage| {
        stage.user("ada").await;
        let (_, mut token) = sign_in(stage, "ada").await;
        for _ in 0..3 {
            stage.advance_ms(14 * 60_000);
            let head = stage.head().await;
            let next = refresh(stage, &token).await;
            assert_ne!(next["refreshToken"], token);
            assert_eq!(next["expiresAt"], json!(stage.in_ms(15 * 60_000)));
            assert!(
                is_open(&stage.nobody().with_token(next["accessToken"].as_str().unwrap())).await
            );
            assert_eq!(stage.head().await, head, "a refresh is no event");
            token = next["refreshToken"].clone();
        }
        stage.advance_ms(30 * 24 * 3_600_000);
        refused(stage, &token).await;
    })
    .await;
}

#[tokio::test]
async fn within_ten_seconds_a_spent_token_gives_the_same_successor() {
    on_every_store(async |stage: &mut Stage| {
        stage.user("ada").await;
        let (ada, first) = sign_in(stage, "ada").await;
        let second = refresh(stage, &first).await["refreshToken"].clone();
        stage.advance_ms(10_000);
        assert_eq!(
            refresh(stage, &first).await["refreshToken"],
            second,
            "its answer may have been lost"
        );
        refresh(stage, &second).await;
        assert!(is_open(&ada).await);
    })
    .await;
}

#[tokio::test]
async fn two_tabs_at_once_get_the_same_successor() {
    on_every_store(async |stage: &mut Stage| {
        stage.user("ada").await;
        let (_, first) = sign_in(stage, "ada").await;
        let (one, two) = tokio::join!(refresh(stage, &first), refresh(stage, &first));
        assert_eq!(one["refreshToken"], two["refreshToken"]);
    })
    .await;
}

#[tokio::test]
async fn a_spent_token_after_ten_seconds_ends_the_session() {
    on_every_store(async |stage: &mut Stage| {
        stage.user("ada").await;
        let (ada, first) = sign_in(stage, "ada").await;
        let (other, _) = sign_in(stage, "ada").await;
        let second = refresh(stage, &first).await["refreshToken"].clone();
        stage.advance_ms(10_001);
        refused(stage, &first).await;
        assert!(!is_open(&ada).await && is_open(&other).await, "that session, and no other");
        refused(stage, &second).await;
        refused(stage, &first).await;
        assert_eq!(
            other.last_events(3).await,
            ["RefreshTokenReused", "SignedIn", "SignedIn"],
            "once"
        );
    })
    .await;
}

#[tokio::test]
async fn a_spent_token_whose_successor_was_used_ends_the_session_at_once() {
    on_every_store(async |stage: &mut Stage| {
        stage.user("ada").await;
        let (ada, first) = sign_in(stage, "ada").await;
        let second = refresh(stage, &first).await["refreshToken"].clone();
        let third = refresh(stage, &second).await["refreshToken"].clone();
        refused(stage, &first).await;
        refused(stage, &third).await;
        assert!(!is_open(&ada).await);
    })
    .await;
}

#[tokio::test]
async fn texts_that_are_no_refresh_tokens_are_refused_and_end_nothing() {
    on_every_store(async |stage: &mut Stage| {
        let bob = stage.user("bob").await;
        stage.user("ada").await;
        let (ada, token) = sign_in(stage, "ada").await;
        let text = token.as_str().unwrap();
        let mut other = text.to_owned();
        other.replace_range(30..31, if text.as_bytes()[30] == b'A' { "B" } else { "A" });
        let before = (stage.state_of(&ada).await, stage.state_of(&bob).await);
        let cut = text.get(..text.len() - 1).unwrap().to_owned();
        let texts =
            [String::new(), "x".to_owned(), cut, format!("{text}A"), other, "A".repeat(1_000)];
        for wrong in texts.into_iter().chain([ada.token().to_owned()]) {
            refused(stage, &Value::from(wrong)).await;
        }
        assert_eq!((stage.state_of(&ada).await, stage.state_of(&bob).await), before);
        refresh(stage, &token).await;
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ended_refreshes_no_more() {
    on_every_store(async |stage: &mut Stage| {
        let first = stage.user("ada").await;
        let (ada, token) = sign_in(stage, "ada").await;
        ada.done("logout", json!({})).await;
        refused(stage, &token).await;
        let (ada, token) = sign_in(stage, "ada").await;
        first.done("revokeSessions", json!({})).await;
        refused(stage, &token).await;
        assert!(!is_open(&ada).await && is_open(&first).await);
        assert_eq!(
            first.last_events(4).await,
            ["SessionsRevoked", "SignedIn", "SignedOut", "SignedIn"]
        );
        let head = stage.head().await;
        first.done("revokeSessions", json!({})).await;
        assert_eq!(stage.head().await, head, "nothing to end, nothing committed");
    })
    .await;
}
