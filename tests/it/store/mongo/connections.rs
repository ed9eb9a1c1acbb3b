//! Connections fail on the way: cut at some byte, half-open, slow. Nothing is lost or doubled, and
//! nobody waits for ever.

use super::super::sqlite::append;
use super::failures::has_exactly;
use super::harness::MongoHarness;
use super::proxy::{Act, Proxy};
use crate::harness::mongo::{TestServer, server};
use claviger_projections::ports::{Append, Log};
use claviger_store::mongo::{MongoConfig, MongoStore};
use futures::future::join_all;
use std::time::{Duration, Instant};

/// Long enough for a transaction here, short enough to wait for it in a test.
const ANSWER: Duration = Duration::from_secs(2);

/// How long anything is awaited before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store behind a proxy.
async fn behind_proxy(server: &'static TestServer) -> (MongoHarness, Proxy, MongoStore) {
    let (harness, proxy) = (MongoHarness::new(server), Proxy::before(server).await);
    let uri = proxy.uri(server, &harness.database);
    let config = MongoConfig { uri, answer_within: ANSWER, ..harness.config() };
    let store = MongoStore::open(&config).await.unwrap();
    (harness, proxy, store)
}

/// Ten appends while each of these things happens once; all are answered, and in once.
async fn survives(acts: &[(&str, Act)]) {
    let Some(server) = server().await else { return };
    let (harness, proxy, store) = behind_proxy(server).await;
    let mut appends: Vec<Append> = Vec::new();
    for (n, (word, act)) in acts.iter().enumerate() {
        let (first, began) = (appends.len() as u64, Instant::now());
        proxy.rule(word, 1, *act);
        let round: Vec<_> = (first..first + 10).map(append).collect();
        let answers = join_all(round.iter().cloned().map(|append| store.append(append)));
        let answers = tokio::time::timeout(PATIENCE, answers).await;
        for answer in answers.unwrap_or_else(|_| panic!("{act:?} of {word}: never answered")) {
            assert!(answer.is_ok(), "{act:?} of {word}: {answer:?}");
        }
        assert_eq!(proxy.times_met(), n + 1, "{act:?} of {word} met nothing");
        println!("{:.1} s  {act:?} of {word}", began.elapsed().as_secs_f64());
        appends.extend(round);
        has_exactly(&store, &appends).await;
    }
    store.close().await;
    let rest = harness.open().await.unwrap();
    has_exactly(&rest, &appends).await;
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_at_any_byte_of_a_transaction_loses_and_doubles_nothing() {
    let cuts = [0, 3, 16, usize::MAX];
    let of = |word| {
        cuts.into_iter()
            .flat_map(move |at| [(word, Act::CutRequest(at)), (word, Act::CutReply(at))])
    };
    let acts: Vec<_> = of("commitTransaction").chain(of("findAndModify")).collect();
    survives(&acts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_connection_is_given_up_and_nothing_is_lost_or_doubled() {
    let words = ["commitTransaction", "findAndModify"];
    let acts: Vec<_> = words
        .into_iter()
        .flat_map(|word| [(word, Act::SwallowReply), (word, Act::Swallow)])
        .collect();
    survives(&acts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_connection_changes_nothing() {
    survives(&[("commitTransaction", Act::Delay(Duration::from_millis(300)))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_on_a_half_open_connection_is_refused_in_time() {
    let Some(server) = server().await else { return };
    let (harness, proxy, store) = behind_proxy(server).await;
    store.append(append(0)).await.unwrap();
    proxy.rule("events", usize::MAX, Act::Swallow);
    let answer = tokio::time::timeout(PATIENCE, store.read(0, 9)).await.expect("an answer");
    assert!(
        matches!(answer, Err(claviger_projections::ports::StoreError::Unavailable(_))),
        "{answer:?}"
    );
    proxy.forward();
    assert_eq!(store.read(0, 9).await.unwrap().len(), 1);
    store.close().await;
    drop(harness);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_change_stream_the_poll_wakes() {
    let Some(server) = server().await else { return };
    let (harness, proxy, store) = behind_proxy(server).await;
    let writer = harness.open().await.unwrap();
    let mut n = 0;
    for act in [Act::CutRequest(0), Act::CutReply(20), Act::Swallow] {
        // Every attempt to listen fails: a stream is opened by `aggregate`, gone on with by
        // `getMore`.
        for word in ["getMore", "$changeStream"] {
            proxy.rule(word, usize::MAX, act);
            proxy.cut_all();
            for _ in 0..3 {
                let mut watch = store.watch();
                n += 1;
                let position = writer.append(append(n)).await.unwrap().position;
                let woken =
                    tokio::time::timeout(PATIENCE, watch.wait_for(|known| *known >= position))
                        .await;
                assert!(woken.is_ok(), "{act:?} of {word}: not woken for position {position}");
            }
        }
    }
    proxy.forward();
    store.close().await;
    harness.finish().await;
}
