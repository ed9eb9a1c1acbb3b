//! Lists: pages that join into the whole, in both directions, and arguments that make no page.

use super::stage::{Stage, on_every_store};
use crate::harness::client::Client;
use crate::harness::stores::StoreKind;
use claviger::simulator::keys::{Scenario, key};
use claviger_domain::secret::SecretText;
use serde_json::{Value, json};

const KEYS: &str = "query($first: Int, $after: Cursor, $last: Int, $before: Cursor) { viewer { list: keys(first: $first, \
    after: $after, last: $last, before: $before) { edges { cursor node { id } } nodes { id } pageInfo { ...P } totalCount } } }";
const HISTORY: &str = "query($first: Int, $after: Cursor, $last: Int, $before: Cursor, $types: [String!]) { viewer { list: \
    history(first: $first, after: $after, last: $last, before: $before, types: $types) { edges { cursor node { id } } \
    nodes { id } pageInfo { ...P } } } }";

async fn page(client: &Client, query: &str, variables: Value) -> Value {
    let list = client.ask(query, variables).await["viewer"]["list"].clone();
    let edges = list["edges"].as_array().unwrap();
    assert_eq!(list["nodes"], edges.iter().map(|edge| edge["node"].clone()).collect::<Value>());
    assert_eq!(
        list["pageInfo"]["startCursor"],
        edges.first().map_or(Value::Null, |edge| edge["cursor"].clone())
    );
    assert_eq!(
        list["pageInfo"]["endCursor"],
        edges.last().map_or(Value::Null, |edge| edge["cursor"].clone())
    );
    list
}

fn ids(list: &Value) -> Vec<String> {
    list["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Walks forward and backward by pages of each size, and compares with the whole.
async fn walk_both_ways(client: &Client, query: &str, types: Value, whole: &[String]) {
    for size in [1, 2, 3, whole.len(), 100] {
        let (mut forward, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let list =
                page(client, query, json!({ "first": size, "after": cursor, "types": types }))
                    .await;
            assert_eq!(list["pageInfo"]["hasPreviousPage"], json!(!cursor.is_null()));
            forward.extend(ids(&list));
            assert_eq!(
                list["pageInfo"]["hasNextPage"],
                json!(forward.len() < whole.len()),
                "{size}"
            );
            if forward.len() >= whole.len() {
                break;
            }
            cursor = list["pageInfo"]["endCursor"].clone();
        }
        assert_eq!(forward, whole, "forward by {size}");
        let (mut backward, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let list =
                page(client, query, json!({ "last": size, "before": cursor, "types": types }))
                    .await;
            assert_eq!(list["pageInfo"]["hasNextPage"], json!(!cursor.is_null()));
            backward.splice(0..0, ids(&list));
            assert_eq!(
                list["pageInfo"]["hasPreviousPage"],
                json!(backward.len() < whole.len()),
                "{size}"
            );
            if backward.len() >= whole.len() {
                break;
            }
            cursor = list["pageInfo"]["startCursor"].clone();
        }
        assert_eq!(backward, whole, "backward by {size}");
    }
}

#[tokio::test]
async fn pages_of_keys_join_into_the_list_newest_first() {
    on_every_store(async |stage: &mut Stage| {
        let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
        let mut whole = Vec::new();
        for seed in 0..7 {
            // Some come in the same millisecond: the id then decides.
            stage.advance_ms(seed % 2);
            whole.insert(0, ada.add(&format!("key {seed}"), &key(Scenario::Good, seed)).await);
            bob.add("bob's", &key(Scenario::Good, seed)).await;
        }
        let list = page(&ada, KEYS, json!({})).await;
        assert_eq!((ids(&list), &list["totalCount"]), (whole.clone(), &json!(7)));
        walk_both_ways(&ada, KEYS, Value::Null, &whole).await;
        let cursor = |place: usize| list["edges"][place]["cursor"].clone();
        let between = page(&ada, KEYS, json!({ "after": cursor(1), "before": cursor(5) })).await;
        assert_eq!((ids(&between), &between["totalCount"]), (whole[2..5].to_vec(), &json!(7)));
        let nothing = page(&ada, KEYS, json!({ "first": 0 })).await;
        assert_eq!((ids(&nothing), &nothing["totalCount"]), (Vec::new(), &json!(7)));
        assert_eq!(nothing["pageInfo"]["hasNextPage"], true);
        // A row that was deleted leaves its cursor valid.
        ada.done("deleteKey", json!({ "id": whole[2] })).await;
        assert_eq!(ids(&page(&ada, KEYS, json!({ "after": cursor(2) })).await), whole[3..]);
    })
    .await;
}

#[tokio::test]
async fn pages_of_events_join_into_the_history_newest_first() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        for seed in 0..3 {
            let id = ada.add("work", &key(Scenario::Good, seed)).await;
            stage.user(&format!("user{seed}")).await;
            ada.done("setDefaultKey", json!({ "id": id })).await;
        }
        let whole = ids(&page(&ada, HISTORY, json!({ "first": 100 })).await);
        assert_eq!(whole.len(), 8);
        walk_both_ways(&ada, HISTORY, Value::Null, &whole).await;
        let types = json!(["KeyAdded", "DefaultSet", "KeyDeleted"]);
        let some = ids(&page(&ada, HISTORY, json!({ "first": 100, "types": types })).await);
        assert_eq!(some, whole[..6]);
        walk_both_ways(&ada, HISTORY, types, &some).await;
        assert_eq!(
            ids(&page(&ada, HISTORY, json!({ "types": ["KeyDeleted"] })).await),
            Vec::<String>::new()
        );
        let unknown = ada.send(HISTORY, json!({ "types": ["KeyAdded", "NoSuchType"] })).await;
        assert_eq!(unknown.code(), "VALIDATION");
        let data = ada
            .ask("{ viewer { eventsCursor history(first: 1) { edges { cursor } } } }", json!({}))
            .await;
        assert_eq!(data["viewer"]["eventsCursor"], data["viewer"]["history"]["edges"][0]["cursor"]);
    })
    .await;
}

