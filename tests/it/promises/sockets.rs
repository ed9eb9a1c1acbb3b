//! What sockets, subscriptions and bodies may hold, in bytes.

use crate::harness::bent::{Answer, Bent, Over};
use crate::harness::client::Client;
use crate::harness::process::{Duty, Process};
use crate::harness::runs::line;
use crate::harness::socket::{Socket, soon, until};
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::app::config::Config;
use claviger::limits::MemorySettings;
use claviger::simulator::keys::{Scenario, key};
use claviger_application::ids::{IdKind, decode_as};
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::{ControlRequest, RunEvent};
use claviger_projections::feed::Topic;
use claviger_projections::ports::{DeltaRow, Store};
use claviger_projections::run_feed::Body;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

const EVENTS: &str = "subscription($t: [String!]) { viewerEvents(types: $t) { cursor } }";

/// A short text that keeps about 400 kB once it is parsed.
fn large() -> String {
    format!("subscription {{ viewerEvents {{ node {{ {} }} }} }}", "id ".repeat(1_800))
}

/// A server with another configuration, and a user.
async fn world(change: impl FnOnce(&mut Config)) -> (World, Process, Client) {
    let mut world = World::open(StoreKind::Sqlite).await;
    world.config.live.closing = Duration::from_millis(200);
    world.config.drain_ms = 200;
    change(&mut world.config);
    let server = world.serve().await;
    let ada = Client::register(&format!("http://{}", server.address()), "ada").await;
    (world, server, ada)
}

async fn close(world: World, server: Process) {
    server.stop().await;
    world.close().await;
}

/// A run that goes on, with a task of this size; its id.
async fn hanging_run(ada: &Client, task: usize) -> String {
    ada.add("work", &key(Scenario::Hang, 1)).await;
    let key = ada.ask("{ viewer { keys { nodes { id } } } }", json!({})).await;
    let key = key["viewer"]["keys"]["nodes"][0]["id"].clone();
    let agents = json!([{ "name": "Ann", "systemPrompt": "You are Ann." }]);
    let pattern = json!({ "sequential": { "task": "x".repeat(task), "agents": agents } });
    let payload = ada.done("startOrchestration", json!({ "pattern": pattern, "keyId": key })).await;
    payload["orchestration"]["id"].as_str().unwrap().to_owned()
}

