//! What `claviger-bench live`, `query` and `attacks` measure what they claim: every subscriber
//! receives every event, every client is answered, nothing is left behind. Their figures are the
//! machine's.

use claviger_bench::{
    AttackBench, Cores, LiveBench, QueryBench, measure_attacks, measure_live, measure_queries,
};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const TIME: Duration = Duration::from_millis(100);

/// The measured program stands beside the one that measures.
fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_claviger-bench")).with_file_name("claviger");
    assert!(program.exists(), "build it first: cargo build -p claviger, or test with --workspace");
    program
}

/// The program that serves the baselines.
fn parts() -> PathBuf {
    env!("CARGO_BIN_EXE_claviger-bench").into()
}

fn assert_empty(dir: &TempDir) {
    assert!(std::fs::read_dir(dir.path()).is_ok_and(|mut found| found.next().is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subscriber_hears_every_event_beside_bare_sockets_and_stalled_readers() {
    let dir = tempfile::tempdir().unwrap();
    let bench = LiveBench {
        program: program(),
        parts: parts(),
        dir: dir.path().to_owned(),
        name: "live".to_owned(),
        subscriptions: 30,
        events: 2,
        stalled: 2,
        rounds: 1,
        settle: TIME,
        cores: Cores::default(),
    };
    // A subscriber that received less, or was cut off, would be an error.
    let measured = measure_live(&bench, |_| {}).await.unwrap();
    assert!(
        measured.waits.p50_ms > 0.0 && measured.waits.p50_ms <= measured.waits.p99_ms,
        "{measured:?}"
    );
    assert!(
        measured.bare_waits.p50_ms > 0.0 && measured.waits_beside_stalled.p50_ms > 0.0,
        "{measured:?}"
    );
    assert!(
        measured.deliveries_per_s.low > 0.0 && measured.bare_deliveries_per_s.low > 0.0,
        "{measured:?}"
    );
    assert!(measured.idle_kib.low > 1000.0, "a process: {measured:?}");
    assert_empty(&dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_answered_beside_a_handler_that_takes_the_same_token() {
    let dir = tempfile::tempdir().unwrap();
    let bench = QueryBench {
        program: program(),
        parts: parts(),
        dir: dir.path().to_owned(),
        name: "query".to_owned(),
        keys: 2,
        connections: 2,
        time: TIME,
        rounds: 2,
        cores: Cores::default(),
    };
    // An invalid response would be an error.
    let measured = measure_queries(&bench, |_| {}).await.unwrap();
    assert_eq!(
        measured.iter().map(|measured| measured.query).collect::<Vec<_>>(),
        ["hello", "keys"]
    );
    for measured in &measured {
        assert!(
            measured.per_s.low > 0.0 && measured.bare_per_s.low > 0.0 && measured.ratio.low > 0.0,
            "{measured:?}"
        );
        assert!(measured.waits.p50_ms <= measured.waits.p99_ms, "{measured:?}");
    }
    assert_empty(&dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_answered_while_somebody_attacks() {
    let dir = tempfile::tempdir().unwrap();
    let bench = AttackBench {
        program: program(),
        parts: parts(),
        dir: dir.path().to_owned(),
        name: "attacks".to_owned(),
        keys: 1,
        connections: 2,
        lead: TIME,
        time: TIME,
        rounds: 1,
        only: "HTTP/2".to_owned(),
        cores: Cores::default(),
    };
    let measured = measure_attacks(&bench, |_| {}).await.unwrap();
    assert_eq!(measured.len(), 2, "resets and empty frames: {measured:?}");
    for measured in &measured {
        assert!(measured.begun_per_s.low > 0.0 && measured.rate.low > 0.0, "{measured:?}");
        assert!(measured.aside.p50_ms > 0.0 && measured.attacked.p50_ms > 0.0, "{measured:?}");
    }
    assert_empty(&dir);
}
