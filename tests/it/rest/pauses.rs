//! Runs that pause: who waits for them is told why, and how they go on.

use super::caller::{Stage, requests};
use super::streams::events;
use crate::harness::stores::StoreKind;
use claviger::simulator::keys::{Scenario, key};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_credit_answers_409_and_goes_on_with_another_key() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let ada = stage.user_with("ada", Scenario::NoCredit402).await;
        let request = requests().remove(0).1;
        let answer = ada.post("/api/orchestration/sequential", &request).await;
        assert_eq!(answer.status, 409, "{}", answer.text);
        let body = answer.json();
        assert_eq!(body["reason"], "credit");
        assert!(body["detail"].as_str().unwrap().ends_with("then resume"), "{body}");
        let id = body["execution_id"].as_str().unwrap();
        let path = format!("/api/orchestration/executions/{id}");
        let streamed = events(&ada.get(&format!("{path}/stream")).await.text);
        let last = &streamed.last().unwrap().1;
        assert_eq!((&last["type"], &last["error"]), (&json!("error"), &body["detail"]));
        assert_eq!((&last["reason"], &last["execution_id"]), (&body["reason"], &json!(id)));
        let run = ada.get(&path).await.json();
        let listed = ada.get("/api/orchestration/executions?state=paused").await.json();
        for waiting in [&run["waiting"], &listed["executions"][0]["waiting"]] {
            assert_eq!((&waiting["reason"], &waiting["until"]), (&json!("credit"), &Value::Null));
            assert!(waiting["since"].is_string(), "{waiting}");
            assert!(waiting["message"].as_str().unwrap().contains("credit"), "{waiting}");
        }
        let good =
            json!({ "key_name": "good", "api_key": key(Scenario::Good, 2), "is_default": true });
        assert_eq!(ada.post("/api/anthropic-api-keys", &good).await.status, 200);
        let resumed = ada.post(&format!("{path}/resume"), &json!({})).await;
        assert_eq!(resumed.status, 200, "{}", resumed.text);
        // From the beginning: the pause that is over ends nothing.
        let streamed = events(&ada.get(&format!("{path}/stream")).await.text);
        let last = &streamed.last().unwrap().1;
        assert_eq!(last["type"], "complete", "{last}");
        let run = ada.get(&path).await.json();
        assert_eq!((&run["status"], &run["waiting"]), (&json!("completed"), &Value::Null));
        stage.close().await;
    }
}
