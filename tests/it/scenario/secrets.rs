//! Secrets travel in variables only.

use super::stage::{Stage, on_every_store};
use claviger::simulator::keys::{Scenario, key};
use serde_json::json;

#[tokio::test]
async fn a_secret_in_the_text_of_a_document_is_refused_and_not_echoed() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let secret = key(Scenario::Good, 1);
        let before = stage.state_of(&ada).await;
        for document in [
            format!("mutation {{ addKey(input: {{name: \"a\", secret: \"{secret}\"}}) {{ key {{ id }} }} }}"),
            format!("mutation($s: Secret = \"{secret}\") {{ addKey(input: {{name: \"a\", secret: $s}}) {{ key {{ id }} }} }}"),
            format!(
                "mutation($i: AddKeyInput = {{name: \"a\", secret: \"{secret}\"}}) {{ addKey(input: $i) {{ key {{ id }} }} }}"
            ),
            format!("mutation($s: String = \"{secret}\") {{ addKey(input: {{name: \"a\", secret: $s}}) {{ key {{ id }} }} }}"),
            format!("mutation($s: String!) {{ addKey(input: {{name: \"{secret}\", secret: $s}}) {{ key {{ id }} }} }}"),
            format!("mutation {{ login(input: {{usernameOrEmail: \"ada\", password: \"{secret}\"}}) {{ accessToken }} }}"),
            format!("mutation {{ refreshSession(input: {{refreshToken: \"\"\"{secret}\"\"\"}}) {{ accessToken }} }}"),
            format!("mutation {{ addKey(input: \"{secret}\") {{ key {{ id }} }} }}"),
            format!("mutation {{ addKey(input: {{name: \"a\", secret: \"{secret}"),
        ] {
            let answer = ada.send(&document, json!({ "s": "x" })).await;
            assert_eq!(answer.code(), "BAD_REQUEST", "{}", answer.text);
            assert!(!answer.text.contains(secret.get(18..40).unwrap()), "{}", answer.text);
        }
        assert_eq!(stage.state_of(&ada).await, before);
    })
    .await;
}

#[tokio::test]
async fn a_secret_of_another_kind_of_json_is_refused_and_not_echoed() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        for secret in [
            json!(4_815_162_342_u64),
            json!(["sk-ant-api03-list"]),
            json!({ "a": "sk-ant-api03-object" }),
            json!(null),
        ] {
            let answer =
                ada.send_mutation("addKey", json!({ "name": "a", "secret": secret })).await;
            assert_eq!(answer.code(), "BAD_REQUEST", "{}", answer.text);
            assert!(
                !answer.text.contains("4815162342") && !answer.text.contains("api03"),
                "{}",
                answer.text
            );
        }
    })
    .await;
}
