//! An event of another history of the same store, which its key did sign, in the place of one.

use super::rows::{database, register};
use crate::harness::client::Client;
use crate::harness::person::password;
use crate::harness::process::Process;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::audit::verify::verify;
use claviger_proof::Frontier;
use claviger_store::sqlite::DATABASE_FILE;
use rusqlite::{Connection, params};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

async fn login(server: &Process, name: &str) {
    let input = json!({ "usernameOrEmail": name, "password": password(name) });
    Client::new(&format!("http://{}", server.address())).done("login", input).await;
}

fn copy(from: &Path, to: &Path) {
    let db = Connection::open(from.join(DATABASE_FILE)).unwrap();
    let to = to.join(DATABASE_FILE);
    drop(std::fs::remove_file(&to));
    db.execute("VACUUM INTO ?1", [to.to_str().unwrap()]).unwrap();
}

/// Takes the place of the store's file.
fn put_back(from: &Path, dir: &Path) {
    for beside in ["-wal", "-shm"] {
        drop(std::fs::remove_file(dir.join(format!("{DATABASE_FILE}{beside}"))));
    }
    std::fs::copy(from.join(DATABASE_FILE), dir.join(DATABASE_FILE)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_an_event_that_the_store_signed_in_another_history() {
    let world = World::open(StoreKind::Sqlite).await;
    let dir = world.config.data_dir.clone();
    let (start, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = world.serve().await;
    register(&server, "ada").await;
    server.stop().await;
    copy(&dir, start.path());
    let opened = world.open_store().await;
    let end = opened.store().head().await.unwrap().position;
    opened.close().await;
    // One history, and another from the same start: the events after it have the same places.
    let server = world.serve().await;
    login(&server, "ada").await;
    server.stop().await;
    copy(&dir, other.path());
    put_back(start.path(), &dir);
    let server = world.serve().await;
    login(&server, "ada").await;
    login(&server, "ada").await;
    server.stop().await;
    let position = i64::try_from(end + 1).unwrap();
    let db = database(&dir);
    db.execute("ATTACH ?1 AS other", [other.path().join(DATABASE_FILE).to_str().unwrap()]).unwrap();
    db.execute("DELETE FROM events WHERE position = ?1", [position]).unwrap();
    let sql = "INSERT INTO events SELECT * FROM other.events WHERE position = ?1";
    assert_eq!(db.execute(sql, params![position]).unwrap(), 1);
    let mut tree = Frontier::default();
    let mut leaves = db.prepare("SELECT leaf FROM events ORDER BY position").unwrap();
    for leaf in leaves.query_map([], |row| row.get::<_, [u8; 32]>(0)).unwrap() {
        tree.push(leaf.unwrap());
    }
    drop(leaves);
    db.execute("UPDATE head SET frontier = ?1", [tree.to_bytes()]).unwrap();
    drop(db);
    let clerk = world.process().await;
    let keychain = Arc::clone(&clerk.parts.keychain);
    let report = verify(Arc::clone(&clerk.parts.store), keychain).await.unwrap();
    let said = format!("events before position {}: they are not those", end + 2);
    assert!(report.problems.iter().any(|it| it.contains(&said)), "{:#?}", report.problems);
    clerk.stop().await;
    world.close().await;
}
