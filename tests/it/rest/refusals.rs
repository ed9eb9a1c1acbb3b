//! What is refused, and in which words.

use super::caller::{Stage, key_of, requests};
use crate::harness::client::Answer;
use crate::harness::stores::StoreKind;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_is_a_detail_whatever_its_status() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let (guest, ada) = (stage.guest(), stage.user("ada").await);
    let keys = "/api/anthropic-api-keys";
    let other = |method, path: &str| guest.request(method, path);
    let cases = [
        (guest.request(Method::GET, keys), 401),
        (guest.with("nonsense").request(Method::GET, keys), 401),
        (guest.request(Method::GET, keys).header("authorization", "Basic eDp5"), 401),
        (other(Method::GET, "/api/nothing"), 404),
        (other(Method::PUT, keys), 405),
        (ada.request(Method::POST, keys).body("x=y"), 415),
        (ada.request(Method::POST, keys).json(&json!([1])), 422),
        (ada.request(Method::POST, keys).body("{").header("content-type", "application/json"), 422),
        (ada.request(Method::POST, keys).json(&json!({ "a": "b".repeat(70_000) })), 413),
        (ada.request(Method::POST, keys).json(&key_of("again", 1)), 409),
        (ada.request(Method::GET, "/api/orchestration/executions/x"), 404),
        (ada.request(Method::GET, "/api/orchestration/executions?limit=0"), 400),
        (ada.request(Method::GET, "/api/orchestration/executions?state=odd"), 400),
        (ada.request(Method::GET, "/api/auth/usage-stats?period_start=soon"), 400),
    ];
    for (request, status) in cases {
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        let body: Value = answer.json();
        let fields: Vec<_> = body.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["detail"], "{body}");
        assert_eq!(body["detail"].is_array(), status == 422, "{body}");
        assert_eq!(answer.header("www-authenticate").is_empty(), status != 401);
        assert_eq!(answer.header("allow").is_empty(), status != 405);
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_422_names_every_fault_and_repeats_no_secret() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let body = json!({ "password": "the secret word", "full_name": 7 });
    let answer = stage.guest().post("/api/auth/register", &body).await;
    assert_eq!(answer.status, 422);
    assert!(!answer.text.contains("the secret word"), "{}", answer.text);
    let detail = answer.json()["detail"].clone();
    let found: Vec<_> = detail
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| (fault["type"].clone(), fault["loc"].clone()))
        .collect();
    let expected = [
        (json!("missing"), json!(["body", "username"])),
        (json!("missing"), json!(["body", "email"])),
        (json!("string_type"), json!(["body", "full_name"])),
    ];
    assert_eq!(found, expected);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_key_is_all_or_nothing_and_of_its_owner_only() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let (ada, eve) = (stage.user("ada").await, stage.user("eve").await);
        let keys = "/api/anthropic-api-keys";
        let spare = json!({ "key_name": "spare", "api_key": key_of("x", 2)["api_key"] });
        let spare = ada.post(keys, &spare).await;
        let path = format!("{keys}/{}", spare.json()["id"].as_str().unwrap());
        let tag = spare.header("etag").to_owned();
        let before = ada.get(keys).await.json();
        // An inactive key can't be the default, so nothing of this is done.
        let both = json!({ "key_name": "other", "is_active": false, "is_default": true });
        assert_eq!(ada.patch(&path, &both).await.status, 409);
        assert_eq!(eve.patch(&path, &json!({ "is_default": true })).await.status, 404);
        assert_eq!(ada.get(keys).await.json(), before);
        let renamed = ada.request(Method::PATCH, &path).header("if-match", &tag);
        let renamed = Answer::of(renamed.json(&json!({ "key_name": "other" }))).await;
        assert_eq!(renamed.status, 200, "{}", renamed.text);
        let late = ada.request(Method::PATCH, &path).header("if-match", &tag);
        assert_eq!(Answer::of(late.json(&json!({ "key_name": "late" }))).await.status, 412);
        assert_eq!(ada.patch(&path, &json!({ "is_default": true })).await.status, 200);
        let list = ada.get(keys).await.json();
        let defaults = list["api_keys"].as_array().unwrap().iter();
        assert_eq!(defaults.filter(|key| key["is_default"] == true).count(), 1);
        stage.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_orchestrated_starts_nothing() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let good = requests().remove(0).1;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body);
        body
    };
    let cases = [
        (with(&|body| body["agents"][0]["use_tools"] = json!(true)), 400, "use_tools"),
        (with(&|body| body["git_repo"] = json!("x")), 400, "git_repo"),
        (with(&|body| body["agent_sequence"] = json!(["a", "nobody"])), 400, "nobody"),
        (with(&|body| body["agents"][0]["role"] = json!("king")), 422, "manager"),
        (with(&|body| drop(body.as_object_mut().unwrap().remove("task"))), 422, "task"),
        (with(&|body| body["model"] = json!("not a model")), 400, "available-models"),
    ];
    for (body, status, words) in cases {
        for path in ["/api/orchestration/sequential", "/api/orchestration/sequential/stream"] {
            let answer = ada.post(path, &body).await;
            assert_eq!(answer.status, status, "{}", answer.text);
            assert!(answer.text.contains(words), "{}", answer.text);
        }
    }
    let list = ada.get("/api/orchestration/executions").await.json();
    assert_eq!(list["executions"], json!([]));
    stage.close().await;
}