fn code(message: &Value) -> &str {
    message["payload"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn what_the_operations_of_a_socket_keep_is_bounded_in_bytes_and_the_socket_goes_on() {
    let (world, server, ada) = world(|_| {}).await;
    let mut socket = Socket::of(server.address(), &ada).await;
    let before = server.memory.streams.in_use();
    // The review's hundred subscriptions, and the largest ones that a document can make.
    let flood = json!({ "t": vec!["01234567890123456789"; 36_000] });
    socket.subscribe("flood", EVENTS, flood).await;
    let refused = socket.hear().await;
    assert_eq!((refused["type"].as_str(), code(&refused)), (Some("error"), "VALIDATION"));
    for n in 0..100 {
        socket.subscribe(&format!("large{n}"), &large(), json!({})).await;
    }
    let mut refused = 0;
    socket.subscribe("last", "{ __typename }", json!({})).await;
    loop {
        let message = socket.hear().await;
        if message["id"] == "last" {
            assert_eq!(message["type"], "next", "it keeps little");
            assert_eq!(socket.hear().await["type"], "complete");
            break;
        }
        assert_eq!((message["type"].as_str(), code(&message)), (Some("error"), "LIMIT_EXCEEDED"));
        refused += 1;
    }
    let held = server.memory.streams.in_use() - before;
    assert!(refused > 80 && held < 16 * MIB && held > 2 * MIB, "{refused} refused, {held} held");
    socket.complete("large0").await;
    assert_eq!(
        socket.first_of("next", "{ __typename }").await["type"],
        "next",
        "the socket goes on"
    );
    drop(socket);
    until(|| server.memory.streams.in_use() == 0).await;
    close(world, server).await;
}

#[tokio::test]
async fn subscriptions_have_bounds_for_a_user_and_for_the_process() {
    let (world, server, ada) = world(|config| {
        config.live.memory = MemorySettings { in_all: 900 * KIB, of_one: 700 * KIB };
    })
    .await;
    let bob = Client::register(ada.url(), "bob").await;
    let large = large();
    let (mut ada, mut bob) =
        (Socket::of(server.address(), &ada).await, Socket::of(server.address(), &bob).await);
    // One fits in each share, and the second one in neither.
    ada.subscribe("1", &large, json!({})).await;
    ada.subscribe("2", &large, json!({})).await;
    let refused = ada.hear().await;
    assert_eq!((refused["id"].as_str(), code(&refused)), (Some("2"), "LIMIT_EXCEEDED"));
    bob.subscribe("1", &large, json!({})).await;
    let refused = bob.hear().await;
    assert_eq!((refused["id"].as_str(), code(&refused)), (Some("1"), "RATE_LIMITED"));
    assert_eq!(refused["payload"][0]["extensions"]["retryAfterMs"], 1_000);
    // Small ones still fit.
    assert_eq!(bob.first_of("2", "{ __typename }").await["type"], "next");
    ada.complete("1").await;
    assert_eq!(ada.first_of("3", "{ __typename }").await["type"], "next");
    bob.subscribe("3", &large, json!({})).await;
    assert_eq!(bob.first_of("4", "{ __typename }").await["id"], "4", "there is room again");
    drop((ada, bob));
    until(|| server.memory.streams.in_use() == 0).await;
    close(world, server).await;
}

#[tokio::test]
async fn a_client_that_has_not_signed_in_sends_at_most_64_kib() {
    let (world, server, ada) = world(|_| {}).await;
    let padded = |bytes: usize| json!({ "type": "ping", "payload": { "a": "x".repeat(bytes) } });
    let mut socket = Socket::open(server.address()).await;
    socket.say(&padded(64 * KIB)).await;
    assert_eq!(socket.closed().await, 4400);
    // The announcement is enough.
    let mut socket = Socket::open(server.address()).await;
    socket.send_raw(&[&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1][..], &[0; 4]].concat()).await;
    assert_eq!(socket.closed().await, 4400);
    let mut socket = Socket::open(server.address()).await;
    socket.say(&padded(60 * KIB)).await;
    assert_eq!(socket.hear().await["type"], "pong");
    socket.init(&ada).await;
    for bytes in [900 * KIB, 70 * KIB, 10, 1000 * KIB] {
        socket.say(&padded(bytes)).await;
        assert_eq!(socket.hear().await["type"], "pong");
        until(|| server.memory.streams.in_use() == 0).await;
    }
    // In pieces, with other frames in between.
    let text = padded(300 * KIB).to_string();
    let pieces: Vec<_> = text.as_bytes().chunks(100 * KIB).collect();
    for (n, piece) in pieces.iter().enumerate() {
        socket.send_frame(n == 0, n + 1 == pieces.len(), piece).await;
        socket.send_raw(&[0x89, 0x80, 0, 0, 0, 0]).await;
    }
    assert_eq!(socket.hear().await["type"], "pong");
    until(|| server.memory.streams.in_use() == 0).await;
    socket.send_frame(true, false, &vec![b' '; 700 * KIB]).await;
    socket.send_frame(false, true, &vec![b' '; 400 * KIB]).await;
    assert_eq!(socket.closed().await, 4400, "1 MiB is the bound of a message, not of a frame");
    close(world, server).await;
}

#[tokio::test]
async fn half_sent_messages_of_clients_that_have_not_signed_in_share_a_bound() {
    let (world, server, ada) = world(|config| {
        config.live.init_timeout = Duration::from_mins(1);
        // A quarter of it is there for sockets beside the requests: 256 KiB for one address.
        config.request_memory = MemorySettings { in_all: 4 * MIB, of_one: MIB };
    })
    .await;
    let early = &server.memory.early;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut socket = Socket::open(server.address()).await;
        socket.send_half(60 * KIB).await;
        sockets.push(socket);
        let held = sockets.len() * 60 * KIB;
        until(|| early.in_use() == held).await;
    }
    // The reserve is for small messages, not for the first bytes of large ones.
    for _ in 0..20 {
        let mut socket = Socket::open(server.address()).await;
        socket.announce(60 * KIB).await;
        assert_eq!(socket.closed().await, 1013);
    }
    until(|| early.in_use() == 3 * 60 * KIB).await;
    assert_eq!(server.memory.requests.in_use(), 0);
    let mut fourth = Socket::open(server.address()).await;
    fourth.send_half(60 * KIB).await;
    assert_eq!(fourth.closed().await, 1013);
    // Who signs in needs little, and pays as a user from then on.
    let mut user = Socket::of(server.address(), &ada).await;
    user.say(&json!({ "type": "ping", "payload": { "a": "x".repeat(300 * KIB) } })).await;
    assert_eq!(user.hear().await["type"], "pong");
    until(|| early.in_use() == 3 * 60 * KIB).await;
    drop((sockets, user));
    until(|| early.in_use() == 0).await;
    close(world, server).await;
}

