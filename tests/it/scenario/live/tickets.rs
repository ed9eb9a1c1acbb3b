//! Event streams of clients that can't send a header.

use super::streams::{FOLLOW, Stream, get};
use crate::harness::client::Client;
use crate::harness::stores::StoreKind;
use crate::scenario::stage::Stage;
use claviger::simulator::keys::{Scenario, key};
use serde_json::json;

async fn ticket(stage: &Stage, client: &Client) -> String {
    let made = client.ask("mutation { createStreamTicket { ticket expiresAt } }", json!({})).await
        ["createStreamTicket"]
        .clone();
    assert_eq!(made["expiresAt"], json!(stage.in_ms(30_000)));
    made["ticket"].as_str().unwrap().to_owned()
}

async fn open(stage: &Stage, ticket: &str, last_event_id: Option<&str>) -> reqwest::Response {
    let headers: Vec<_> = last_event_id.map(|id| ("last-event-id", id)).into_iter().collect();
    get(stage, &[("query", FOLLOW), ("ticket", ticket)], &headers).await
}

#[tokio::test]
async fn a_ticket_opens_a_stream_and_reopens_it_with_an_id_of_its_own() {
    let mut stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let ticket = ticket(&stage, &ada).await;
    let mut first = Stream::of(open(&stage, &ticket, None).await);
    let begun = first.event().await.unwrap();
    assert_eq!((begun.kind.as_str(), begun.data.as_str()), ("open", "{}"));
    // Cut before the first event: nothing is lost.
    ada.add("one", &key(Scenario::Good, 1)).await;
    let mut second = Stream::of(open(&stage, &ticket, Some(&begun.id)).await);
    assert_eq!(second.event().await.unwrap().kind, "open");
    let (id, kind) = second.item().await;
    assert_eq!(kind, "KeyAdded");
    // The first was ended by the second; it may have had the event before.
    while let Some(event) = first.event().await {
        assert_eq!(event.kind, "next", "{event:?}");
    }
    // Long after the first use, and on another server on the same store.
    stage.advance_ms(3_600_000);
    stage.crash().await;
    let mut third = Stream::of(open(&stage, &ticket, Some(&id)).await);
    assert_eq!(third.event().await.unwrap().kind, "open");
    stage.close().await;
}

#[tokio::test]
async fn a_ticket_alone_serves_once_and_not_for_long() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let (used, late) = (ticket(&stage, &ada).await, ticket(&stage, &ada).await);
    let mut stream = Stream::of(open(&stage, &used, None).await);
    let id = stream.event().await.unwrap().id;
    assert_eq!(open(&stage, &used, None).await.status(), 401, "used");
    let cursor = id.split('.').next().unwrap();
    let foreign = format!("{cursor}.{}", "A".repeat(22));
    for guess in [cursor, &foreign, "x"] {
        assert_eq!(
            open(&stage, &used, Some(guess)).await.status(),
            401,
            "an id that was not sent: {guess}"
        );
    }
    assert_eq!(
        open(&stage, &late, Some(&id)).await.status(),
        401,
        "an id of another ticket's stream"
    );
    stage.advance_ms(30_000);
    assert_eq!(open(&stage, &late, None).await.status(), 401, "late");
    assert_eq!(open(&stage, "nonsense", None).await.status(), 401);
    let query = [("query", "{ viewer { username } }"), ("ticket", used.as_str())];
    assert_eq!(
        get(&stage, &query, &[("last-event-id", &id)]).await.status(),
        403,
        "for subscriptions only"
    );
    stage.close().await;
}

#[tokio::test]
async fn a_ticket_ends_with_its_session() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let ticket = ticket(&stage, &ada).await;
    let mut stream = Stream::of(open(&stage, &ticket, None).await);
    let id = stream.event().await.unwrap().id;
    ada.done("logout", json!({})).await;
    while let Some(event) = stream.event().await {
        assert_eq!(event.kind, "next", "{event:?}");
    }
    assert_eq!(open(&stage, &ticket, Some(&id)).await.status(), 401);
    stage.close().await;
}
