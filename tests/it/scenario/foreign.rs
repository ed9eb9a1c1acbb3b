//! Unknown ids, other people's and garbage are answered alike, byte for byte.

use super::stage::{Stage, on_every_store};
use claviger::simulator::keys::{Scenario, key};
use claviger_application::ids::{IdKind, encode};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn a_foreign_id_is_answered_like_an_unknown_one() {
    on_every_store(async |stage: &mut Stage| {
        let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
        let foreign = bob.add("bob's", &key(Scenario::Good, 1)).await;
        let deleted = ada.add("gone", &key(Scenario::Good, 2)).await;
        ada.done("deleteKey", json!({ "id": deleted })).await;
        let own = ada
            .ask("{ viewer { id sessions { id } history(first: 1) { nodes { id } } } }", json!({}))
            .await["viewer"]
            .clone();
        let unknown = encode(IdKind::ApiKey, Uuid::from_u128(7));
        let others = [
            foreign.clone(),
            deleted,
            own["id"].as_str().unwrap().to_owned(),
            own["sessions"][0]["id"].as_str().unwrap().to_owned(),
            own["history"]["nodes"][0]["id"].as_str().unwrap().to_owned(),
            String::new(),
            "garbage".to_owned(),
            "*".repeat(200),
            Uuid::from_u128(7).to_string(),
        ];
        let of_bob = stage.state_of(&bob).await;
        for (mutation, more) in [
            ("testKey", json!({ "level": "FULL" })),
            ("setDefaultKey", json!({})),
            ("activateKey", json!({})),
            ("deactivateKey", json!({})),
            ("renameKey", json!({ "name": "mine" })),
            ("setKeyExpiry", json!({ "expiresAt": null })),
            ("setKeyExpiry", json!({ "expiresAt": "2001-01-01T00:00:00Z" })),
            ("replaceKeySecret", json!({ "secret": key(Scenario::Good, 3) })),
            ("replaceKeySecret", json!({ "secret": key(Scenario::Good, 1) })),
            ("deleteKey", json!({})),
            ("deleteKey", json!({ "expectedVersion": "1" })),
            ("deleteKey", json!({ "idempotencyKey": "again" })),
        ] {
            let input = |id: &str| {
                let mut input = more.clone();
                input["id"] = Value::from(id);
                input
            };
            let error = stage.refused(&ada, mutation, input(&unknown)).await;
            assert_eq!(
                (&error["__typename"], &error["code"]),
                (&json!("NotFoundError"), &json!("NOT_FOUND")),
                "{mutation}"
            );
            let answer = ada.send_mutation(mutation, input(&unknown)).await;
            for id in &others {
                assert_eq!(
                    ada.send_mutation(mutation, input(id)).await.text,
                    answer.text,
                    "{mutation} of {id}"
                );
            }
        }
        assert_eq!(stage.state_of(&bob).await, of_bob);
        assert_eq!(stage.simulator().counts().total(), 0, "nothing was asked upstream");
    })
    .await;
}

#[tokio::test]
async fn reads_of_foreign_ids_give_what_unknown_ones_give() {
    on_every_store(async |stage: &mut Stage| {
        let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
        let of_key = bob.add("bob's", &key(Scenario::Good, 1)).await;
        let of_bob =
            bob.ask("{ viewer { id sessions { id } history(first: 1) { nodes { id } } } }", json!({})).await["viewer"].clone();
        let query = "query($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } key(id: $id) { id } \
            viewer { resolution(keyId: $id) { chosen { reason } candidates { source reason key { id } chosen } } } }";
        let unknown = ada.send(query, json!({ "id": encode(IdKind::ApiKey, Uuid::from_u128(7)) })).await;
        assert_eq!(unknown.data()["node"], Value::Null);
        assert_eq!(unknown.data()["nodes"], json!([null]));
        let foreign = [&of_key.into(), &of_bob["id"], &of_bob["sessions"][0]["id"], &of_bob["history"]["nodes"][0]["id"]];
        let garbage = ["", "x", "QXBpS2V5Og", "ApiKey:00000000-0000-0000-0000-000000000007"].map(Value::from);
        for id in foreign.into_iter().chain(&garbage) {
            assert_eq!(ada.send(query, json!({ "id": id })).await.text, unknown.text, "{id}");
        }
        assert!(bob.ask(query, json!({ "id": foreign[3] })).await["node"].is_object(), "bob sees his own");
    })
    .await;
}

#[tokio::test]
async fn the_history_holds_the_users_own_events_only() {
    on_every_store(async |stage: &mut Stage| {
        let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
        let id = bob.add("bob's", &key(Scenario::Good, 1)).await;
        assert_eq!(ada.last_events(50).await, ["SignedIn", "AccountRegistered"]);
        assert_eq!(
            ada.ask(
                "query($id: ID!) { key(id: $id) { history { nodes { id } } } }",
                json!({ "id": id })
            )
            .await["key"],
            Value::Null
        );
    })
    .await;
}