#[tokio::test]
async fn a_refused_socket_gives_its_memory_back_although_its_client_does_nothing() {
    let (world, server, _) = world(|config| {
        config.live.init_timeout = Duration::from_mins(5);
        config.live.closing = Duration::from_mins(5);
    })
    .await;
    let early = &server.memory.early;
    let mut socket = Socket::open(server.address()).await;
    socket.send_frame(true, false, &vec![b' '; 30 * KIB]).await;
    until(|| early.in_use() == 30 * KIB).await;
    // Two pieces are too much together.
    socket.send_raw(&[&[0x80, 0xff][..], &(40 * KIB as u64).to_be_bytes(), &[0; 4]].concat()).await;
    // All but the close frame.
    until(|| early.in_use() < 128).await;
    assert_eq!(socket.closed().await, 4400);
    server.stop().await;
    world.close().await;
}

/// Sends the head of a POST that announces 1 MiB, and this much of its body.
async fn slow_body(server: &Process, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                accept: application/graphql-response+json\r\ncontent-length: 1048576\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; bytes]).await.unwrap();
    stream
}

/// The head of the answer.
async fn head(mut stream: TcpStream) -> String {
    let (mut text, mut some) = (String::new(), [0; 4096]);
    while !text.contains("\r\n\r\n") {
        let read = soon(stream.read(&mut some)).await.unwrap();
        assert!(read > 0, "the connection ended: {text}");
        text.push_str(&String::from_utf8_lossy(&some[..read]));
    }
    text.to_lowercase()
}

#[tokio::test]
async fn slow_bodies_share_a_bound_and_ordinary_requests_are_served() {
    for (in_all, of_one, status) in [(8 * MIB, 2 * MIB, "429"), (2 * MIB, 8 * MIB, "503")] {
        let (world, server, ada) = world(|config| {
            config.request_memory = MemorySettings { in_all, of_one };
        })
        .await;
        let requests = &server.memory.requests;
        let (mut slow, mut refused) = (Vec::new(), None);
        while refused.is_none() {
            let before = requests.in_use();
            let stream = slow_body(&server, 300 * KIB).await;
            let mut byte = [0];
            tokio::select! {
                _ = stream.peek(&mut byte) => refused = Some(stream),
                () = until(|| requests.in_use() >= before + 300 * KIB) => slow.push(stream),
            }
            assert!(requests.in_use() <= 2 * MIB, "{} bytes are held", requests.in_use());
        }
        let head = head(refused.unwrap()).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
        assert!(
            head.contains("retry-after: 1\r\n") && head.contains("connection: close"),
            "{head}"
        );
        assert!(slow.len() >= 2, "{}", slow.len());
        let beginning = self::head(slow_body(&server, 10 * KIB).await).await;
        assert!(beginning.starts_with(&format!("http/1.1 {status}")), "{beginning}");
        assert_eq!(ada.send("{ viewer { id } }", json!({})).await.status, 200);
        let large = format!("{{ viewer {{ id }} }} # {}", "x".repeat(900 * KIB));
        let answer = ada.send(&large, json!({})).await;
        assert_eq!(
            (answer.status.to_string().as_str(), answer.code().as_str()),
            (status, "RATE_LIMITED")
        );
        drop(slow);
        until(|| requests.in_use() == 0).await;
        assert_eq!(ada.send(&large, json!({})).await.status, 200);
        close(world, server).await;
    }
}

