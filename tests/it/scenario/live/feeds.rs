//! A subscription delivers every event of its user once and in order, even if the connection is
//! lost.

use crate::harness::client::Client;
use crate::harness::socket::Socket;
use crate::harness::stores::StoreKind;
use crate::scenario::stage::Stage;
use claviger::simulator::keys::{Scenario, key};
use serde_json::{Value, json};

/// The viewer's whole history, oldest first: cursor and type.
async fn history(client: &Client) -> Vec<(String, String)> {
    let mut events = Vec::new();
    let mut before = Value::Null;
    loop {
        let query = "query($before: Cursor) { viewer { history(last: 100, before: $before) { edges { cursor node { type } } \
            pageInfo { hasPreviousPage startCursor } } } }";
        let page =
            client.ask(query, json!({ "before": before })).await["viewer"]["history"].clone();
        let edges = page["edges"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        events.extend(
            edges.iter().rev().map(|edge| (text(&edge["cursor"]), text(&edge["node"]["type"]))),
        );
        if page["pageInfo"]["hasPreviousPage"] == json!(false) {
            return events;
        }
        before = page["pageInfo"]["startCursor"].clone();
    }
}

#[tokio::test]
async fn events_come_once_and_in_order_across_cuts_and_a_crash() {
    let mut stage = Stage::open(StoreKind::Sqlite).await;
    let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
    let (mut token, mut after) = (ada.token().to_owned(), None::<String>);
    let mut got = Vec::new();
    let start = "AQAAAAAAAAAA".to_owned();
    for round in 0..6_u64 {
        let ada = stage.nobody().with_token(&token);
        let mut socket = Socket::of(stage.address(), &ada).await;
        socket.follow("1", Some(after.as_ref().unwrap_or(&start))).await;
        // Some before the cut, some after it, other people's in between.
        for n in 0..4 {
            ada.add(&format!("key {round} {n}"), &key(Scenario::Good, round * 100 + n)).await;
            stage
                .nobody()
                .with_token(bob.token())
                .add(&format!("bob's {round} {n}"), &key(Scenario::Good, round * 100 + n + 50))
                .await;
        }
        for _ in 0..3 {
            let (cursor, kind) = socket.event_of("1").await;
            after = Some(cursor.clone());
            got.push((cursor, kind));
        }
        drop(socket);
        if round == 3 {
            stage.crash().await;
            token.clone_from(&ada.token().to_owned());
        }
    }
    let ada = stage.nobody().with_token(&token);
    let expected = history(&ada).await;
    let mut socket = Socket::of(stage.address(), &ada).await;
    socket.follow("1", after.as_deref()).await;
    while got.len() < expected.len() {
        got.push(socket.event_of("1").await);
    }
    assert_eq!(got, expected);
    // And live again.
    ada.add("one more", &key(Scenario::Good, 999)).await;
    assert_eq!(socket.event_of("1").await.1, "KeyAdded");
    stage.close().await;
}

#[tokio::test]
async fn a_subscription_from_the_viewers_cursor_misses_nothing_and_one_without_begins_now() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let cursor =
        ada.ask("{ viewer { eventsCursor } }", json!({})).await["viewer"]["eventsCursor"].clone();
    ada.add("before", &key(Scenario::Good, 1)).await;
    let mut socket = Socket::of(stage.address(), &ada).await;
    socket.follow("from", cursor.as_str()).await;
    assert_eq!(socket.event_of("from").await.1, "KeyAdded");
    socket.follow("now", None).await;
    // Once something later on the same socket is answered, the subscription stands.
    socket.ask("q", "{ viewer { username } }", json!({})).await;
    let id = ada.add("after", &key(Scenario::Good, 2)).await;
    let mut heard = [socket.hear().await, socket.hear().await];
    heard.sort_by_key(|message| message["id"].to_string());
    assert_eq!((&heard[0]["id"], &heard[1]["id"]), (&json!("from"), &json!("now")));
    assert_eq!(heard[0]["payload"], heard[1]["payload"]);
    ada.done("deleteKey", json!({ "id": id })).await;
    stage.close().await;
}

#[tokio::test]
async fn an_event_is_whole_and_the_owners_alone() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
    let mut socket = Socket::of(stage.address(), &ada).await;
    let query = "subscription { viewerEvents(types: [\"KeyAdded\", \"KeyDeleted\"]) { cursor node { id position stream version \
        type schema at actor { userId role via } commandId correlationId causationId facts content } } }";
    socket.subscribe("1", query, json!({})).await;
    socket.ask("q", "{ viewer { username } }", json!({})).await;
    bob.add("bob's", &key(Scenario::Good, 1)).await;
    let id = ada.add("ada's", &key(Scenario::Good, 2)).await;
    ada.done("renameKey", json!({ "id": id, "name": "other" })).await;
    ada.done("deleteKey", json!({ "id": id })).await;
    let added = socket.next_of("1").await["viewerEvents"].clone();
    let whole =
        ada.ask("{ viewer { history(first: 1, types: [\"KeyAdded\"]) { edges { cursor node { ...H } } } } }", json!({})).await;
    assert_eq!(added, whole["viewer"]["history"]["edges"][0]);
    assert_eq!(added["node"]["content"]["name"], "ada's");
    assert_eq!(socket.next_of("1").await["viewerEvents"]["node"]["type"], "KeyDeleted");
    stage.close().await;
}

#[tokio::test]
async fn an_operation_that_cannot_begin_gets_a_typed_error_and_the_socket_lives_on() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let mut socket = Socket::of(stage.address(), &ada).await;
    let cases = [
        ("subscription { viewerEvents(after: \"AQ\") { cursor } }", "CURSOR_INVALID"),
        ("subscription { viewerEvents(after: \"AQAAAAAAAA__\") { cursor } }", "CURSOR_INVALID"),
        ("subscription { auditEvents { cursor } }", "FORBIDDEN"),
        ("subscription { a: viewerEvents { cursor } b: viewerEvents { cursor } }", "BAD_REQUEST"),
        (
            "subscription { ...F } fragment F on Subscription { a: viewerEvents { cursor } b: viewerEvents { cursor } }",
            "BAD_REQUEST",
        ),
        ("subscription { ...F } fragment F on Query { viewerEvents { cursor } }", "BAD_REQUEST"),
        ("subscription { nothing }", "BAD_REQUEST"),
        ("{ viewer { ", "BAD_REQUEST"),
        (
            "mutation { login(input: {usernameOrEmail: \"ada\", password: \"swordfish\"}) { accessToken } }",
            "BAD_REQUEST",
        ),
    ];
    for (query, code) in cases {
        socket.subscribe("1", query, json!({})).await;
        let message = socket.hear().await;
        assert_eq!(
            (&message["type"], &message["id"]),
            (&json!("error"), &json!("1")),
            "{query}: {message}"
        );
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{query}: {message}");
        assert!(!message.to_string().contains("swordfish"), "{message}");
    }
    assert!(socket.ask("1", "{ viewer { username } }", json!({})).await["viewer"].is_object());
    stage.close().await;
}
