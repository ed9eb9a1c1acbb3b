//! What calls teach about a key: a view that is written a moment after them.

use super::stage::{Stage, StoreKind, on_every_store};
use claviger::simulator::keys::{Scenario, key};
use serde_json::{Value, json};

const ACTIVITY: &str = "query($id: ID!, $at: Position) { key(id: $id) { activity(minPosition: $at) { lastCallAt lastSuccessAt \
    lastFaultAt lastFault rateLimitedUntil callsByDay { day calls } } } }";

#[tokio::test]
async fn a_keys_activity_says_what_its_calls_taught() {
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
    for kind in StoreKind::available() {
        let stage = Stage::with(*kind, |config| config.view_wait_ms = 1).await;
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Good, 1)).await;
        let at = (stage.head().await + 1).to_string();
        let answer = ada.send(ACTIVITY, json!({ "id": id, "at": at })).await;
        assert_eq!(answer.code(), "VIEW_BEHIND", "{}", answer.text);
        assert!(answer.text.contains("the view of activity stands at position"), "{}", answer.text);
        stage.close().await;
    }
}
