//! The server fails, or its answers get lost: nothing answered is lost, nothing is in twice.

use super::super::sqlite::append;
use super::harness::MongoHarness;
use crate::harness::mongo::{OwnServer, server};
use crate::harness::stores::mongo_config;
use claviger_projections::ports::{Append, AppendError, Log, StoreError};
use claviger_store::mongo::{MongoConfig, MongoStore};
use futures::future::join_all;
use mongodb::bson::{Document, doc};
use std::collections::HashSet;

/// The log is dense and has exactly the events of these appends, each once.
pub(super) async fn has_exactly(store: &MongoStore, appends: &[Append]) {
    let log = store.read(0, usize::MAX).await.unwrap();
    let ids: HashSet<_> = log.iter().map(|event| event.envelope.id).collect();
    assert_eq!((log.len(), ids.len()), (appends.len(), appends.len()));
    assert!(appends.iter().flat_map(|append| &append.events).all(|event| ids.contains(&event.id)));
    assert_eq!(store.head().await.unwrap().position, log.len() as u64);
}

/// What the server does to a command, how often, and what it is.
pub(super) fn failures() -> Vec<(&'static str, i32, Document)> {
    let error = |code: i32, labels: &[&str]| doc! { "errorCode": code, "errorLabels": labels };
    let unknown = || doc! { "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" } };
    let cut = || doc! { "closeConnection": true };
    vec![
        ("findAndModify", 3, error(112, &["TransientTransactionError"])),
        ("findAndModify", 1, cut()),
        ("find", 2, error(112, &["TransientTransactionError"])),
        ("insert", 1, cut()),
        ("insert", 2, error(246, &["TransientTransactionError"])),
        ("update", 1, error(112, &["TransientTransactionError"])),
        ("commitTransaction", 1, cut()),
        ("commitTransaction", 8, cut()),
        ("commitTransaction", 2, error(50, &["UnknownTransactionCommitResult"])),
        ("commitTransaction", 8, error(50, &["UnknownTransactionCommitResult"])),
        ("commitTransaction", 1, error(251, &["TransientTransactionError"])),
        ("commitTransaction", 1, unknown()),
        ("commitTransaction", 8, unknown()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_in_a_transaction_every_append_is_in_once() {
    let Some(server) = server().await else { return };
    let harness = MongoHarness::new(server);
    // Failpoints are the server's; by this name they meet no other test.
    let uri = format!("{}&appName={}", server.uri_text(&harness.database), harness.database);
    let store = MongoStore::open(&MongoConfig { uri: uri.parse().unwrap(), ..harness.config() })
        .await
        .unwrap();
    let beside = harness.open().await.unwrap();
    let admin = beside.database().client().database("admin");
    let mut appends: Vec<Append> = Vec::new();
    for (command, times, mut data) in failures() {
        let text = format!("{command} × {times}: {data}");
        data.extend(doc! { "failCommands": [command], "appName": &harness.database });
        let fail =
            doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
        if admin.run_command(fail).await.is_err() {
            eprintln!("*** SKIPPED: the server has no failpoints ***");
            break;
        }
        let (first, began) = (appends.len() as u64, std::time::Instant::now());
        let round: Vec<_> = (first..first + 10).map(append).collect();
        for answer in join_all(round.iter().cloned().map(|append| store.append(append))).await {
            assert!(answer.is_ok(), "{text}: {answer:?}");
        }
        admin
            .run_command(doc! { "configureFailPoint": "failCommand", "mode": "off" })
            .await
            .unwrap();
        appends.extend(round);
        println!("{:.1} s  {text}", began.elapsed().as_secs_f64());
        has_exactly(&store, &appends).await;
    }
    store.close().await;
    harness.finish().await;
}

/// Appends until it is in; whether it is in after a failure is found by its event.
async fn persistently(store: &MongoStore, append: Append) {
    loop {
        match store.append(append.clone()).await {
            Ok(_) => return,
            Err(AppendError::Store(StoreError::Unavailable(_))) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_restarted_loses_and_doubles_nothing() {
    let Some(mut server) = OwnServer::start() else { return };
    let store = MongoStore::open(&mongo_config(server.uri())).await.unwrap();
    let appends: Vec<_> = (0..160).map(append).collect();
    let writers = appends.chunks(20).map(|mine| {
        let store = &store;
        async move {
            for append in mine {
                persistently(store, append.clone()).await;
            }
        }
    });
    let killer = async {
        for reached in [20, 70, 120] {
            store.watch().wait_for(|position| *position >= reached).await.unwrap();
            server.kill_and_restart();
        }
    };
    futures::future::join(join_all(writers), killer).await;
    has_exactly(&store, &appends).await;
    store.close().await;
}
