//! Backups of the embedded store, as `ops/docs/runbooks/backup.md` describes them.

use crate::harness::client::Client;
use crate::harness::person::password;
use crate::harness::program::Home;
use crate::harness::upstream::NO_UPSTREAM;
use claviger_store::sqlite::DATABASE_FILE;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use std::fs;
use std::path::Path;

/// A home for a copy, with the keys.
fn beside(home: &Home) -> Home {
    let copy = Home::new();
    fs::create_dir(copy.data()).unwrap();
    for key in ["master.key", "token.key"] {
        fs::copy(home.data().join(key), copy.data().join(key)).unwrap();
    }
    copy
}

/// What `sqlite3 -readonly claviger.db "VACUUM INTO 'file'"` does.
fn vacuum_into(home: &Home, file: &Path) {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(home.data().join(DATABASE_FILE), flags).unwrap();
    database.execute("VACUUM INTO ?1", [file.to_str().unwrap()]).unwrap();
}

#[tokio::test]
async fn a_backup_of_a_running_server_is_whole_and_a_file_without_its_log_is_noticed() {
    let home = Home::new();
    let server = home.serve(NO_UPSTREAM);
    for name in ["ada", "bob", "cleo"] {
        Client::register(server.url(), name).await;
    }
    let (backup, torn) = (beside(&home), beside(&home));
    vacuum_into(&home, &backup.data().join(DATABASE_FILE));
    fs::copy(home.data().join(DATABASE_FILE), torn.data().join(DATABASE_FILE)).unwrap();
    let events = |home: &Home| home.run(&["verify", "--json"]);
    let whole = events(&backup);
    assert_eq!(whole.assert_code(0).json()["accounts"], 3, "{whole:?}");
    assert!(!whole.stderr.contains("-wal"), "{whole:?}");
    let partial = events(&torn);
    assert!(partial.stderr.contains("without its -wal"), "{partial:?}");
    server.stop().await;
    let here = home.verified();
    assert_eq!(whole.json()["root"], here["root"]);
    assert_eq!(whole.json()["events"], here["events"]);
    // A stopped server's files are whole; so is the one file that a backup was restored to.
    assert!(!events(&home).stderr.contains("-wal"));
    assert!(!events(&backup).stderr.contains("-wal"));
    // The backup serves: its users sign in.
    let restored = backup.serve(NO_UPSTREAM);
    let ada = json!({ "usernameOrEmail": "ada", "password": password("ada") });
    Client::new(restored.url()).done("login", ada).await;
    restored.stop().await;
}
