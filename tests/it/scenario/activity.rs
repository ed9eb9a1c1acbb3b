//! What calls teach about a key: a view that is written a moment after them.

use super::stage::{Stage, on_every_store};
use crate::harness::events::append_of;
use crate::harness::stores::StoreKind;
use claviger::simulator::keys::{Scenario, key};
use claviger_domain::id::EventId;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{ACTIVITY as VIEW, Append, Expected, StoredEvent};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// How long anything is awaited before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

const ACTIVITY: &str = "query($id: ID!, $at: Position) { key(id: $id) { activity(minPosition: $at) { lastCallAt lastSuccessAt \
    lastFaultAt lastFault rateLimitedUntil callsByDay { day calls } } } }";

#[tokio::test]
async fn a_keys_activity_shows_the_outcomes_of_its_calls() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Good, 1)).await;
        let added = stage.head().await.to_string();
        let unused = ada.ask(ACTIVITY, json!({ "id": id, "at": added })).await;
        assert_eq!(unused["key"]["activity"], Value::Null, "nobody has used it");

        let first = stage.in_ms(0);
        let tested = ada.done("testKey", json!({ "id": id })).await;
        let at = tested["commit"]["position"].clone();
        let activity = ada.ask(ACTIVITY, json!({ "id": id, "at": at })).await["key"]["activity"].clone();
        let day = json!({ "day": "2026-11-23T00:00:00.000Z", "calls": 1 });
        assert_eq!(
            activity,
            json!({ "lastCallAt": first, "lastSuccessAt": first, "lastFaultAt": null, "lastFault": null,
                    "rateLimitedUntil": null, "callsByDay": [day] })
        );

        stage.advance_ms(600_000);
        let input = json!({ "id": id, "secret": key(Scenario::RateLimited, 1) });
        ada.done("replaceKeySecret", input).await;
        ada.done("testKey", json!({ "id": id })).await;
        let at = stage.head().await.to_string();
        let activity = ada.ask(ACTIVITY, json!({ "id": id, "at": at })).await["key"]["activity"].clone();
        assert_eq!((&activity["lastSuccessAt"], &activity["lastFault"]), (&json!(first), &json!("RATE_LIMITED")));
        assert_eq!((&activity["lastCallAt"], &activity["lastFaultAt"]), (&json!(stage.in_ms(0)), &json!(stage.in_ms(0))));
        assert!(activity["rateLimitedUntil"].is_string(), "{activity}");
        assert_eq!(activity["callsByDay"], json!([{ "day": "2026-11-23T00:00:00.000Z", "calls": 2 }]));

        let eve = stage.user("eve").await;
        assert_eq!(eve.ask(ACTIVITY, json!({ "id": id })).await["key"], Value::Null, "it is nobody else's");
        // A crash loses nothing of the view, and the next process goes on with it.
        stage.crash().await;
        let ada = stage.nobody().with_token(ada.token());
        let again = ada.ask(ACTIVITY, json!({ "id": id, "at": at })).await["key"]["activity"].clone();
        assert_eq!(again, activity);
    })
    .await;
}

#[tokio::test]
async fn a_view_that_never_gets_there_is_answered_view_behind() {
    for kind in StoreKind::available().await {
        let stage = Stage::with(*kind, |config| config.view_wait_ms = 1).await;
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Good, 1)).await;
        let at = (stage.head().await + 1).to_string();
        let answer = ada.send(ACTIVITY, json!({ "id": id, "at": at })).await;
        assert_eq!(answer.code(), "VIEW_BEHIND", "{}", answer.text);
        assert!(answer.text.contains("the view of activity is at position"), "{}", answer.text);
        stage.close().await;
    }
}

/// The same event once more, with facts that its type can't be decoded from.
fn malformed(last: &StoredEvent) -> Append {
    let mut append = append_of(last.clone());
    append.expected = Expected::Exact(last.envelope.version);
    for event in &mut append.events {
        event.id = EventId(Uuid::from_u128(77));
        (event.facts, event.content) = (b"{}".to_vec(), Vec::new());
    }
    append
}

#[tokio::test]
async fn an_event_that_cannot_be_taken_in_stops_one_key_and_is_counted() {
    on_every_store(async |stage: &mut Stage| {
        let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
        ada.add("work", &key(Scenario::Good, 1)).await;
        let his = bob.add("work", &key(Scenario::Good, 2)).await;
        assert_eq!(stage.health().await.get("quarantined"), None);
        let log = stage.store().read(0, 100).await.unwrap();
        let is_ring =
            |event: &&StoredEvent| matches!(event.envelope.stream, StreamName::KeyRing(_));
        let of_ada = log.iter().filter(is_ring).map(|event| event.envelope.stream).next().unwrap();
        let last = log.iter().rfind(|event| event.envelope.stream == of_ada).unwrap();
        stage.store().append(malformed(last)).await.unwrap();
        let tested = bob.done("testKey", json!({ "id": his })).await;
        let at = tested["commit"]["position"].clone();
        let passed = async {
            while stage.store().checkpoint(VIEW).await.unwrap().position.to_string()
                != at.as_str().unwrap()
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, passed).await.unwrap();
        assert_eq!(stage.health().await["quarantined"], json!({ "activity": 1 }));
        assert_eq!(stage.health().await["status"], "healthy");
        let activity =
            bob.ask(ACTIVITY, json!({ "id": his, "at": at })).await["key"]["activity"].clone();
        assert_eq!(activity["callsByDay"][0]["calls"], 1, "everything else goes on");
    })
    .await;
}
