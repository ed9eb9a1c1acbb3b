//! A stream ticket is worth nothing after its first use.

use crate::harness::client::{Client, plain};
use crate::harness::process::Process;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use serde_json::json;
use std::time::Duration;

/// The streams of one user that may be open at once.
const SEATS: usize = 2;

async fn serve(kind: StoreKind) -> (World, Process, Client) {
    let mut world = World::open(kind).await;
    world.config.live.max_per_user = SEATS;
    let server = world.serve().await;
    let ada = Client::register(&format!("http://{}", server.address()), "ada").await;
    (world, server, ada)
}

async fn ticket(ada: &Client) -> String {
    let made = ada.ask("mutation { createStreamTicket { ticket } }", json!({})).await;
    made["createStreamTicket"]["ticket"].as_str().unwrap().to_owned()
}

async fn open(url: &str, ticket: &str, last_event_id: Option<&str>) -> reqwest::Response {
    let http = plain().timeout(Duration::from_mins(1)).build().unwrap();
    let query = [("query", "subscription { viewerEvents { cursor } }"), ("ticket", ticket)];
    let url = reqwest::Url::parse_with_params(&format!("{url}/graphql"), query).unwrap();
    let mut request = http.get(url).header("accept", "text/event-stream");
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    request.send().await.unwrap()
}

/// The id of the event by which a stream opens.
async fn id(stream: &mut reqwest::Response) -> String {
    assert_eq!(stream.status(), 200);
    let mut text = String::new();
    loop {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
        let id = text.lines().find_map(|line| line.strip_prefix("id: "));
        if let Some(id) = id.filter(|_| text.contains("\n\n")) {
            return id.to_owned();
        }
    }
}

/// The status once the user has a seat again: the end of a stream frees it a moment later.
async fn seated(url: &str, ticket: &str) -> u16 {
    loop {
        let status = open(url, ticket, None).await.status().as_u16();
        if status != 429 {
            return status;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_ticket_opens_no_second_stream_after_its_first_has_ended() {
    for kind in StoreKind::available().await {
        let (world, server, ada) = serve(*kind).await;
        let used = ticket(&ada).await;
        let mut first = open(ada.url(), &used, None).await;
        let resume = id(&mut first).await;
        assert_eq!(open(ada.url(), &used, None).await.status(), 401, "while it is open");
        drop(first);
        // A second stream, opened and closed with another ticket, shows that ends are noticed.
        for _ in 0..3 {
            assert_eq!(seated(ada.url(), &ticket(&ada).await).await, 200);
            assert_eq!(seated(ada.url(), &used).await, 401, "after its end");
        }
        server.stop().await;
        let server = world.serve().await;
        let url = format!("http://{}", server.address());
        assert_eq!(open(&url, &used, None).await.status(), 401, "after a restart");
        let mut again = open(&url, &used, Some(&resume)).await;
        id(&mut again).await;
        drop(again);
        assert_eq!(seated(&url, &used).await, 401, "after it was resumed");
        server.stop().await;
        world.close().await;
    }
}

#[tokio::test]
async fn another_process_on_the_store_knows_the_ticket() {
    for kind in StoreKind::available().await.iter().filter(|kind| **kind != StoreKind::Sqlite) {
        let (world, server, ada) = serve(*kind).await;
        let other = world.serve().await;
        let url = format!("http://{}", other.address());
        let used = ticket(&ada).await;
        let mut first = open(ada.url(), &used, None).await;
        id(&mut first).await;
        assert_eq!(open(&url, &used, None).await.status(), 401);
        other.stop().await;
        server.stop().await;
        world.close().await;
    }
}

#[tokio::test]
async fn a_ticket_that_found_no_seat_is_not_spent() {
    let (world, server, ada) = serve(StoreKind::Sqlite).await;
    let mut streams = Vec::new();
    for _ in 0..SEATS {
        let mut stream = open(ada.url(), &ticket(&ada).await, None).await;
        id(&mut stream).await;
        streams.push(stream);
    }
    let late = ticket(&ada).await;
    assert_eq!(open(ada.url(), &late, None).await.status(), 429);
    drop(streams);
    assert_eq!(seated(ada.url(), &late).await, 200);
    assert_eq!(seated(ada.url(), &late).await, 401);
    server.stop().await;
    world.close().await;
}

#[tokio::test]
async fn of_many_at_once_one_gets_the_stream() {
    let (world, server, ada) = serve(StoreKind::Sqlite).await;
    let shared = ticket(&ada).await;
    let all = (0..8).map(|_| open(ada.url(), &shared, None));
    let answers = futures::future::join_all(all).await;
    let opened = answers.iter().filter(|answer| answer.status() == 200).count();
    let refused = |status: u16| status == 401 || status == 429;
    let others = answers.iter().filter(|answer| refused(answer.status().as_u16())).count();
    assert_eq!((opened, others), (1, 7));
    drop(answers);
    server.stop().await;
    world.close().await;
}
