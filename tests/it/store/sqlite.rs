//! What is particular to the embedded store: its files, its lock, its batches, its failures.

use super::gate::Gate;
use super::harness::config;
use crate::harness::events::{actor, append_to, named_event};
use crate::harness::stores::{left_by_a_kill, sqlite_config};
use claviger_domain::actor::{Actor, Via};
use claviger_domain::id::{CommandId, CorrelationId, EventId, KeyId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, AppendError, Log, NewEvent, RowChange, Rows, SecretRow, StoreError, UserKeyRow,
};
use claviger_store::sqlite::{
    DATABASE_FILE, FORMAT, Fault, LOCK_FILE, OpenError, SqliteConfig, SqliteStore,
};
use claviger_suite::FaultHooks;
use futures::future::join_all;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// An id that shows its number.
fn id(n: u64) -> Uuid {
    Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + u128::from(n))
}

/// An append of one event to the key ring of user `n`, which must not exist yet.
pub(super) fn append(n: u64) -> Append {
    let owner = UserId(id(n));
    let event = NewEvent {
        id: EventId(id(1_000_000 + n)),
        content: vec![vec![7; 200]],
        ..named_event("KeyAdded", format!("{{\"n\":{n}}}").as_bytes(), Some(id(2_000_000 + n)))
    };
    Append {
        actor: Actor { user: Some(owner), ..actor(Via::Cli) },
        command_id: CommandId(*id(3_000_000 + n).as_bytes()),
        correlation_id: CorrelationId(id(4)),
        ..append_to(StreamName::KeyRing(owner), 0, vec![event])
    }
}

fn open(dir: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(&sqlite_config(dir))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_and_files_are_closed_to_everybody_else() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a/data");
    let store = open(&data).unwrap();
    store.append(append(1)).await.unwrap();
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_store_in_use_names_its_holder_and_is_free_after_closing() {
    let dir = tempfile::tempdir().unwrap();
    let config = SqliteConfig::new(dir.path(), "claviger serve\n", Timestamp(1_790_000_000_000));
    let store = SqliteStore::open(&config).unwrap();
    let refused = SqliteStore::open(&config).unwrap_err().to_string();
    let holder = format!(
        "claviger serve (process {}, started 2026-09-21T14:13:20.000Z)",
        std::process::id()
    );
    assert!(refused.contains(&holder), "{refused}");
    store.close();
    store.close();
    SqliteStore::open(&config).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_refuses_as_closed_and_leaves_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.append(append(1)).await.unwrap();
    store.close();
    assert_eq!(store.head().await, Err(StoreError::Closed));
    assert_eq!(store.append(append(2)).await, Err(AppendError::Store(StoreError::Closed)));
    assert_eq!(store.scrub().await, Err(StoreError::Closed));
    let wal = dir.path().join(format!("{DATABASE_FILE}-wal"));
    assert!(!wal.exists() || fs::metadata(wal).unwrap().len() == 0);
    assert_eq!(fs::read(dir.path().join(LOCK_FILE)).unwrap(), b"");
    assert_eq!(open(dir.path()).unwrap().head().await.unwrap().position, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_reads_among_thousands_of_short_ones_are_answered_alike() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let events: u64 = 1_200;
    for done in join_all((0..events).map(|n| store.append(append(n)))).await {
        done.unwrap();
    }
    for _ in 0..20 {
        // More steps than a read on the spot may take, and then more short ones than go by between
        // two looks at the steps.
        let all = store.read(0, 2_000).await.unwrap();
        assert_eq!((all.len() as u64, all.last().unwrap().envelope.position), (events, events));
        for n in 0..300 {
            assert_eq!(store.head().await.unwrap().position, events);
            assert_eq!(store.read(n, 1).await.unwrap()[0].envelope.position, n + 1);
        }
    }
    // No read is left open: the log can be emptied.
    assert!(store.scrub().await.unwrap());
}

#[test]
fn another_programs_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE_FILE);
    let foreign = rusqlite::Connection::open(dir.path().join("foreign")).unwrap();
    foreign.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
    drop(foreign);
    let database = fs::read(dir.path().join("foreign")).unwrap();
    let mut damaged = database.clone();
    damaged[16..100].fill(0xff);
    for bytes in [b"a text that somebody put here".to_vec(), database, damaged] {
        fs::write(&path, &bytes).unwrap();
        let refused = open(dir.path()).unwrap_err();
        assert!(matches!(refused, OpenError::NotADatabase { .. }), "{refused}");
        assert!(
            refused.to_string().contains("claviger.db is not a database of Claviger"),
            "{refused}"
        );
        assert!(fs::read(&path).unwrap() == bytes, "the file has changed");
    }
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap().close();
    let newer = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    newer.pragma_update(None, "user_version", FORMAT + 1).unwrap();
    drop(newer);
    let refused = open(dir.path()).unwrap_err().to_string();
    assert!(
        refused.contains("has format 4, and this program supports formats up to 3"),
        "{refused}"
    );
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o500)).unwrap();
    // Root may write everywhere but into the kernel's own file systems.
    let root = rustix::process::geteuid().is_root();
    let path = if root { Path::new("/sys/claviger-test") } else { dir.path() };
    let refused = open(path).unwrap_err();
    assert!(matches!(refused, OpenError::NotWritable { .. }), "{refused:?}");
    assert!(
        refused.to_string().contains("cannot be written: give this program's user write access"),
        "{refused}"
    );
}

