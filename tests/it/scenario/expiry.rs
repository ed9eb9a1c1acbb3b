//! Keys whose time is up, and reads that wait for the log.

use super::stage::{Stage, on_every_store};
use crate::harness::stores::StoreKind;
use claviger::simulator::keys::{Scenario, key};
use serde_json::{Value, json};

/// Less than an access token lives.
const SOON_MS: u64 = 600_000;
const RESOLUTION: &str = "{ viewer { resolution { chosen { source } candidates { source chosen reason } } defaultKey { id } } }";

#[tokio::test]
async fn an_expired_key_is_skipped_before_the_timer_and_loses_its_defaults_by_it() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let input = json!({ "name": "short", "secret": key(Scenario::Good, 1), "expiresAt": stage.in_ms(SOON_MS) });
        let id = ada.done("addKey", input).await["key"]["id"].clone();
        ada.done("setDefaultKey", json!({ "id": id, "context": "night" })).await;
        stage.advance_ms(SOON_MS - 1);
        stage.tick().await;
        assert_eq!(ada.ask(RESOLUTION, json!({})).await["viewer"]["resolution"]["chosen"]["source"], "DEFAULT_KEY");

        stage.advance_ms(1);
        let head = stage.head().await;
        let viewer = ada.ask(RESOLUTION, json!({})).await["viewer"].clone();
        assert_eq!(viewer["resolution"]["chosen"], Value::Null);
        assert!(viewer["resolution"]["candidates"][0]["reason"].as_str().unwrap().contains("it expired at"));
        assert_eq!((stage.head().await, &viewer["defaultKey"]["id"]), (head, &id), "only the timer records it");
        let error = stage.refused(&ada, "setDefaultKey", json!({ "id": id, "context": "other" })).await;
        assert_eq!((&error["__typename"], &error["code"]), (&json!("ConflictError"), &json!("CONFLICT")));

        stage.tick().await;
        assert_eq!(ada.last_events(3).await, ["KeyExpired", "DefaultCleared", "DefaultCleared"]);
        let expired = ada.key(id.as_str().unwrap()).await;
        assert_eq!((&expired["isActive"], &expired["defaultFor"]), (&json!(true), &json!([])));
        assert_eq!(ada.ask(RESOLUTION, json!({})).await["viewer"]["defaultKey"], Value::Null);
        let head = stage.head().await;
        stage.tick().await;
        assert_eq!(stage.head().await, head, "it is recorded once");

        let revived = ada.done("setKeyExpiry", json!({ "id": id, "expiresAt": stage.in_ms(SOON_MS) })).await;
        assert_eq!(revived["key"]["defaultFor"], json!([]), "it doesn't get its defaults back");
        ada.done("setDefaultKey", json!({ "id": id })).await;
        assert_eq!(ada.ask(RESOLUTION, json!({})).await["viewer"]["resolution"]["chosen"]["source"], "DEFAULT_KEY");
    })
    .await;
}

#[tokio::test]
async fn an_expiry_in_the_past_is_refused() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Good, 1)).await;
        for at in [stage.in_ms(0), "2001-01-01T00:00:00Z".to_owned()] {
            let add = json!({ "name": "late", "secret": key(Scenario::Good, 2), "expiresAt": at });
            for (mutation, input) in
                [("addKey", add), ("setKeyExpiry", json!({ "id": id, "expiresAt": at }))]
            {
                let error = stage.refused(&ada, mutation, input).await;
                assert_eq!(
                    (&error["code"], &error["path"]),
                    (&json!("VALIDATION"), &json!(["input", "expiresAt"]))
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_read_waits_for_a_position_that_is_about_to_come() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let head = stage.head().await;
        let query = "query($at: Position) { viewer { keys(minPosition: $at) { totalCount } } }";
        let now = ada.ask(query, json!({ "at": head.to_string() })).await;
        assert_eq!(now["viewer"]["keys"]["totalCount"], 0);
        let waiting = ada.ask(query, json!({ "at": (head + 1).to_string() }));
        let (secret, adding) = (key(Scenario::Good, 1), ada.clone());
        let (later, _) = tokio::join!(waiting, adding.add("work", &secret));
        assert_eq!(later["viewer"]["keys"]["totalCount"], 1);
    })
    .await;
}

#[tokio::test]
async fn a_position_that_never_comes_is_answered_view_behind() {
    for kind in StoreKind::available().await {
        let stage = Stage::with(*kind, |config| config.view_wait_ms = 1).await;
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Good, 1)).await;
        let at = (stage.head().await + 1).to_string();
        for query in [
            "query($at: Position, $id: ID!) { key(id: $id, minPosition: $at) { id } }",
            "query($at: Position, $id: ID!) { key(id: $id) { id } viewer { keys(minPosition: $at) { totalCount } } }",
            "query($at: Position, $id: ID!) { key(id: $id) { id } viewer { defaultKey(minPosition: $at) { id } } }",
        ] {
            let answer = ada.send(query, json!({ "at": at, "id": id })).await;
            assert_eq!(answer.code(), "VIEW_BEHIND", "{}", answer.text);
        }
        for wrong in ["-1", "+1", "1.5", "x", "18446744073709551616"] {
            let answer = ada.send(
                "query($at: Position) { viewer { keys(minPosition: $at) { totalCount } } }",
                json!({ "at": wrong }),
            );
            assert_eq!(answer.await.code(), "BAD_REQUEST", "{wrong}");
        }
        stage.close().await;
    }
}
