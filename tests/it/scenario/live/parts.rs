//! Subscriptions as parts of a multipart response, Apollo's protocol `subscriptionSpec=1.0`: the same
//! streams in other words.

use super::runs::FEED;
use super::streams::FOLLOW;
use crate::harness::client::{Client, plain};
use crate::harness::socket::{PATIENCE, soon};
use crate::harness::stores::StoreKind;
use crate::scenario::stage::Stage;
use claviger::app::config::Config;
use claviger::simulator::keys::{Scenario, key};
use serde_json::{Value, json};
use std::time::Duration;

/// What Apollo Client sends with a subscription.
const ACCEPT: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json";

/// A response, read as Apollo Client reads it: a part is there when the boundary after it is.
struct Parts {
    response: reqwest::Response,
    text: String,
}

const BOUNDARY: &str = "\r\n--graphql";

impl Parts {
    fn of(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers()["content-type"],
            "multipart/mixed;boundary=\"graphql\";subscriptionSpec=1.0"
        );
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self { response, text: String::new() }
    }

    /// The next part, heartbeats included; `None` after the last boundary.
    async fn any(&mut self) -> Option<Value> {
        loop {
            if let Some((part, rest)) = self.text.split_once(BOUNDARY) {
                let (part, rest) = (part.to_owned(), rest.to_owned());
                self.text = rest;
                if part.is_empty() {
                    continue;
                }
                let (head, body) = part.split_once("\r\n\r\n").unwrap();
                assert_eq!(head.trim(), "content-type: application/json");
                return Some(serde_json::from_str(body).unwrap());
            }
            let Some(chunk) = soon(self.response.chunk()).await.unwrap() else {
                assert_eq!(self.text, "--\r\n", "the last boundary, then nothing");
                return None;
            };
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next part that is no heartbeat.
    async fn next(&mut self) -> Option<Value> {
        loop {
            match self.any().await {
                Some(part) if part == json!({}) => {}
                part => return part,
            }
        }
    }

    /// The one error with which the server ends it, and the last boundary.
    async fn error(&mut self) -> Value {
        let mut last = Value::Null;
        while let Some(part) = self.next().await {
            last = part;
        }
        assert_eq!(last["payload"], Value::Null, "{last}");
        let error = &last["errors"][0];
        assert!(error["extensions"]["requestId"].is_string(), "{last}");
        assert!(error["message"].is_string(), "{last}");
        error["extensions"]["code"].clone()
    }
}

async fn post(stage: &Stage, client: Option<&Client>, body: &Value) -> reqwest::Response {
    let http = plain().timeout(PATIENCE * 2).build().unwrap();
    let request = http
        .post(format!("http://{}/graphql", stage.address()))
        .header("accept", ACCEPT)
        .header("content-type", "application/json")
        .body(body.to_string());
    let request = match client {
        Some(client) => request.bearer_auth(client.token()),
        None => request,
    };
    request.send().await.unwrap()
}

async fn follow(stage: &Stage, client: &Client) -> Parts {
    Parts::of(post(stage, Some(client), &json!({ "query": FOLLOW })).await)
}

async fn with(change: impl FnOnce(&mut Config)) -> Stage {
    Stage::with(StoreKind::Sqlite, change).await
}

#[tokio::test]
async fn events_come_as_parts_with_heartbeats_between() {
    let stage = with(|config| config.live.heartbeat = Duration::from_millis(5)).await;
    let ada = stage.user("ada").await;
    let mut parts = follow(&stage, &ada).await;
    assert_eq!(parts.any().await, Some(json!({})), "it is there");
    ada.add("live", &key(Scenario::Good, 1)).await;
    let part = parts.next().await.unwrap();
    let event = json!({ "viewerEvents": { "node": { "type": "KeyAdded" } } });
    assert_eq!(part, json!({ "payload": { "data": event } }));
    assert_eq!(parts.any().await, Some(json!({})));
    stage.close().await;
}

#[tokio::test]
async fn a_run_is_followed_to_its_end_and_completes() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let id = ada.add("work", &key(Scenario::Good, 1)).await;
    ada.done("setDefaultKey", json!({ "id": id })).await;
    let agents = json!([{ "name": "Ann", "systemPrompt": "p" }]);
    let pattern = json!({ "sequential": { "task": "Go.", "agents": agents } });
    let started = ada.done("startOrchestration", json!({ "pattern": pattern })).await;
    let id = &started["orchestration"]["id"];
    let body = json!({ "query": FEED, "variables": { "id": id } });
    let mut parts = Parts::of(post(&stage, Some(&ada), &body).await);
    let mut kinds = Vec::new();
    while let Some(part) = parts.next().await {
        let message = &part["payload"]["data"]["orchestration"];
        kinds.push(message["__typename"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds.first().map(String::as_str), Some("Snapshot"));
    assert_eq!(kinds.last().map(String::as_str), Some("Terminal"));
    stage.close().await;
}

#[tokio::test]
async fn the_end_of_a_session_a_token_or_the_server_is_an_error_and_not_the_end_of_the_feed() {
    let stage = with(|config| config.live.heartbeat = Duration::from_millis(5)).await;
    let (ada, bob, eve) =
        (stage.user("ada").await, stage.user("bob").await, stage.user("eve").await);
    let mut of_ada = follow(&stage, &ada).await;
    ada.done("logout", json!({})).await;
    assert_eq!(of_ada.error().await, "UNAUTHENTICATED");
    let mut of_bob = follow(&stage, &bob).await;
    assert_eq!(of_bob.any().await, Some(json!({})));
    stage.advance_ms(15 * 60_000);
    assert_eq!(of_bob.error().await, "UNAUTHENTICATED");
    let eve = {
        let password = crate::harness::person::password("eve");
        let input = json!({ "usernameOrEmail": "eve", "password": password });
        let token = eve.done("login", input).await["accessToken"].clone();
        eve.with_token(token.as_str().unwrap())
    };
    let mut of_eve = follow(&stage, &eve).await;
    assert_eq!(of_eve.any().await, Some(json!({})));
    stage.begin_to_stop();
    assert_eq!(of_eve.error().await, "SHUTTING_DOWN");
    stage.close().await;
}

#[tokio::test]
async fn what_cannot_begin_is_a_status_and_what_has_one_answer_is_json() {
    let stage = with(|config| config.live.max_per_user = 1).await;
    let ada = stage.user("ada").await;
    for (query, status, code) in [
        ("subscription { viewerEvents(after: \"AQ\") { cursor } }", 400, "CURSOR_INVALID"),
        ("subscription { auditEvents { cursor } }", 403, "FORBIDDEN"),
        ("subscription { nothing }", 400, "BAD_REQUEST"),
        ("{", 400, "BAD_REQUEST"),
    ] {
        let response = post(&stage, Some(&ada), &json!({ "query": query })).await;
        assert_eq!(response.status(), status, "{query}");
        let json: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(json["errors"][0]["extensions"]["code"], code, "{json}");
    }
    // By this type Apollo Client knows that the body of a 401 is the answer of a GraphQL server.
    let expired = ada.with_token("expired");
    for client in [None, Some(&expired)] {
        let refused = post(&stage, client, &json!({ "query": FOLLOW })).await;
        assert_eq!(refused.status(), 401);
        let kind = refused.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("application/graphql-response+json"), "{kind}");
        assert!(refused.headers().contains_key("www-authenticate"));
    }
    for (query, data) in [
        ("{ viewer { username } }", json!({ "viewer": { "username": "ada" } })),
        ("mutation { __typename }", json!({ "__typename": "Mutation" })),
    ] {
        let response = post(&stage, Some(&ada), &json!({ "query": query })).await;
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!((response.status().as_u16(), kind.contains("json")), (200, true), "{kind}");
        let json: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(json, json!({ "data": data }));
    }
    // They count like any stream.
    let _one = follow(&stage, &ada).await;
    let refused = post(&stage, Some(&ada), &json!({ "query": FOLLOW })).await;
    assert_eq!(refused.status(), 429);
    stage.close().await;
}
