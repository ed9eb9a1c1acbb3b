//! What the earlier service answered, endpoint by endpoint.

use super::caller::{Stage, key_of, registration, requests};
use super::shapes::{lacks, recorded};
use crate::harness::client::Answer;
use crate::harness::stores::StoreKind;
use serde_json::{Value, json};

fn matches(name: &str, answer: &Answer) -> Value {
    let expected = &recorded()[name];
    assert_eq!(answer.status, expected["status"], "{name}: {}", answer.text);
    let body = answer.json();
    assert_eq!(lacks(&body, &expected["body"], name), Vec::<String>::new(), "{body:#}");
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_and_keys_answer_as_recorded() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let guest = stage.guest();
        let made = guest.post("/api/auth/register", &registration("ada")).await;
        let made = matches("register", &made);
        assert_eq!(made["token_type"], "bearer");
        let wrong = json!({ "username_or_email": "ada", "password": "not this one" });
        let wrong = guest.post("/api/auth/login", &wrong).await;
        matches("login wrong", &wrong);
        assert!(wrong.header("www-authenticate").starts_with("Bearer"));
        let right =
            json!({ "username_or_email": "ADA@example.org", "password": "a long password" });
        let login = matches("login", &guest.post("/api/auth/login", &right).await);
        let again = json!({ "refresh_token": login["refresh_token"] });
        matches("login", &guest.post("/api/auth/refresh", &again).await);
        matches(
            "register missing",
            &guest.post("/api/auth/register", &json!({ "username": "x" })).await,
        );
        matches(
            "register duplicate",
            &guest.post("/api/auth/register", &registration("ada")).await,
        );
        let ada = guest.with(made["access_token"].as_str().unwrap());
        let me = matches("me", &ada.get("/api/auth/me").await);
        assert_eq!((&me["username"], &me["is_admin"]), (&json!("ada"), &json!(false)));

        let request = key_of("work", 1);
        let created = matches("key create", &ada.post("/api/anthropic-api-keys", &request).await);
        assert_eq!(created["api_key"], request["api_key"]);
        let bad = json!({ "key_name": "x", "api_key": "sk-other", "is_default": false });
        matches("key bad prefix", &ada.post("/api/anthropic-api-keys", &bad).await);
        let list = matches("key list", &ada.get("/api/anthropic-api-keys").await);
        let shown = list["api_keys"][0]["api_key_preview"].as_str().unwrap();
        assert!(shown.starts_with("sk-ant-***...") && shown.len() == 16, "{shown}");
        let path = format!("/api/anthropic-api-keys/{}", created["id"].as_str().unwrap());
        let tested = ada.post(&format!("{path}/test"), &json!({})).await;
        assert_eq!(matches("key test", &tested)["success"], true);
        let list = matches("key list tested", &ada.get("/api/anthropic-api-keys").await);
        assert_eq!(list["api_keys"][0]["last_test_status"], "success");
        let change = json!({ "key_name": "home", "is_active": false });
        matches("key patch", &ada.patch(&path, &change).await);
        let list = ada.get("/api/anthropic-api-keys").await.json();
        let key = &list["api_keys"][0];
        assert_eq!((&key["key_name"], &key["is_default"]), (&json!("home"), &json!(false)));
        matches("key patch nothing", &ada.patch(&path, &json!({})).await);
        let unknown = "/api/anthropic-api-keys/no-such-id";
        matches("key unknown", &ada.patch(unknown, &json!({ "is_active": true })).await);
        matches("key delete", &ada.delete(&path).await);
        matches("models", &ada.get("/api/settings/available-models").await);
        matches("mode", &ada.get("/api/claude-mode").await);
        matches("logout", &ada.post("/api/auth/logout", &json!({})).await);
        assert_eq!(ada.get("/api/auth/me").await.status, 401);
        stage.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_pattern_answers_as_recorded_and_its_run_can_be_asked_for() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let ada = stage.user("ada").await;
        for (pattern, request) in requests() {
            let answer = ada.post(&format!("/api/orchestration/{pattern}"), &request).await;
            let body = matches(pattern, &answer);
            let id = body["execution_id"].as_str().unwrap();
            let run = ada.get(&format!("/api/orchestration/executions/{id}")).await.json();
            assert_eq!(run["result"], body["result"], "{pattern}");
            assert_eq!((&run["status"], &run["error"]), (&json!("completed"), &Value::Null));
        }
        let list = ada.get("/api/orchestration/executions?limit=3").await.json();
        assert_eq!(list["executions"].as_array().unwrap().len(), 3);
        let before = list["next_before"].as_str().unwrap();
        let path = format!("/api/orchestration/executions?limit=3&before={before}");
        let rest = ada.get(&path).await.json();
        assert_eq!(
            (rest["executions"].as_array().unwrap().len(), &rest["next_before"]),
            (2, &Value::Null)
        );
        let usage = matches("usage", &ada.get("/api/auth/usage-stats").await);
        assert_eq!(usage["total_workflows"], 5);
        stage.close().await;
    }
}
