//! `expectedVersion`: a command that was decided on an old version is refused.

use super::stage::{Stage, on_every_store};
use claviger::simulator::keys::{Scenario, key};
use serde_json::{Value, json};

/// Every mutation that takes an expected version, with what else it needs; in an order in which
/// each changes something.
fn mutations() -> Vec<(&'static str, Value)> {
    vec![
        ("renameKey", json!({ "name": "new name" })),
        ("setDefaultKey", json!({ "context": "night" })),
        ("clearDefaultKey", json!({ "context": "night" })),
        ("setKeyExpiry", json!({ "expiresAt": "2027-01-01T00:00:00Z" })),
        ("replaceKeySecret", json!({ "secret": key(Scenario::Good, 2) })),
        ("deactivateKey", json!({})),
        ("activateKey", json!({})),
        ("deleteKey", json!({})),
    ]
}

fn input(mutation: &str, more: &Value, id: &str, version: &Value) -> Value {
    let mut input = more.clone();
    if mutation != "clearDefaultKey" {
        input["id"] = Value::from(id);
    }
    input["expectedVersion"] = version.clone();
    input
}

#[tokio::test]
async fn a_stale_version_is_a_conflict_that_tells_both_versions() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Good, 1)).await;
        for (mutation, more) in mutations() {
            let version = ada.key(&id).await["version"].clone();
            for stale in [json!("0"), json!("999"), json!(u64::MAX.to_string())] {
                let error =
                    stage.refused(&ada, mutation, input(mutation, &more, &id, &stale)).await;
                assert_eq!(
                    (&error["__typename"], &error["code"]),
                    (&json!("ConflictError"), &json!("CONFLICT")),
                    "{mutation}"
                );
                assert_eq!(
                    (&error["expectedVersion"], &error["actualVersion"]),
                    (&stale, &version),
                    "{mutation}"
                );
            }
            let payload = ada.done(mutation, input(mutation, &more, &id, &version)).await;
            assert_ne!(payload["commit"]["eventIds"], json!([]), "{mutation}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_context_without_default_has_no_version_to_compare() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let error = stage
            .refused(&ada, "clearDefaultKey", json!({ "context": "night", "expectedVersion": "3" }))
            .await;
        assert_eq!(
            (&error["expectedVersion"], &error["actualVersion"]),
            (&json!("3"), &Value::Null)
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_as_asked_commits_nothing() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let added =
            ada.done("addKey", json!({ "name": "work", "secret": key(Scenario::Good, 1) })).await;
        let id = &added["key"]["id"];
        let before = stage.state_of(&ada).await;
        let as_asked = |mutation: &'static str, input: Value| (mutation, input);
        for (mutation, input) in [
            as_asked("activateKey", json!({ "id": id })),
            as_asked("renameKey", json!({ "id": id, "name": " work " })),
            as_asked(
                "renameKey",
                json!({ "id": id, "name": "work", "expectedVersion": added["key"]["version"] }),
            ),
            as_asked("setDefaultKey", json!({ "id": id })),
            as_asked("clearDefaultKey", json!({ "context": "night" })),
            as_asked("setKeyExpiry", json!({ "id": id, "expiresAt": null })),
            as_asked("replaceKeySecret", json!({ "id": id, "secret": key(Scenario::Good, 1) })),
            as_asked(
                "setDefaultKey",
                json!({ "id": id, "expectedVersion": added["key"]["version"] }),
            ),
        ] {
            let payload = ada.done(mutation, input).await;
            let commit = &payload["commit"];
            assert_eq!(
                (&commit["eventIds"], &commit["replayed"]),
                (&json!([]), &json!(false)),
                "{mutation}"
            );
            assert_eq!(
                (&commit["position"], &commit["version"]),
                (&json!(before.0.to_string()), &json!("2")),
                "{mutation}"
            );
            let answered =
                if mutation == "clearDefaultKey" { Value::Null } else { added["key"].clone() };
            assert_eq!(payload["key"], answered, "{mutation}");
        }
        ada.done("deactivateKey", json!({ "id": id })).await;
        let head = stage.head().await;
        assert_eq!(
            ada.done("deactivateKey", json!({ "id": id })).await["commit"]["eventIds"],
            json!([])
        );
        assert_eq!(stage.head().await, head);
    })
    .await;
}

#[tokio::test]
async fn a_name_is_given_unless_the_key_has_it() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Good, 1)).await;
        let other = ada.add("play", &key(Scenario::Good, 2)).await;
        // What another key is called, or this one was, or nearly is, changes something.
        for (id, name) in
            [(&id, "play"), (&id, "work"), (&id, "Work"), (&id, "work"), (&other, "work")]
        {
            let version = ada.key(id).await["version"].clone();
            for events in [1, 0] {
                let head = stage.head().await;
                let payload = ada.done("renameKey", json!({ "id": id, "name": name })).await;
                assert_eq!(
                    payload["commit"]["eventIds"].as_array().unwrap().len(),
                    events,
                    "{name}"
                );
                assert_eq!(
                    (&payload["key"]["name"], stage.head().await),
                    (&json!(name), head + events as u64)
                );
            }
            let stale = json!({ "id": id, "name": name, "expectedVersion": version });
            assert_eq!(stage.refused(&ada, "renameKey", stale).await["code"], "CONFLICT", "{name}");
        }
        ada.done("deleteKey", json!({ "id": id })).await;
        assert_eq!(
            stage.refused(&ada, "renameKey", json!({ "id": id, "name": "work" })).await["code"],
            "NOT_FOUND"
        );
    })
    .await;
}
