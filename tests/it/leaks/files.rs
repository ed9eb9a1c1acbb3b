//! What is deleted is gone from the disk.

use super::requests::Teller;
use super::tour;
use crate::harness::program::{Home, Server, files};
use crate::harness::upstream::NO_UPSTREAM;
use claviger_store::sqlite::DATABASE_FILE;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

/// The sealed rows of secrets, as another program would read them.
fn sealed(home: &Home) -> Vec<Vec<u8>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(home.data().join(DATABASE_FILE), flags).unwrap();
    let mut statement =
        connection.prepare("SELECT sealed, wrapped_data_key FROM secrets ORDER BY rowid").unwrap();
    let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?])).unwrap();
    rows.flat_map(|row: rusqlite::Result<[Vec<u8>; 2]>| row.unwrap()).collect()
}

/// How many of the blobs have any 16 bytes in a row left in a file.
fn left(home: &Home, blobs: &[Vec<u8>]) -> usize {
    let files = files(&home.data());
    let is_left = |blob: &&Vec<u8>| {
        let pieces: std::collections::HashSet<&[u8]> = blob[8..].windows(16).collect();
        files.iter().any(|(_, bytes)| bytes.windows(16).any(|window| pieces.contains(window)))
    };
    blobs.iter().filter(is_left).count()
}

const SCRUBBED: &str = "removed shredded bytes from the disk";

fn debugged(home: &Home) -> Server {
    home.serve_with(NO_UPSTREAM, |command| {
        command.env("CLAVIGER_LOG", "claviger=debug");
    })
}

/// A user with twelve keys.
async fn twelve_keys(server: &Server) -> (Teller, Vec<String>) {
    let mut teller = Teller::new(server.url(), 5);
    tour::sessions(&mut teller).await;
    let mut ids = Vec::new();
    for n in 0..12 {
        let secret = teller.key();
        ids.push(teller.add(&format!("key {n}"), &secret).await);
    }
    (teller, ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_bytes_of_deleted_and_replaced_secrets_leave_the_disk() {
    let home = Home::new();
    let mut server = debugged(&home);
    let (mut teller, ids) = twelve_keys(&server).await;
    let before = sealed(&home);
    assert_eq!((before.len(), left(&home, &before)), (24, 24));
    for (n, id) in ids.iter().enumerate() {
        if n % 3 == 0 {
            teller.command("deleteKey", "KeyInput", json!({ "id": id })).await;
        } else if n % 3 == 1 {
            let secret = teller.key();
            teller
                .command(
                    "replaceKeySecret",
                    "ReplaceKeySecretInput",
                    json!({"id": id, "secret": secret}),
                )
                .await;
        }
    }
    let kept = sealed(&home);
    let shredded: Vec<Vec<u8>> = before.into_iter().filter(|blob| !kept.contains(blob)).collect();
    assert_eq!((shredded.len(), kept.len()), (16, 16));
    // Once at the start, once after each. A killed server empties nothing more.
    server.logged_times(SCRUBBED, 1 + 8).await;
    server.kill();
    assert_eq!(left(&home, &shredded), 0, "shredded bytes are left");
    assert_eq!(left(&home, &kept), 16);
    teller.assert_heard_nothing();
    home.verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_server_left_of_deleted_secrets_goes_at_the_next_start() {
    let home = Home::new();
    let mut server = debugged(&home);
    let (mut teller, ids) = twelve_keys(&server).await;
    let before = sealed(&home);
    // A reader of the old state is in the scrub's way until the server is gone.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let reader = Connection::open_with_flags(home.data().join(DATABASE_FILE), flags).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM secrets").unwrap();
    teller.command("deleteKey", "KeyInput", json!({ "id": ids[0] })).await;
    server.kill();
    assert_eq!(left(&home, &before), 24, "the deleted row is still in a file");
    drop(reader);
    let mut server = debugged(&home);
    server.kill();
    assert_eq!(left(&home, &before[..2]), 0, "shredded bytes are left");
    assert_eq!(sealed(&home), before[2..]);
    home.verified();
}
