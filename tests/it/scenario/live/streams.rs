//! Event streams with a token in the header.

use crate::harness::client::{Client, plain};
use crate::harness::socket::{PATIENCE, soon};
use crate::harness::stores::StoreKind;
use crate::scenario::stage::Stage;
use claviger::simulator::keys::{Scenario, key};
use serde_json::{Value, json};
use std::time::Duration;

/// One event, or a comment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) data: String,
}

/// An event stream, read as it comes.
pub(super) struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    pub(super) fn of(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        Self { response, text: String::new() }
    }

    /// The next block, `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = soon(self.response.chunk()).await.expect("the stream ends in order")?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event, comments passed over; `None` at the end.
    pub(super) async fn event(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            let mut event = Event::default();
            for line in block.lines().filter(|line| !line.starts_with(':')) {
                let (name, value) = line.split_once(':').unwrap();
                let field = match name {
                    "event" => &mut event.kind,
                    "id" => &mut event.id,
                    "data" => &mut event.data,
                    other => panic!("a field {other}"),
                };
                value.trim_start().clone_into(field);
            }
            if event != Event::default() {
                return Some(event);
            }
        }
    }

    /// The next item: its id and the type of its event.
    pub(super) async fn item(&mut self) -> (String, String) {
        let event = self.event().await.expect("an item");
        assert_eq!(event.kind, "next", "{event:?}");
        let data: Value = serde_json::from_str(&event.data).unwrap();
        (event.id, data["data"]["viewerEvents"]["node"]["type"].as_str().unwrap().to_owned())
    }
}

pub(super) const FOLLOW: &str =
    "subscription($after: Cursor) { viewerEvents(after: $after) { node { type } } }";

fn http() -> reqwest::Client {
    plain().timeout(PATIENCE * 2).build().unwrap()
}

/// A GET, as `EventSource` does it.
pub(super) async fn get(
    stage: &Stage,
    query: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> reqwest::Response {
    let mut url = reqwest::Url::parse(&format!("http://{}/graphql", stage.address())).unwrap();
    url.query_pairs_mut().extend_pairs(query);
    let request = http().get(url).header("accept", "text/event-stream");
    headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value))
        .send()
        .await
        .unwrap()
}

pub(super) async fn post(
    stage: &Stage,
    client: &Client,
    body: Value,
    headers: &[(&str, &str)],
) -> reqwest::Response {
    let request = http()
        .post(format!("http://{}/graphql", stage.address()))
        .header("accept", "text/event-stream")
        .header("content-type", "application/json")
        .bearer_auth(client.token())
        .body(body.to_string());
    headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value))
        .send()
        .await
        .unwrap()
}

async fn follow(
    stage: &Stage,
    client: &Client,
    after: Option<&str>,
    last_event_id: Option<&str>,
) -> Stream {
    let headers: Vec<_> = last_event_id.map(|id| ("last-event-id", id)).into_iter().collect();
    Stream::of(
        post(stage, client, json!({ "query": FOLLOW, "variables": { "after": after } }), &headers)
            .await,
    )
}

#[tokio::test]
async fn a_stream_goes_on_from_its_last_event_id_which_wins_over_after() {
    let mut stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let start = "AQAAAAAAAAAA";
    let mut stream = follow(&stage, &ada, Some(start), None).await;
    assert_eq!(stream.item().await, ("AQAAAAAAAAAB".to_owned(), "AccountRegistered".to_owned()));
    drop(stream);
    let mut stream = follow(&stage, &ada, Some(start), Some("AQAAAAAAAAAB")).await;
    assert_eq!(stream.item().await.1, "SignedIn");
    ada.add("live", &key(Scenario::Good, 1)).await;
    let (id, kind) = stream.item().await;
    assert_eq!(kind, "KeyAdded");
    drop(stream);
    ada.add("missed", &key(Scenario::Good, 2)).await;
    stage.crash().await;
    let ada = stage.nobody().with_token(ada.token());
    let mut stream = follow(&stage, &ada, Some(start), Some(&id)).await;
    // The default of the first key came with it, in the same commit or not at all.
    assert_eq!(stream.item().await.1, "KeyAdded");
    stage.close().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_session_and_with_the_server_but_never_completes() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
    let (mut of_ada, mut of_bob) =
        (follow(&stage, &ada, None, None).await, follow(&stage, &bob, None, None).await);
    ada.done("logout", json!({})).await;
    // The last event of a stream may be the cause of its end.
    while let Some(event) = of_ada.event().await {
        assert_eq!(event.kind, "next", "{event:?}");
    }
    stage.begin_to_stop();
    assert_eq!(of_bob.event().await, None);
    stage.close().await;
}

#[tokio::test]
async fn a_stream_ends_when_its_token_expires() {
    let change = |config: &mut claviger::app::config::Config| {
        config.live.heartbeat = Duration::from_millis(5);
    };
    let stage = Stage::with(StoreKind::Sqlite, change).await;
    let ada = stage.user("ada").await;
    let mut stream = follow(&stage, &ada, None, None).await;
    assert!(stream.block().await.unwrap().starts_with(':'), "it is there");
    stage.advance_ms(15 * 60_000);
    assert_eq!(stream.event().await, None);
    stage.close().await;
}

#[tokio::test]
async fn queries_come_as_one_item_and_what_cannot_begin_as_a_status() {
    let stage = Stage::open(StoreKind::Sqlite).await;
    let ada = stage.user("ada").await;
    let mut stream =
        Stream::of(post(&stage, &ada, json!({ "query": "{ viewer { username } }" }), &[]).await);
    let (item, end) = (stream.event().await.unwrap(), stream.event().await.unwrap());
    assert_eq!(
        (item.kind.as_str(), item.data.as_str()),
        ("next", r#"{"data":{"viewer":{"username":"ada"}}}"#)
    );
    assert_eq!((end.kind.as_str(), end.data.as_str()), ("complete", ""));
    assert_eq!(stream.event().await, None);
    let refused = [
        ("subscription { viewerEvents(after: \"AQ\") { cursor } }", 400, "CURSOR_INVALID"),
        ("subscription { auditEvents { cursor } }", 403, "FORBIDDEN"),
        ("subscription { nothing }", 400, "BAD_REQUEST"),
        ("{", 400, "BAD_REQUEST"),
    ];
    for (query, status, code) in refused {
        let response = post(&stage, &ada, json!({ "query": query }), &[]).await;
        assert_eq!(response.status(), status, "{query}");
        let json: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(json["errors"][0]["extensions"]["code"], code, "{json}");
    }
    assert_eq!(
        post(&stage, &ada, json!({ "query": FOLLOW }), &[("last-event-id", "AQ")]).await.status(),
        400
    );
    assert_eq!(get(&stage, &[("query", FOLLOW)], &[]).await.status(), 401);
    let mutation = "mutation { createStreamTicket { ticket } }";
    assert_eq!(get(&stage, &[("query", mutation)], &[]).await.status(), 405);
    stage.close().await;
}

#[tokio::test]
async fn streams_of_one_user_are_bounded() {
    let stage = Stage::with(StoreKind::Sqlite, |config| config.live.max_per_user = 1).await;
    let ada = stage.user("ada").await;
    let _stream = follow(&stage, &ada, None, None).await;
    let refused = post(&stage, &ada, json!({ "query": FOLLOW }), &[]).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.text().await.unwrap().contains("LIMIT_EXCEEDED"));
    stage.close().await;
}
