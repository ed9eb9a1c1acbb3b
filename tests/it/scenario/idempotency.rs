//! A request that is sent again does nothing again.

use super::stage::{Stage, on_every_store};
use crate::harness::client::Client;
use claviger::simulator::counts::Endpoint;
use claviger::simulator::keys::{Scenario, key};
use futures::future::join_all;
use serde_json::{Value, json};

/// Every mutation that takes an idempotency key, with an input that changes something at this place
/// of the list, and another input.
fn mutations(id: &Value) -> Vec<(&'static str, Value, Value)> {
    vec![
        (
            "renameKey",
            json!({ "id": id, "name": "new name" }),
            json!({ "id": id, "name": "newer name" }),
        ),
        (
            "setDefaultKey",
            json!({ "id": id, "context": "night" }),
            json!({ "id": id, "context": "day" }),
        ),
        ("clearDefaultKey", json!({ "context": "night" }), json!({ "context": "day" })),
        (
            "setKeyExpiry",
            json!({ "id": id, "expiresAt": "2027-01-01T00:00:00Z" }),
            json!({ "id": id, "expiresAt": null }),
        ),
        (
            "testKey",
            json!({ "id": id, "level": "AUTHENTIC" }),
            json!({ "id": id, "level": "MODEL" }),
        ),
        (
            "replaceKeySecret",
            json!({ "id": id, "secret": key(Scenario::Good, 2) }),
            json!({ "id": id, "secret": key(Scenario::Good, 3) }),
        ),
        ("deactivateKey", json!({ "id": id }), json!({ "id": id, "expectedVersion": "1" })),
        ("activateKey", json!({ "id": id }), json!({ "id": id, "expectedVersion": "1" })),
        ("deleteKey", json!({ "id": id }), json!({ "id": "another" })),
    ]
}

fn with_key(mut input: Value) -> Value {
    input["idempotencyKey"] = Value::from("again");
    input
}

fn replayed(mut commit: Value) -> Value {
    commit["replayed"] = Value::from(true);
    commit
}

/// First, repeat, another body, repeat.
async fn once(
    stage: &Stage,
    ada: &Client,
    mutation: &str,
    (input, other): (Value, Value),
) -> Value {
    let first = ada.done(mutation, with_key(input.clone())).await;
    assert_ne!(first["commit"]["eventIds"], json!([]), "{mutation}");
    assert_eq!(first["commit"]["replayed"], false);
    let before = stage.state_of(ada).await;
    let mut again = with_key(input);
    again["clientMutationId"] = Value::from("another");
    for _ in 0..2 {
        let repeat = ada.done(mutation, again.clone()).await;
        assert_eq!(repeat["commit"], replayed(first["commit"].clone()), "{mutation}");
        assert_eq!(
            (&repeat["key"], &repeat["deletedId"]),
            (&first["key"], &first["deletedId"]),
            "{mutation}"
        );
        let error = stage.refused(ada, mutation, with_key(other.clone())).await;
        assert_eq!(
            (&error["__typename"], &error["code"]),
            (&json!("ConflictError"), &json!("IDEMPOTENCY_KEY_REUSED"))
        );
        assert_eq!(error["path"], json!(["input", "idempotencyKey"]));
    }
    assert_eq!(stage.state_of(ada).await, before, "{mutation}");
    first
}

#[tokio::test]
async fn every_mutation_is_done_once_and_answered_again() {
    on_every_store(async |stage: &mut Stage| {
        let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
        let input = |name: &str| json!({ "name": name, "secret": key(Scenario::Good, 1), "expiresAt": null });
        let added = once(stage, &ada, "addKey", (input("work"), input("play"))).await;
        for (mutation, input, other) in mutations(&added["key"]["id"]) {
            once(stage, &ada, mutation, (input, other)).await;
        }
        assert_eq!(stage.simulator().counts().total(), 1, "one test, one call");
        // The key is gone, and the answer stays what it was.
        let repeat = ada.done("addKey", with_key(input("work"))).await;
        assert_eq!((&repeat["commit"], &repeat["key"]), (&replayed(added["commit"].clone()), &Value::Null));
        // Another user's key of the same text is another key.
        assert_eq!(bob.done("addKey", with_key(input("work"))).await["commit"]["replayed"], false);
    })
    .await;
}

#[tokio::test]
async fn eight_at_once_have_one_effect() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let id = json!(ada.add("first", &key(Scenario::Good, 9)).await);
        let add = json!({ "name": "work", "secret": key(Scenario::Good, 1) });
        let all = mutations(&id).into_iter().map(|(mutation, input, _)| (mutation, input));
        for (mutation, input) in std::iter::once(("addKey", add)).chain(all) {
            let head = stage.head().await;
            let input = with_key(input);
            let payloads = join_all((0..8).map(|_| ada.done(mutation, input.clone()))).await;
            let commits: Vec<_> =
                payloads.into_iter().map(|payload| payload["commit"].clone()).collect();
            let first: Vec<_> =
                commits.iter().filter(|commit| commit["replayed"] == false).collect();
            assert_eq!(first.len(), 1, "{mutation}");
            assert!(
                commits.iter().all(|commit| replayed(commit.clone()) == replayed(first[0].clone())),
                "{mutation}: {commits:?}"
            );
            let events = first[0]["eventIds"].as_array().unwrap().len() as u64;
            assert_eq!(stage.head().await, head + events, "{mutation}");
        }
        assert_eq!(stage.simulator().counts().total(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Good, 1)).await;
        ada.done("deactivateKey", json!({ "id": id })).await;
        let input = with_key(json!({ "id": id }));
        assert_eq!(stage.refused(&ada, "setDefaultKey", input.clone()).await["code"], "CONFLICT");
        ada.done("activateKey", json!({ "id": id })).await;
        assert_eq!(ada.done("setDefaultKey", input).await["commit"]["replayed"], false);
    })
    .await;
}

#[tokio::test]
async fn a_repeat_of_a_test_under_way_waits_for_it() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let secret = key(Scenario::Hang, 1);
        let id = ada.add("work", &secret).await;
        let input = with_key(json!({ "id": id }));
        let head = stage.head().await;
        let counts = stage.simulator().counts();
        let first = ada.done("testKey", input.clone());
        let rest = async {
            counts.wait(|counts| counts.of(&secret, Endpoint::Messages) == 1).await;
            assert_eq!(stage.head().await, head + 1, "the intent is durable before the call");
            let other = stage
                .refused(&ada, "testKey", with_key(json!({ "id": id, "level": "MODEL" })))
                .await;
            assert_eq!(other["code"], "IDEMPOTENCY_KEY_REUSED", "said at once, not after the test");
            ada.done("renameKey", json!({ "id": id, "name": "not blocked" })).await;
            let repeats = join_all((0..3).map(|_| ada.done("testKey", input.clone())));
            let (repeats, ()) = tokio::join!(repeats, stage.stop_simulator());
            repeats
        };
        let (first, repeats) = tokio::join!(first, rest);
        assert_eq!(first["key"]["lastTest"]["status"], "INCONCLUSIVE");
        for repeat in repeats {
            assert_eq!(repeat["commit"], replayed(first["commit"].clone()));
            assert_eq!(repeat["key"], first["key"]);
        }
        assert_eq!(counts.total(), 1, "one test, one call");
        assert_eq!(stage.head().await, head + 3);
    })
    .await;
}
