//! The size of the embedded store's write-ahead log while the store is open.

use crate::harness::events::{actor, append_to, named_event};
use crate::harness::socket::{soon, until};
use crate::harness::stores::sqlite;
use claviger_domain::actor::{Actor, Via};
use claviger_domain::id::{CommandId, CorrelationId, EventId, UserId};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{Append, Log, NewEvent, Rows};
use claviger_store::sqlite::{DATABASE_FILE, SqliteStore};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

const MIB: u64 = 1 << 20;

/// An append of 1 MiB to the key ring of user `n`.
fn large(n: u128) -> Append {
    let owner = UserId(Uuid::from_u128(n));
    let event = NewEvent {
        id: EventId(Uuid::from_u128(1_000 + n)),
        content: vec![vec![1; 1 << 20]],
        ..named_event("KeyAdded", b"{}", Some(Uuid::from_u128(2_000 + n)))
    };
    Append {
        actor: Actor { user: Some(owner), ..actor(Via::Cli) },
        command_id: CommandId(*Uuid::from_u128(3_000 + n).as_bytes()),
        correlation_id: CorrelationId(Uuid::from_u128(4)),
        ..append_to(StreamName::KeyRing(owner), 0, vec![event])
    }
}

async fn fill(store: &SqliteStore, numbers: std::ops::Range<u128>) {
    for n in numbers {
        store.append(large(n)).await.unwrap();
    }
}

fn log(dir: &Path) -> PathBuf {
    dir.join(format!("{DATABASE_FILE}-wal"))
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_end_delays_nobody_and_the_log_shrinks_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, log) = (sqlite(dir.path()), log(dir.path()));
    fill(&store, 0..1).await;
    // Another program that has the file open, such as a backup.
    let other = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let other = Connection::open_with_flags(dir.path().join(DATABASE_FILE), other).unwrap();
    other.execute_batch("BEGIN").unwrap();
    let events = || other.query_row("SELECT count(*) FROM events", (), |row| row.get::<_, u32>(0));
    assert_eq!(events().unwrap(), 1);
    fill(&store, 1..25).await;
    assert!(bytes(&log) > 20 * MIB, "the reader needs it");
    let began = Instant::now();
    for n in 25..30 {
        assert!(!store.scrub().await.unwrap(), "a reader is in the way");
        fill(&store, n..n + 1).await;
    }
    // A second for each of them, before.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(events().unwrap(), 1);
    drop(other);
    // Nothing is written any more, and nobody asks for it again.
    until(|| bytes(&log) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_follow_each_other_leave_room_to_empty_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (store, log) = (sqlite(dir.path()), log(dir.path()));
    fill(&store, 0..4).await;
    let (ends, tasks) = (Arc::new(AtomicBool::new(false)), TaskTracker::new());
    for _ in 0..4 {
        let (store, ends) = (Arc::clone(&store), Arc::clone(&ends));
        tasks.spawn(async move {
            while !ends.load(Ordering::Relaxed) {
                store.read(0, 4).await.unwrap();
            }
        });
    }
    let mut most = 0;
    for n in 4..100 {
        fill(&store, n..n + 1).await;
        most = most.max(bytes(&log));
    }
    ends.store(true, Ordering::Relaxed);
    tasks.close();
    soon(tasks.wait()).await;
    assert!(most < 32 * MIB, "{most} bytes");
}