#[tokio::test]
async fn a_small_text_does_not_become_many_values() {
    let (world, server, ada) = world(|_| {}).await;
    let body = format!(
        "{{\"query\":\"{{__typename}}\",\"variables\":{{\"a\":[{}1]}}}}",
        "1,".repeat(400_000)
    );
    let answer = ada.post(body.clone(), "application/json").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "LIMIT_EXCEEDED"), "{}", answer.text);
    let text = json!({ "query": "{ __typename }", "variables": { "a": ",[{".repeat(100_000) } });
    assert_eq!(ada.post(text.to_string(), "application/json").await.status, 200, "in a text");
    let mut socket = Socket::of(server.address(), &ada).await;
    socket.send_frame(true, true, body.as_bytes()).await;
    assert_eq!(socket.closed().await, 4400);
    close(world, server).await;
}

/// Everything of a run, thirty times its task.
fn heavy() -> String {
    let inputs: Vec<String> = (0..30).map(|n| format!("i{n}: input")).collect();
    let inputs = inputs.join(" ");
    format!(
        "subscription($id: ID!) {{ orchestration(id: $id) {{ ... on Snapshot {{ orchestration {{ {inputs} }} }} }} }}"
    )
}

#[tokio::test]
async fn an_answer_that_has_no_room_ends_its_operation_and_not_the_socket() {
    let (world, server, ada) = world(|config| {
        config.live.memory = MemorySettings { in_all: 64 * MIB, of_one: 6 * MIB };
    })
    .await;
    let id = hanging_run(&ada, 250_000).await;
    let mut socket = Socket::of(server.address(), &ada).await;
    socket.subscribe("heavy", &heavy(), json!({ "id": id })).await;
    let refused = socket.hear().await;
    assert_eq!((refused["type"].as_str(), code(&refused)), (Some("error"), "LIMIT_EXCEEDED"));
    assert_eq!(socket.first_of("1", "{ __typename }").await["type"], "next");
    let light = "subscription($id: ID!) { orchestration(id: $id) { __typename ... on Snapshot { orchestration { input } } } }";
    socket.subscribe("light", light, json!({ "id": id })).await;
    assert_eq!(socket.hear().await["type"], "next");
    drop(socket);
    until(|| server.memory.streams.in_use() == 0).await;
    close(world, server).await;
}

