//! What is particular to MongoDB: several processes, unknown commits, batches, concerns, what is
//! refused at boot.

use super::super::sqlite::append;
use super::harness::MongoHarness;
use crate::harness::mongo::{TestServer, server};
use crate::harness::stores::mongo_config;
use claviger_projections::ports::{
    Append, AppendError, ClaimChange, ClaimKind, Expected, Log, RecordChange, Rotation, RowChange,
    Rows, StoreError, StoreKeyRow, UserKeyRow, UserKeyState, UserRows, Views,
};
use claviger_store::mongo::{FORMAT, MongoConfig, MongoStore, OpenError};
use claviger_suite::FaultHooks;
use futures::future::{join, join_all};
use mongodb::bson::{Document, doc};
use mongodb::event::EventHandler;
use mongodb::event::command::{CommandEvent, CommandStartedEvent};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio_util::task::TaskTracker;

/// A harness with one open store.
async fn opened(server: &'static TestServer) -> (MongoHarness, Arc<MongoStore>) {
    let harness = MongoHarness::new(server);
    let store = harness.open().await.unwrap();
    (harness, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_in_once() {
    let Some(server) = server().await else { return };
    let (harness, store) = opened(server).await;
    for n in 0..3 {
        harness.gate.lose_answers(1);
        assert_eq!(store.append(append(n)).await.unwrap().position, n + 1);
    }
    assert_eq!(store.read(0, 10).await.unwrap().len(), 3);
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_queues_behind_a_commit_goes_into_the_next() {
    let Some(server) = server().await else { return };
    let (harness, store) = opened(server).await;
    harness.gate.park();
    let rest = async {
        harness.gate.parked().await;
        let appends = join_all((1..=300).map(|n| store.append(append(n))));
        join(appends, async { harness.gate.release() }).await.0
    };
    let (first, rest) = join(store.append(append(0)), rest).await;
    assert_eq!(first.unwrap().position, 1);
    assert!(rest.iter().all(Result::is_ok));
    // How many had queued when the next one began is the scheduler's business.
    let batches = harness.gate.batches();
    assert_eq!((batches[0], batches.iter().sum::<usize>()), (1, 301), "{batches:?}");
    assert!(batches.iter().all(|appends| *appends <= 256) && batches.len() < 100, "{batches:?}");
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_one_process_wakes_the_other() {
    let Some(server) = server().await else { return };
    let (harness, first) = opened(server).await;
    let second = harness.open().await.unwrap();
    for n in 0..3 {
        let mut woken = second.watch();
        let position = first.append(append(n)).await.unwrap().position;
        let reached = tokio::time::timeout(
            Duration::from_secs(10),
            woken.wait_for(|known| *known >= position),
        )
        .await;
        assert!(reached.is_ok(), "not woken for position {position}");
        assert_eq!(second.read(position - 1, 9).await.unwrap().len(), 1);
    }
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_processes_that_write_at_once_make_one_dense_log() {
    let Some(server) = server().await else { return };
    let harness = MongoHarness::new(server);
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(harness.open().await.unwrap());
    }
    let writers = (0..40_u64).map(|writer| {
        let store = &stores[usize::try_from(writer).unwrap() % 4];
        async move {
            for n in 0..5 {
                store.append(append(writer * 5 + n)).await.unwrap();
            }
        }
    });
    let follower = async {
        let (mut cursor, mut watch) = (0, stores[0].watch());
        while cursor < 200 {
            for event in stores[0].read(cursor, 50).await.unwrap() {
                assert_eq!(event.envelope.position, cursor + 1);
                cursor += 1;
            }
            if cursor < 200 {
                watch.wait_for(|known| *known > cursor).await.unwrap();
            }
        }
    };
    join(join_all(writers), follower).await;
    for store in &stores {
        assert_eq!(store.head().await.unwrap().position, 200);
    }
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_gone_is_never_passed_over() {
    let Some(server) = server().await else { return };
    let (harness, store) = opened(server).await;
    for n in 0..4 {
        store.append(append(n)).await.unwrap();
    }
    let events = store.database().collection::<Document>("events");
    for position in [2, 4] {
        events.delete_one(doc! { "position": position }).await.unwrap();
    }
    assert_eq!(store.read(0, 10).await, Err(StoreError::Gap { expected: 2 }));
    assert_eq!(store.read(3, 10).await, Err(StoreError::Gap { expected: 4 }));
    assert_eq!(store.read(2, 1).await.unwrap().len(), 1);
    let refused = MongoStore::open(&harness.config()).await.err().unwrap();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_format_is_refused() {
    let Some(server) = server().await else { return };
    let (harness, store) = opened(server).await;
    let newer = i64::try_from(FORMAT).unwrap() + 1;
    let meta = store.database().collection::<Document>("meta");
    meta.update_one(doc! { "_id": "store" }, doc! { "$set": { "format": newer } }).await.unwrap();
    let refused = MongoStore::open(&harness.config()).await.err().unwrap();
    assert!(matches!(refused, OpenError::Newer { found, .. } if found == FORMAT + 1), "{refused}");
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_of_another_shape_is_refused_and_left_alone() {
    let Some(server) = server().await else { return };
    for (name, key, unique) in
        [("position", "position", false), ("position", "other", true), ("theirs", "position", true)]
    {
        let harness = MongoHarness::new(server);
        let client =
            mongodb::Client::with_uri_str(server.uri_text(&harness.database)).await.unwrap();
        let database = client.database(&harness.database);
        let index = doc! { "name": name, "key": { key: 1 }, "unique": unique };
        database.run_command(doc! { "createIndexes": "events", "indexes": [index] }).await.unwrap();
        let refused = MongoStore::open(&harness.config()).await.err().unwrap();
        assert!(
            matches!(refused, OpenError::Index { collection: "events", code } if code != 0),
            "{refused:?}"
        );
        let names = database.collection::<Document>("events").list_index_names().await.unwrap();
        assert!(names.iter().any(|found| found == name), "{names:?}");
        database.drop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_store_answers_that_it_is_closed() {
    let Some(server) = server().await else { return };
    let (harness, store) = opened(server).await;
    store.append(append(0)).await.unwrap();
    store.close().await;
    assert_eq!(store.append(append(1)).await, Err(AppendError::Store(StoreError::Closed)));
    assert_eq!(store.read(0, 1).await, Err(StoreError::Closed));
    drop(harness);
}

/// A name server that knows one service: at 127.0.0.1, and at this port.
async fn name_server(port: u16) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    TaskTracker::new().spawn(async move {
        let mut question = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut question).await.unwrap();
            let question = &question[..length];
            let is_service = question[length - 3] == 33;
            let code = if is_service { 0x80 } else { 0x83 };
            let head = [&question[..2], &[0x81, code, 0, 1, 0, u8::from(is_service)], &[0; 4]];
            let mut answer = [&head.concat(), &question[12..]].concat();
            if is_service {
                answer.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 17, 0, 0, 0, 0]);
                answer.extend(port.to_be_bytes());
                answer.extend(b"\x03127\x010\x010\x011\0");
            }
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_by_name_leads_to_the_hosts_that_dns_has() {
    let Some(server) = server().await else { return };
    let name = server.database();
    let uri = server.uri_text(&name);
    let (before, rest) = uri.split_once("127.0.0.1:").expect("a server on this machine");
    let (port, rest) = rest.split_once('/').unwrap();
    let credentials = before.strip_prefix("mongodb://").unwrap();
    // Its parent domain is 0.0.1, and 127.0.0.1 is a name below that.
    let by_name = format!("mongodb+srv://{credentials}cluster.0.0.1/{rest}&tls=false");
    let nameservers = vec![name_server(port.parse().unwrap()).await];
    let config = MongoConfig { nameservers, ..mongo_config(by_name.parse().unwrap()) };
    let store = MongoStore::open(&config).await.unwrap();
    assert_eq!(store.database().name(), name);
    assert_eq!(store.append(append(0)).await.unwrap().position, 1);
    store.close().await;
    server.remove(&name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_leads_nowhere_is_refused_without_repeating_it() {
    for (uri, unreachable) in [
        ("mongodb://ada:hunter2secret@127.0.0.1:1/?serverSelectionTimeoutMS=200", true),
        ("mongodb+srv://ada:hunter2secret@db.example.org/", false),
        ("postgres://ada:hunter2secret@127.0.0.1/", false),
        ("mongodb://ada:hunter2secret@127.0.0.1:port/", false),
    ] {
        // Nobody answers there.
        let nameservers = vec!["127.0.0.1:9".parse().unwrap()];
        let config = MongoConfig { nameservers, ..mongo_config(uri.parse().unwrap()) };
        let refused = MongoStore::open(&config).await.err().unwrap();
        assert_eq!(matches!(refused, OpenError::Unreachable { .. }), unreachable, "{uri}");
        assert!(!format!("{refused} {refused:?} {config:?}").contains("hunter2"), "{refused:?}");
    }
}

/// The read and write concerns that a command must carry; a transaction carries them where it
/// begins and ends.
fn says_its_concern(event: &CommandStartedEvent) -> Result<(), String> {
    let command = &event.command;
    let durable = || {
        command
            .get_document("writeConcern")
            .is_ok_and(|concern| *concern == doc! { "w": "majority", "j": true })
    };
    let reads = |level: &str| {
        command
            .get_document("readConcern")
            .is_ok_and(|concern| concern.get_str("level").is_ok_and(|found| found == level))
    };
    let in_transaction = command.contains_key("autocommit");
    let said = match event.command_name.as_str() {
        "commitTransaction" | "abortTransaction" => durable(),
        _ if in_transaction => !command.contains_key("startTransaction") || reads("snapshot"),
        "find" | "aggregate" | "count" | "distinct" => reads("majority"),
        "insert" | "update" | "delete" | "findAndModify" | "create" | "createIndexes" => durable(),
        "hello" | "ping" | "getMore" | "killCursors" | "endSessions" | "listCollections"
        | "listIndexes" | "replSetGetConfig" | "getParameter" | "killSessions" => true,
        _ => false,
    };
    if said { Ok(()) } else { Err(format!("{}: {command}", event.command_name)) }
}

/// Everything a rotation of the master key sends.
async fn rotated(store: &MongoStore, first: &Append) {
    let owner = first.owner.unwrap();
    let key = |version, kek| UserKeyRow { owner, version, kek: [kek; 8], wrapped: vec![kek; 105] };
    let store_key =
        StoreKeyRow { kek: [1; 8], wrapped_index_key: vec![1; 105], canary: vec![1; 81] };
    assert!(store.init_store_key(store_key).await.unwrap());
    let rows = vec![RowChange::PutUserKey(key(1, 1))];
    store
        .append(Append {
            rows,
            expected: Expected::Exact(1),
            events: append(7).events,
            ..first.clone()
        })
        .await
        .unwrap();
    store.user_keys(None, None, 9).await.unwrap();
    assert!(store.rewrap_user_key(key(1, 1), key(1, 2)).await.unwrap());
    let from = store.user_rows(owner).await.unwrap().unwrap();
    let to = UserRows { key: UserKeyState { row: key(2, 2), worn: false }, ..from.clone() };
    assert!(store.rekey_user(from, to).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_carries_its_concern() {
    let Some(server) = server().await else { return };
    let harness = MongoHarness::new(server);
    let seen: Arc<Mutex<Vec<CommandStartedEvent>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let monitor = EventHandler::callback(move |event| {
        if let CommandEvent::Started(event) = event {
            kept.lock().unwrap().push(event);
        }
    });
    let store = MongoStore::open(&MongoConfig { monitor: Some(monitor), ..harness.config() })
        .await
        .unwrap();
    let first = append(0);
    let owner = first.owner.unwrap();
    let claim = ClaimChange::Take {
        kind: ClaimKind::Email,
        hash: [1; 32],
        holder: owner,
        subject: owner.0,
    };
    let record = RecordChange::Insert {
        request_hash: [1; 32],
        subject: None,
        open: false,
        expires_at: first.at,
    };
    store
        .append(Append { claims: vec![claim], record: Some(record), ..first.clone() })
        .await
        .unwrap();
    drop(store.append(append(0)).await);
    store.read(0, 9).await.unwrap();
    let page = claviger_projections::ports::Page { limit: 3, ..Default::default() };
    store.page(claviger_projections::ports::KEYS, owner, page).await.unwrap();
    store.user_keys_by_kek().await.unwrap();
    rotated(&store, &first).await;
    store
        .rotate_session(claviger_domain::id::SessionId(owner.0), 1, first.at, first.at, None)
        .await
        .unwrap();
    store.forget_records(first.at).await.unwrap();
    store.database().drop().await.unwrap();
    store.close().await;
    let seen = seen.lock().unwrap();
    let silent: Vec<_> = seen
        .iter()
        .filter(|event| event.command_name != "dropDatabase")
        .filter_map(|event| says_its_concern(event).err())
        .collect();
    assert!(silent.is_empty(), "{}", silent.join("\n"));
    assert!(seen.iter().any(|event| event.command_name == "commitTransaction"));
    let heads = seen.iter().filter(|event| event.command.contains_key("startTransaction"));
    let writes = heads.filter(|event| event.command_name == "findAndModify");
    assert!(writes.clone().count() >= 2);
    assert!(
        writes
            .into_iter()
            .all(|event| event.command.get_str("findAndModify").unwrap() == "log_head")
    );
}
