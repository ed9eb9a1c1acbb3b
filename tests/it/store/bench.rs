//! `claviger bench append` measures what it claims: every append in the log, the same rows in the
//! baselines, nothing left behind.

use crate::harness::mongo::server;
use claviger::system::environment::Environment;
use claviger_bench::MongoGround;
use claviger_bench::SqliteGround;
use claviger_bench::{AppendBench, Ground, Measured, measure, run};
use claviger_projections::ports::KEYS;
use std::collections::HashSet;
use std::time::Duration;

const TIME: Duration = Duration::from_millis(150);

/// Measures, and checks the figures that must agree on every machine.
async fn measured(ground: &dyn Ground, processes: usize) -> Vec<Measured> {
    let bench = AppendBench { writers: vec![1, 6], time: TIME, rounds: 2, processes };
    let measured = measure(ground, &bench, &Environment::system(), |_, _| {}).await.unwrap();
    assert_eq!(measured.iter().map(|measured| measured.writers).collect::<Vec<_>>(), [1, 6]);
    for measured in &measured {
        assert!(measured.appends_per_s.low > 0.0 && measured.bare_per_s.low > 0.0, "{measured:?}");
        assert!(measured.latency.p50_ms <= measured.latency.p99_ms, "{measured:?}");
        assert!(
            measured.largest_batch <= measured.writers,
            "a writer has one append under way: {measured:?}"
        );
    }
    measured
}

/// Two writers on a trial: the log and the baseline have what the writers were answered.
async fn rows_agree(ground: &dyn Ground) {
    let trial = ground.trial(1).await.unwrap();
    let stores = trial.stores();
    let [store] = stores.as_slice() else { panic!("one process") };
    let sample = run(&stores, 2, TIME, &Environment::system()).await.unwrap();
    let appends = sample.latencies.len();
    assert_eq!(store.head().await.unwrap().position, appends as u64);
    assert_eq!(trial.batches().iter().sum::<usize>(), appends);
    assert_eq!(trial.bare().await.unwrap().appends, appends);
    let events = store.read(0, appends).await.unwrap();
    let owners: HashSet<_> = events.iter().filter_map(|event| event.envelope.owner).collect();
    assert_eq!(owners.len(), 2);
    for event in &events {
        let (owner, key) = (event.envelope.owner.unwrap(), event.subject.unwrap());
        assert!(store.row(KEYS, owner, key).await.unwrap().is_some(), "each event has its row");
        let record = store.command_record(event.envelope.command_id).await.unwrap();
        assert_eq!(
            record.map(|record| record.position),
            Some(event.envelope.position),
            "each event has its record"
        );
    }
    drop((events, stores));
    trial.remove().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_is_measured_beside_the_same_rows_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ground = SqliteGround::new(dir.path().to_owned(), Environment::system());
    rows_agree(&ground).await;
    assert!(measured(&ground, 1).await.iter().all(|measured| measured.counter.is_none()));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_is_measured_beside_insert_many_and_a_counter_and_leaves_nothing() {
    let Some(server) = server().await else { return };
    let named = server.database();
    let ground = MongoGround::new(server.uri(&named), Environment::system());
    rows_agree(&ground).await;
    for measured in measured(&ground, 2).await {
        let counter = measured.counter.unwrap();
        assert!(counter.appends_per_s.low > 0.0, "{counter:?}");
        assert!(
            measured.writers == 1 || counter.conflicts > 0,
            "six writers fight for one counter: {counter:?}"
        );
    }
    let client = mongodb::Client::with_uri_str(server.uri_text(&named)).await.unwrap();
    let left = client.list_database_names().await.unwrap();
    assert!(!left.contains(&named), "the configured database is never touched");
    assert_eq!(
        left.iter().filter(|name| name.starts_with("claviger_bench_")).count(),
        0,
        "{left:?}"
    );
}