#[tokio::test]
async fn an_event_stream_ends_with_its_session_while_a_frame_waits() {
    let (world, server, ada) = world(|config| {
        config.live.heartbeat = Duration::from_millis(5);
        config.live.max_waiting_bytes = 1;
        config.live.stall = Duration::from_mins(5);
    })
    .await;
    let id = hanging_run(&ada, 250_000).await;
    let viewer = ada.ask("{ viewer { id } }", json!({})).await["viewer"]["id"].clone();
    let user = UserId(decode_as(IdKind::User, viewer.as_str().unwrap()).unwrap());
    let listens = || !server.hub.listened([Topic::Owner(user)]).is_empty();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let body = json!({ "query": heavy(), "variables": { "id": id } }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\naccept: text/event-stream\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        ada.token(),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The client reads nothing: first the large frame waits, then heartbeats, until one has no room.
    until(|| server.memory.streams.in_use() > 7 * MIB).await;
    let (mut before, mut same) = (0, 0);
    let mut beats = tokio::time::interval(Duration::from_millis(5));
    while same < 6 {
        beats.tick().await;
        let now = server.memory.streams.in_use();
        same = if now == before { same + 1 } else { 0 };
        before = now;
    }
    assert!(listens());
    let answer = ada.send_mutation("logout", json!({})).await;
    assert_eq!(answer.code(), "", "{}", answer.text);
    until(|| !listens()).await;
    drop(stream);
    until(|| server.memory.streams.in_use() == 0).await;
    close(world, server).await;
}

/// A store that counts the reads of runs' text.
struct Counting {
    store: Arc<dyn Store>,
    texts: AtomicU64,
}

impl Bent for Counting {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.store
    }

    fn deltas(&self, run: RunId, after: (u64, u64), limit: usize) -> Answer<'_, Vec<DeltaRow>> {
        self.texts.fetch_add(1, Relaxed);
        self.store.deltas(run, after, limit)
    }
}

#[tokio::test]
async fn a_run_is_folded_and_read_once_for_all_who_follow_it() {
    let world = World::open(StoreKind::Sqlite).await;
    let opened = world.open_store().await;
    let counting = Arc::new(Counting { store: opened.store(), texts: AtomicU64::new(0) });
    // Two processes on one store, as on MongoDB: one works, the other has the subscribers.
    let worker = world.process_over(opened.store(), Duty::Runs).await;
    let process = world.process_over(Over::store(&counting), Duty::Nothing).await;
    let ada = worker.user("ada", Scenario::Hang).await;
    let run = worker.start_run(&ada, line(&"x".repeat(200_000), ["Ann"])).await;
    worker.until(&ada, run, is_running).await;
    let streams = &process.memory.streams;
    let mut followers = Vec::new();
    for n in 0..20 {
        let mut messages = process.messages(&ada, run, None).await;
        let first = messages.next().await.unwrap().unwrap();
        assert!(matches!(first.body, Body::Snapshot { .. }), "{n}");
        // The message is shown; then there is nothing more.
        assert!(messages.next().now_or_never().is_none());
        followers.push(messages);
    }
    let held = streams.in_use();
    assert!(held > 200_000 && held < 2 * 400_000, "{held} bytes for 20 subscribers");
    // Each arrival reads once. From then on one reader looks, seldom where nothing comes.
    let before = counting.texts.load(Relaxed);
    assert!(before <= 4 * 20, "{before} reads");
    let began = Instant::now();
    until(|| counting.texts.load(Relaxed) >= before + 3).await;
    assert!(began.elapsed() >= Duration::from_millis(500), "three looks in {:?}", began.elapsed());
    // Everybody gets what comes.
    worker.ask(&ada, run, ControlRequest::Cancel).await.unwrap();
    for messages in &mut followers {
        let last = soon(async {
            while let Some(message) = messages.next().await {
                if let Body::Terminal(view) = message.unwrap().body {
                    return view;
                }
            }
            panic!("no end")
        });
        assert!(last.await.run.phase.is_final());
    }
    drop(followers);
    until(|| streams.in_use() == 0).await;
    process.stop().await;
    worker.stop().await;
    opened.close().await;
    world.close().await;
}

/// Whether an attempt is running.
fn is_running(body: &Body) -> bool {
    match body {
        Body::Snapshot { view, .. } => view.run.running().next().is_some(),
        Body::Event { event, .. } => matches!(event.event, RunEvent::StepAttemptStarted(_)),
        Body::Delta(_) | Body::AttemptSuperseded { .. } | Body::Gap(_) | Body::Terminal(_) => false,
    }
}
