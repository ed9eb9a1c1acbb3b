//! A process stops inside its transaction and holds the head. The others end its session; when it
//! wakes it loses and doubles nothing.

use super::super::sqlite::append;
use super::failures::has_exactly;
use super::gate::Gate;
use super::harness::MongoHarness;
use crate::harness::mongo::server;
use claviger_projections::ports::Log;
use claviger_store::mongo::{MongoConfig, MongoStore};
use claviger_suite::FaultHooks;
use futures::future::join;
use mongodb::bson::{Document, doc};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Renewed rarely enough that a test may shorten it.
const LONG: Duration = Duration::from_mins(10);

/// What a store sent of the commands that matter here.
#[derive(Clone, Default)]
struct Sent {
    /// `lsid`s of `killSessions`.
    killed: Vec<Document>,
    /// How often it looked for processes.
    looks: usize,
}

fn watched() -> (watch::Receiver<Sent>, EventHandler<CommandEvent>) {
    let (sender, receiver) = watch::channel(Sent::default());
    let monitor = EventHandler::callback(move |event| {
        let CommandEvent::Started(event) = event else { return };
        sender.send_modify(|sent| {
            sent.looks +=
                usize::from(event.command.get_str("find").is_ok_and(|found| found == "processes"));
            let lsids = event.command.get_array("killSessions").into_iter().flatten();
            sent.killed.extend(lsids.filter_map(|lsid| lsid.as_document().cloned()));
        });
    });
    (receiver, monitor)
}

/// Two processes on one database; the first holds the head, and the second wants it.
struct Stage {
    harness: MongoHarness,
    holder: Arc<MongoStore>,
    other: MongoStore,
    sent: watch::Receiver<Sent>,
}

impl Stage {
    async fn new() -> Option<Self> {
        let harness = MongoHarness::new(server().await?);
        let holder =
            MongoStore::open(&MongoConfig { lease: LONG, answer_within: LONG, ..harness.config() })
                .await
                .unwrap();
        let (sent, monitor) = watched();
        let faults = Arc::new(Gate::default());
        let config = MongoConfig { faults, monitor: Some(monitor), ..harness.config() };
        let other = MongoStore::open(&config).await.unwrap();
        Some(Self { harness, holder: Arc::new(holder), other, sent })
    }

    /// Those that are believed alive, and those that aren't.
    async fn lines(&self) -> Vec<Document> {
        use futures::TryStreamExt;
        let processes = self.other.database().collection::<Document>("processes");
        processes
            .find(doc! {})
            .sort(doc! { "until": 1 })
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap()
    }

    async fn end(self) {
        self.holder.close().await;
        assert_eq!(self.lines().await.len(), 1, "a process that ended leaves no line");
        self.other.close().await;
        let client =
            mongodb::Client::with_uri_str(server().await.unwrap().uri_text(&self.harness.database))
                .await
                .unwrap();
        let processes = client.database(&self.harness.database).collection::<Document>("processes");
        assert_eq!(processes.count_documents(doc! {}).await.unwrap(), 0);
        client.database(&self.harness.database).drop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_the_head_beyond_its_lease_is_ended_and_wakes_without_harm() {
    let Some(stage) = Stage::new().await else { return };
    let lines = stage.lines().await;
    let [_, line] = lines.as_slice() else { panic!("{lines:?}") };
    let lsid = line.get_document("lsid").unwrap().clone();
    assert!(
        line.get_str("label").unwrap().starts_with(&format!("process {} on ", std::process::id()))
    );

    stage.harness.gate.park();
    let others = async {
        stage.harness.gate.parked().await;
        let processes = stage.other.database().collection::<Document>("processes");
        let found = processes
            .update_one(doc! { "_id": line.get("_id") }, doc! { "$set": { "until": 0_i64 } })
            .await
            .unwrap();
        assert_eq!(found.matched_count, 1);
        assert_eq!(stage.other.append(append(1)).await.unwrap().position, 1);
        assert_eq!(stage.lines().await.len(), 1);
        assert_eq!(stage.sent.borrow().killed, [lsid]);
        stage.harness.gate.release();
    };
    let (woken, ()) = join(stage.holder.append(append(0)), others).await;
    assert_eq!(woken.unwrap().position, 2);
    has_exactly(&stage.other, &[append(0), append(1)]).await;
    // It goes on in the same session.
    assert_eq!(stage.holder.append(append(2)).await.unwrap().position, 3);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_the_head_within_its_lease_is_left_alone() {
    let Some(stage) = Stage::new().await else { return };
    stage.harness.gate.park();
    let others = async {
        stage.harness.gate.parked().await;
        let mut sent = stage.sent.clone();
        let looked = async {
            sent.wait_for(|sent| sent.looks >= 3).await.unwrap();
            stage.harness.gate.release();
        };
        join(stage.other.append(append(1)), looked).await.0
    };
    let (held, other) = join(stage.holder.append(append(0)), others).await;
    assert_eq!((held.unwrap().position, other.unwrap().position), (1, 2));
    assert!(stage.sent.borrow().killed.is_empty());
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_of_a_process_that_was_killed_is_removed_by_the_next_one() {
    let Some(server) = server().await else { return };
    let harness = MongoHarness::new(server);
    // Before any other is open, which might be the next one instead.
    let database = mongodb::Client::with_uri_str(server.uri_text(&harness.database))
        .await
        .unwrap()
        .database(&harness.database);
    let processes = database.collection::<Document>("processes");
    let [lsid, aside] =
        [7, 8].map(|byte| doc! { "id": mongodb::bson::Uuid::from_bytes([byte; 16]) });
    let lapsed = doc! { "_id": "killed", "label": "process 1 on nowhere", "lsid": &lsid, "aside": &aside, "until": 1_i64 };
    processes.insert_one(lapsed).await.unwrap();
    let (mut sent, monitor) = watched();
    let next = MongoStore::open(&MongoConfig { monitor: Some(monitor), ..harness.config() })
        .await
        .unwrap();
    sent.wait_for(|sent| sent.killed == [lsid.clone(), aside.clone()]).await.unwrap();
    next.close().await;
    assert_eq!(processes.count_documents(doc! {}).await.unwrap(), 0);
    database.drop().await.unwrap();
}