#[tokio::test]
async fn arguments_that_make_no_page_are_refused() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        ada.add("work", &key(Scenario::Good, 1)).await;
        let of_key = page(&ada, KEYS, json!({})).await["pageInfo"]["endCursor"].clone();
        let of_event = page(&ada, HISTORY, json!({})).await["pageInfo"]["endCursor"].clone();
        let mut wrong = vec![
            (json!({ "first": 1, "last": 1 }), "VALIDATION"),
            (json!({ "first": 101 }), "LIMIT_EXCEEDED"),
            (json!({ "last": 101 }), "LIMIT_EXCEEDED"),
            (json!({ "first": -1 }), "LIMIT_EXCEEDED"),
            (json!({ "last": -1 }), "LIMIT_EXCEEDED"),
            (json!({ "first": "1" }), "BAD_REQUEST"),
            (json!({ "first": 1.5 }), "BAD_REQUEST"),
        ];
        for cursor in [
            json!(""),
            json!("garbage"),
            json!("*"),
            json!("AQ"),
            json!("A".repeat(200)),
            json!("____________"),
        ] {
            wrong.push((json!({ "after": cursor }), "CURSOR_INVALID"));
            wrong.push((json!({ "before": cursor, "last": 5 }), "CURSOR_INVALID"));
        }
        for (query, foreign) in [(KEYS, &of_event), (HISTORY, &of_key)] {
            let mut wrong = wrong.clone();
            wrong.push((json!({ "after": foreign }), "CURSOR_INVALID"));
            for (variables, code) in wrong {
                let answer = ada.send(query, variables.clone()).await;
                assert_eq!(answer.code(), code, "{variables}: {}", answer.text);
            }
        }
        let many = json!({ "ids": vec!["x"; 101] });
        assert_eq!(
            ada.send("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", many).await.code(),
            "LIMIT_EXCEEDED"
        );
    })
    .await;
}

async fn candidates(client: &Client, context: &str) -> Vec<(String, bool)> {
    let query = "query($context: String) { viewer { resolution(context: $context) { chosen { source } candidates { source chosen } } } }";
    let resolution =
        client.ask(query, json!({ "context": context })).await["viewer"]["resolution"].clone();
    let all = resolution["candidates"].as_array().unwrap();
    let all: Vec<_> = all
        .iter()
        .map(|one| (one["source"].as_str().unwrap().to_owned(), one["chosen"].as_bool().unwrap()))
        .collect();
    let chosen: Vec<_> = all
        .iter()
        .filter(|(_, chosen)| *chosen)
        .map(|(source, _)| Value::from(source.as_str()))
        .collect();
    assert_eq!(chosen, resolution["chosen"].get("source").cloned().into_iter().collect::<Vec<_>>());
    all
}

fn chosen(all: &[(String, bool)]) -> Option<(usize, &str)> {
    let place = all.iter().position(|(_, chosen)| *chosen)?;
    Some((place, all[place].0.as_str()))
}

#[tokio::test]
async fn the_resolution_goes_from_the_users_own_to_the_operators() {
    for kind in StoreKind::available().await {
        let stage = Stage::with(*kind, |config| {
            config.anthropic_api_key = Some(SecretText::new(key(Scenario::Good, 90)));
            config.max_plan = true;
        })
        .await;
        let ada = stage.user("ada").await;
        let all = candidates(&ada, "night").await;
        let sources: Vec<_> = all.iter().map(|(source, _)| source.as_str()).collect();
        assert_eq!(
            sources,
            [
                "DEFAULT_KEY",
                "DEFAULT_KEY",
                "ENV_ANTHROPIC_API_KEY",
                "ENV_CLAUDE_API_KEY",
                "MAX_PLAN"
            ]
        );
        assert_eq!(chosen(&all), Some((2, "ENV_ANTHROPIC_API_KEY")));
        let general = ada.add("general", &key(Scenario::Good, 1)).await;
        ada.done("setDefaultKey", json!({ "id": general })).await;
        assert_eq!(chosen(&candidates(&ada, "night").await), Some((1, "DEFAULT_KEY")));
        assert_eq!(candidates(&ada, "default").await.len(), 4);
        let night = ada.add("night", &key(Scenario::Revoked, 2)).await;
        ada.done("setDefaultKey", json!({ "id": night, "context": "night" })).await;
        ada.done("testKey", json!({ "id": night })).await;
        assert_eq!(
            chosen(&candidates(&ada, "night").await),
            Some((0, "DEFAULT_KEY")),
            "a failed test is shown, no reason to skip"
        );
        ada.done("deactivateKey", json!({ "id": night })).await;
        assert_eq!(chosen(&candidates(&ada, "night").await), Some((1, "DEFAULT_KEY")));
        let query = "query($id: ID!) { viewer { resolution(keyId: $id) { chosen { source } candidates { source } } } }";
        let named = ada.ask(query, json!({ "id": night })).await;
        let nothing = json!({ "chosen": null, "candidates": [{ "source": "NAMED_KEY" }] });
        assert_eq!(named["viewer"]["resolution"], nothing, "a named key is used, or nothing is");
        stage.close().await;
    }
}