#[test]
fn a_head_that_contradicts_the_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap().close();
    let raw = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    raw.execute_batch("UPDATE head SET position = 1, frontier = zeroblob(32)").unwrap();
    drop(raw);
    let refused = open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("the head is at position 1, the last event at 0"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_event_is_a_gap_and_a_wrong_cell_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for n in 0..4 {
        store.append(append(n)).await.unwrap();
    }
    store.close();
    let raw = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    raw.execute_batch(
        "DELETE FROM events WHERE position = 2; UPDATE events SET id = x'00' WHERE position = 4",
    )
    .unwrap();
    drop(raw);
    let store = open(dir.path()).unwrap();
    assert_eq!(store.read(0, 2).await, Err(StoreError::Gap { expected: 2 }));
    assert_eq!(store.read(1, 1).await, Err(StoreError::Gap { expected: 2 }));
    let corrupt = StoreError::Corrupt("table events, row 4, column id".to_owned());
    assert_eq!(store.read(3, 9).await, Err(corrupt));
    assert_eq!(store.read(2, 1).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_queues_behind_a_commit_is_the_next_batch() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Arc::new(Gate::default()));
    let store = SqliteStore::open(&config(dir.path(), &gate)).unwrap();
    gate.park();
    let first = store.append(append(0));
    let others = async {
        gate.parked().await;
        // Unconstrained: all are queued at the first poll, before the release.
        let queued =
            tokio::task::unconstrained(join_all((1..=300).map(|n| store.append(append(n)))));
        let release = async { gate.release() };
        futures::future::join(queued, release).await.0
    };
    let (first, others) = futures::future::join(first, others).await;
    assert_eq!(first.unwrap().position, 1);
    assert!(others.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(gate.batches(), [1, 256, 44]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_append_has_a_batch_of_its_own() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Arc::new(Gate::default()));
    let store = SqliteStore::open(&config(dir.path(), &gate)).unwrap();
    let sized = |n: u64, megabytes: usize| {
        let mut sized = append(n);
        sized.events[0].content = vec![vec![1; 256 << 10]; megabytes * 4];
        sized
    };
    gate.park();
    let others = async {
        gate.parked().await;
        let queued = [sized(1, 3), sized(2, 3), sized(3, 9), sized(4, 1), sized(5, 1)]
            .map(|append| store.append(append));
        let release = async { gate.release() };
        futures::future::join(join_all(queued), release).await.0
    };
    let (_, others) = futures::future::join(store.append(append(0)), others).await;
    assert!(others.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(gate.batches(), [1, 1, 1, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_fsync_ends_the_store_and_nothing_answered_is_lost() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Arc::new(Gate::default()));
    let store = SqliteStore::open(&config(dir.path(), &gate)).unwrap();
    let mut failure = store.failure();
    store.append(append(1)).await.unwrap();
    gate.fail_commit(Fault::Io);
    assert_eq!(store.append(append(2)).await, Err(AppendError::Store(StoreError::Closed)));
    let failed = failure.wait_for(Option::is_some).await.unwrap().clone().unwrap().to_string();
    assert!(failed.contains("nothing more is written; restart the program"), "{failed}");
    assert_eq!(store.append(append(3)).await, Err(AppendError::Store(StoreError::Closed)));
    assert_eq!(store.head().await.unwrap().position, 1, "reading goes on");
    drop(store);
    let store = open(dir.path()).unwrap();
    assert_eq!(store.head().await.unwrap().position, 1);
    store.append(append(2)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_does_not_fit_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open(&SqliteConfig { max_pages: Some(100), ..sqlite_config(dir.path()) })
            .unwrap();
    let mut large = append(1);
    large.events[0].content = vec![vec![1; 1 << 20]];
    let answers = futures::future::join(store.append(large), store.append(append(2))).await;
    let Err(AppendError::Store(StoreError::Unavailable(text))) = answers.0 else {
        panic!("{:?}", answers.0)
    };
    assert_eq!(text, "the disk is full: free some space, then try again");
    assert_eq!(answers.1.unwrap().position, 1);
    assert!(store.failure().borrow().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_view_closes_the_store() {
    struct Panics;
    impl claviger_projections::ports::InlineViews for Panics {
        fn rows(
            &self,
            _: &[claviger_projections::ports::Placed],
        ) -> Result<Vec<RowChange>, StoreError> {
            panic!("on purpose")
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let bad = Append { inline: Some(Arc::new(Panics)), ..append(1) };
    assert_eq!(store.append(bad).await, Err(AppendError::Store(StoreError::Closed)));
    assert!(store.failure().wait_for(Option::is_some).await.is_ok());
    drop(store);
    assert_eq!(open(dir.path()).unwrap().head().await.unwrap().position, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_run_keeps_the_write_ahead_log_short() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for n in 0..60 {
        let mut large = append(n);
        large.events[0].content = vec![vec![1; 1 << 20]];
        store.append(large).await.unwrap();
    }
    let wal = fs::metadata(dir.path().join(format!("{DATABASE_FILE}-wal"))).unwrap().len();
    assert!(wal < 16 << 20, "the write-ahead log has {wal} bytes after 60 MB");
}

/// Bytes that can be found again: 32 that name their owner.
fn mark(n: u64) -> Vec<u8> {
    format!("<<secret {n:020}>>").into_bytes().into_iter().chain([0xfe; 40]).collect()
}

fn secret(n: u64) -> SecretRow {
    // Keys in no order, so that rows land between others and pages are split.
    let key = KeyId(Uuid::from_u128(
        u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
    ));
    let (wrapped_data_key, sealed) = (mark(n), mark(n));
    SecretRow {
        owner: UserId(key.0),
        key,
        secret_version: 1,
        user_key_version: 1,
        wrapped_data_key,
        sealed,
    }
}

/// How many times bytes of a kind are found in the files of a directory.
fn found(dir: &Path, wanted: &dyn Fn(u64) -> bool) -> usize {
    let bytes: Vec<u8> = fs::read_dir(dir)
        .unwrap()
        .flat_map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    let starts = memfind(&bytes, b"<<secret ");
    let number = |at: &usize| {
        std::str::from_utf8(&bytes[at + 9..at + 29]).ok().and_then(|text| text.parse::<u64>().ok())
    };
    starts.iter().filter_map(number).filter(|n| wanted(*n)).count()
}

fn memfind(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    (0..bytes.len().saturating_sub(40))
        .filter(|at| bytes[*at] == wanted[0] && bytes[*at..].starts_with(wanted))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn shredded_secrets_are_in_no_file_after_a_scrub() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let user_key =
        |n: u64| UserKeyRow { owner: secret(n).owner, version: 1, kek: [1; 8], wrapped: mark(n) };
    for n in 0..1500 {
        let rows = vec![RowChange::PutUserKey(user_key(n)), RowChange::PutSecret(secret(n))];
        store.append(Append { rows, ..append(n) }).await.unwrap();
    }
    assert!(found(dir.path(), &|n| n == 700) >= 3);
    let shredded = |n: u64| !n.is_multiple_of(3);
    for n in (0..1500).filter(|n| shredded(*n)) {
        let SecretRow { owner, key, secret_version, .. } = secret(n);
        let rows = if n % 2 == 0 {
            vec![RowChange::EraseUser(owner)]
        } else {
            vec![
                RowChange::DeleteSecret { owner, key, secret_version },
                RowChange::PutUserKey(UserKeyRow { wrapped: vec![0; 9], ..user_key(n) }),
            ]
        };
        store.append(Append { rows, ..append(10_000 + n) }).await.unwrap();
    }
    assert!(store.scrub().await.unwrap());
    assert_eq!(found(dir.path(), &shredded), 0, "copies of shredded secrets");
    assert_eq!(found(dir.path(), &|n| !shredded(n)), 500 * 3, "copies of secrets that are kept");
    assert_eq!(store.count_secrets().await.unwrap(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_taken_in_the_middle_of_writing_opens_with_what_was_answered() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Arc::new(Gate::default()));
    let store = SqliteStore::open(&config(dir.path(), &gate)).unwrap();
    for n in 0..30 {
        store.append(append(n)).await.unwrap();
    }
    gate.park();
    let copy = async {
        gate.parked().await;
        let copy = left_by_a_kill(dir.path());
        gate.release();
        copy
    };
    let (_, copy) = futures::future::join(store.append(append(30)), copy).await;
    let copied = open(copy.path()).unwrap();
    assert_eq!(copied.head().await.unwrap().position, 30);
    assert_eq!(copied.read(0, 100).await.unwrap(), store.read(0, 30).await.unwrap());
    copied.append(append(30)).await.unwrap();
}
