//! Stores that lost something, or that an earlier program made: the first go on as what they are, and
//! the others do not start.

use super::rows::{
    assert_fault, blob, database, on_every_store, refresh, register, rewrite, tamper, v1_token,
};
use crate::harness::environment::{NOW, TestClock, by};
use crate::harness::process::{Duty, Process};
use crate::harness::stores::StoreKind;
use crate::harness::world::{World, config};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::app::config::Config;
use claviger::app::wiring::{Core, NewStore};
use claviger::audit::verify::verify;
use claviger::system::environment::Environment;
use claviger_domain::id::{SessionId, UserId};
use claviger_projections::ports::StoredEvent;
use claviger_store::sqlite::DATABASE_FILE;
use mongodb::bson::{Document, doc};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// Why a program does not start.
pub(super) async fn refused_start(world: &World) -> String {
    match Core::open(&world.config, world.env.clone(), "claviger test", NewStore::Made).await {
        Ok(core) => {
            core.close().await;
            panic!("it started");
        }
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_lost_its_own_keys_does_not_start_as_a_new_one() {
    on_every_store(async |world: World| {
        let server = world.serve().await;
        register(&server, "ada").await;
        server.stop().await;
        tamper(
            &world,
            |db| assert_eq!(db.execute("DELETE FROM store_keys", []).unwrap(), 1),
            async |db| {
                db.collection::<Document>("store_keys").delete_many(doc! {}).await.unwrap();
            },
        )
        .await;
        let said = refused_start(&world).await;
        assert!(said.contains("restore store_keys from a backup"), "{said}");
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_another_store_and_a_log_that_was_emptied_are_refused() {
    let (world, other) =
        (World::open(StoreKind::Sqlite).await, World::open(StoreKind::Sqlite).await);
    for world in [&world, &other] {
        let server = world.serve().await;
        register(&server, "ada").await;
        server.stop().await;
    }
    let db = database(&world.config.data_dir);
    let other_file = other.config.data_dir.join(DATABASE_FILE);
    db.execute("ATTACH ?1 AS other", [other_file.to_str().unwrap()]).unwrap();
    db.execute_batch(
        "CREATE TEMP TABLE own AS SELECT * FROM store_keys; DELETE FROM store_keys; \
         INSERT INTO store_keys SELECT * FROM other.store_keys;",
    )
    .unwrap();
    let said = refused_start(&world).await;
    assert!(said.contains("the two do not belong together"), "{said}");
    db.execute_batch(
        "DELETE FROM store_keys; INSERT INTO store_keys SELECT * FROM own; DELETE FROM events; \
         UPDATE head SET position = 0, at = 0, frontier = x'';",
    )
    .unwrap();
    drop(db);
    let said = refused_start(&world).await;
    assert!(said.contains("the log ends at position 0"), "{said}");
    world.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_file_that_a_store_with_events_lost_is_not_made_again() {
    let mut world = World::open(StoreKind::Sqlite).await;
    (world.config.master_keys, world.config.token_key) = (None, None);
    let server = world.serve().await;
    register(&server, "ada").await;
    server.stop().await;
    for (file, words) in [
        ("token.key", "put the file back from a backup, or make a new key"),
        ("master.key", "put the file back, or give the key"),
    ] {
        let path = world.config.data_dir.join(file);
        let kept = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let said = refused_start(&world).await;
        assert!(said.contains(words) && said.contains(file), "{said}");
        assert!(!path.exists(), "{file}");
        // Without its own keys the store is still not a new one.
        if file == "master.key" {
            let db = database(&world.config.data_dir);
            assert_eq!(db.execute("DELETE FROM store_keys", []).unwrap(), 1);
            drop(db);
            let said = refused_start(&world).await;
            assert!(said.contains(words) && !path.exists(), "{said}");
        }
        std::fs::write(&path, kept).unwrap();
        restrict(&path);
    }
    world.close().await;
}

/// Key files that others can read are refused.
pub(super) fn restrict(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The store that the program of commit aca83d3 wrote, and a world in which its sessions live.
fn earlier(dir: &Path) -> (Config, Environment) {
    for file in ["claviger.db", "master.key", "token.key"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/format-1");
        std::fs::copy(from.join(file), dir.join(file)).unwrap();
        restrict(&dir.join(file));
    }
    let at: u64 = database(dir)
        .query_row("SELECT at FROM head", [], |row| row.get::<_, i64>(0))
        .unwrap()
        .try_into()
        .unwrap();
    let clock = TestClock::held();
    clock.advance_ms(at - NOW.0 + 60_000);
    (config(dir, "http://127.0.0.1:9"), by(&clock))
}

/// The first session of the store, and its owner.
fn first_session(dir: &Path) -> (SessionId, UserId) {
    let sql = "SELECT id, owner FROM sessions ORDER BY id LIMIT 1";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?));
    let (id, owner) = database(dir).query_row(sql, [], row).unwrap();
    (SessionId(Uuid::from_slice(&id).unwrap()), UserId(Uuid::from_slice(&owner).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_an_earlier_program_goes_on_and_is_bound_at_its_next_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let (config, env) = earlier(dir.path());
    let (session, owner) = first_session(dir.path());
    let server = Process::start(&config, env.clone(), None, Duty::Http).await;
    assert_eq!(server.keychain.evidence().signed_since(), Some(83));
    assert_eq!(server.store.head().await.unwrap().position, 84, "one event vouches for the rest");
    let before = server.store.session(session).await.unwrap().unwrap();
    assert_eq!(before.mac, None);
    let old = v1_token(&server.keychain, session, before.generation);
    let payload = refresh(&server, &old).await.data();
    let payload = &payload["refreshSession"];
    assert_eq!(payload["viewer"]["username"], "ada", "{payload}");
    let newest = payload["refreshToken"].clone();
    let format = URL_SAFE_NO_PAD.decode(newest.as_str().unwrap()).unwrap();
    assert_eq!((format[0], &format[17..33]), (2, &owner.0.as_bytes()[..]));
    assert!(server.store.session(session).await.unwrap().unwrap().mac.is_some());
    refresh(&server, &newest).await.data();
    let report = verify(Arc::clone(&server.store), Arc::clone(&server.keychain)).await.unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    server.stop().await;
    // A second start adds nothing.
    let server = Process::start(&config, env, None, Duty::Http).await;
    assert_eq!(server.store.head().await.unwrap().position, 84);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_an_earlier_program_is_its_owners_only() {
    let dir = tempfile::tempdir().unwrap();
    let (config, env) = earlier(dir.path());
    let (session, owner) = first_session(dir.path());
    let sql = "UPDATE sessions SET owner = (SELECT owner FROM sessions WHERE owner <> ?1) WHERE owner = ?1";
    assert_eq!(database(dir.path()).execute(sql, [blob(owner.0)]).unwrap(), 1);
    let server = Process::start(&config, env, None, Duty::Http).await;
    assert_fault(&refresh(&server, &v1_token(&server.keychain, session, 1)).await);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_an_event_from_before_the_signatures_that_was_changed_with_leaf_and_head() {
    let mut world = World::open(StoreKind::Sqlite).await;
    (world.config.master_keys, world.config.token_key) = (None, None);
    let (_, env) = earlier(&world.config.data_dir);
    world.env = env;
    world.serve().await.stop().await;
    let is_it = |event: &StoredEvent| event.envelope.kind == "AccountRegistered";
    rewrite(&world, is_it, ("[\"user\"]", "[\"user\",\"admin\"]")).await;
    let clerk = world.clerk().await;
    let report = verify(Arc::clone(&clerk.store), Arc::clone(&clerk.keychain)).await.unwrap();
    let said = report.problems.join("\n");
    assert!(said.contains("events before position 84: they are not those"), "{said}");
    clerk.stop().await;
    world.close().await;
}
