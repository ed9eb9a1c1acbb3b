//! Files of format 1, and what a file requires of the program that opens it.

use super::harness::readable;
use super::sqlite::append;
use crate::harness::stores::sqlite_config;
use claviger_domain::actor::Actor;
use claviger_domain::catalogue::Requirement;
use claviger_domain::event::EnvelopeVersion;
use claviger_projections::ports::{Append, AppendError, Expected, Log, NewEvent, StoreError};
use claviger_proof::{Frontier, leaf_hash};
use claviger_store::sqlite::{DATABASE_FILE, OpenError, SqliteConfig, SqliteStore};
use rusqlite::{Connection, params};
use std::path::Path;

fn config(dir: &Path) -> SqliteConfig {
    SqliteConfig { reads: readable(), ..sqlite_config(dir) }
}

fn open(dir: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(&config(dir))
}

fn database(dir: &Path) -> Connection {
    Connection::open(dir.join(DATABASE_FILE)).unwrap()
}

fn by_operator(n: u64) -> Append {
    Append { actor: Actor::OPERATOR, ..append(n) }
}

/// An event of a schema that only this test's program reads.
fn newer(n: u64) -> Append {
    let append = append(n);
    let event = NewEvent {
        kind: "DefaultSet".to_owned(),
        schema: 7,
        ..append.events.first().unwrap().clone()
    };
    Append { events: vec![event], ..append }
}

fn required(dir: &Path) -> Vec<String> {
    let database = database(dir);
    let mut statement = database.prepare("SELECT name FROM required ORDER BY name").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Turns a file into what a program that knows only format 1 would have left: envelopes of version
/// 1 and none of the new columns.
async fn downgrade(dir: &Path) {
    let store = open(dir).unwrap();
    let log = store.read(0, 100).await.unwrap();
    store.close();
    let (database, mut frontier) = (database(dir), Frontier::default());
    for event in log {
        let mut envelope = event.envelope;
        envelope.envelope_version = EnvelopeVersion::V1;
        envelope.actor = EnvelopeVersion::V1.record(envelope.actor).unwrap();
        let leaf = leaf_hash(&envelope, &event.facts, &event.content);
        frontier.push(leaf);
        let position = i64::try_from(envelope.position).unwrap();
        let sql = "UPDATE events SET leaf = ?1 WHERE position = ?2";
        database.execute(sql, params![leaf, position]).unwrap();
    }
    database.execute("UPDATE head SET frontier = ?1", [frontier.to_bytes()]).unwrap();
    let back = "ALTER TABLE events DROP COLUMN envelope; ALTER TABLE events DROP COLUMN credential_kind; \
                ALTER TABLE events DROP COLUMN credential_id; DROP TABLE required; DROP TABLE used_tickets; \
                ALTER TABLE events DROP COLUMN signature; ALTER TABLE sessions DROP COLUMN mac; PRAGMA user_version = 1;";
    database.execute_batch(back).unwrap();
}

#[tokio::test]
async fn a_file_of_format_1_is_migrated_and_its_leaves_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for n in 1..=3 {
        store.append(by_operator(n)).await.unwrap();
    }
    store.close();
    downgrade(dir.path()).await;

    let store = open(dir.path()).unwrap();
    assert_eq!(required(dir.path()), Vec::<String>::new());
    store.append(by_operator(4)).await.unwrap();
    let log = store.read(0, 10).await.unwrap();
    let versions: Vec<_> =
        log.iter().map(|event| event.envelope.envelope_version.number()).collect();
    assert_eq!(versions, [1, 1, 1, 2]);
    let credentials: Vec<_> = log.iter().map(|event| event.envelope.actor.credential).collect();
    assert_eq!(credentials, [None, None, None, Actor::OPERATOR.credential]);
    let mut frontier = Frontier::default();
    for event in &log {
        assert_eq!(event.leaf, leaf_hash(&event.envelope, &event.facts, &event.content));
        frontier.push(event.leaf);
    }
    assert_eq!(store.head().await.unwrap().frontier, frontier.roots());
    assert_eq!(required(dir.path()), ["envelope/2"]);
}

#[tokio::test]
async fn a_row_that_its_envelope_version_cannot_have_recorded_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.append(by_operator(1)).await.unwrap();
    store.close();
    let bent = [
        "UPDATE events SET envelope = 1",
        "UPDATE events SET envelope = 3",
        "UPDATE events SET envelope = 2, credential_kind = 'session'",
        "UPDATE events SET credential_kind = 'passkey'",
        "UPDATE events SET credential_kind = NULL, credential_id = x'00000000000000000000000000000007'",
        "UPDATE events SET envelope = 1, credential_id = NULL, actor_via = 'console'",
    ];
    for sql in bent {
        database(dir.path()).execute(sql, []).unwrap();
        let store = open(dir.path()).unwrap();
        let read = store.read(0, 1).await;
        assert!(matches!(read, Err(StoreError::Corrupt(_))), "{sql}: {read:?}");
        store.close();
    }
}

#[tokio::test]
async fn a_file_that_requires_more_than_this_program_reads_is_refused_with_the_version_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.append(newer(1)).await.unwrap();
    store.close();
    assert_eq!(required(dir.path()), ["DefaultSet/7", "envelope/2"]);
    let plain = sqlite_config(dir.path());
    let refused = SqliteStore::open(&plain).unwrap_err().to_string();
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "holds events that this program can't read (DefaultSet/7): start Claviger {version} or a newer version"
    );
    assert!(refused.contains(&expected), "{refused}");
    let insert = "INSERT INTO required (name, program) VALUES ('envelope/3', '9.1.0')";
    database(dir.path()).execute(insert, []).unwrap();
    let refused = open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("(envelope/3): start Claviger 9.1.0 or a newer version"), "{refused}");
}

#[tokio::test]
async fn a_refused_append_requires_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let conflict = Append { expected: Expected::Exact(3), ..newer(1) };
    assert_eq!(store.append(conflict).await, Err(AppendError::Conflict { actual: 0 }));
    let taken = Append { events: vec![], ..newer(1) };
    assert!(matches!(store.append(taken).await, Err(AppendError::Malformed(_))));
    assert_eq!(required(dir.path()), Vec::<String>::new());
    store.append(append(1)).await.unwrap();
    assert_eq!(required(dir.path()), ["envelope/2"]);
    let known_id = Append { events: append(1).events, expected: Expected::NoStream, ..newer(2) };
    let two = Append { events: [newer(2).events, known_id.events].concat(), ..newer(2) };
    assert!(matches!(store.append(two).await, Err(AppendError::Malformed(_))));
    assert_eq!(required(dir.path()), ["envelope/2"], "rolled back with its append");
    store.append(newer(3)).await.unwrap();
    assert_eq!(required(dir.path()), ["DefaultSet/7", "envelope/2"]);
}

#[tokio::test]
async fn a_program_does_not_append_what_it_does_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&sqlite_config(dir.path())).unwrap();
    let requirement = Requirement::event("DefaultSet", 7);
    let process = "this process".to_owned();
    let refused = Err(AppendError::NotReadByAll { requirement, process });
    assert_eq!(store.append(newer(1)).await, refused);
}
