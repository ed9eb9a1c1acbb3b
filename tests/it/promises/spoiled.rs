//! What somebody who can write the store, and has no key, leaves in it to act later or to hold
//! others: rows that cannot be decoded, another time, triggers, a database that is gone.

use super::losses::{refused_start, restrict};
use super::rows::{assert_fault, database, nobody, on_every_store, register, tamper};
use crate::harness::environment::fresh;
use crate::harness::person::password;
use crate::harness::program::Home;
use crate::harness::runs::line;
use crate::harness::stores::{Opened, StoreKind, sqlite_config};
use crate::harness::upstream::NO_UPSTREAM;
use crate::harness::world::World;
use claviger::simulator::keys::Scenario;
use claviger_domain::id::UserId;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    ACCOUNTS, OPEN_RUNS, Page, StoreError, TimerKind, TimerRow, ViewRow,
};
use claviger_store::sqlite::{DATABASE_FILE, LOCK_FILE, OpenError, SqliteStore};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use rusqlite::Connection;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

const FAR: Timestamp = Timestamp(u32::MAX as u64 * 1000);

/// Rows that come first wherever rows are listed, and last.
const SPOILED: &str = "
    INSERT INTO timers (owner, kind, subject, command, due_at) VALUES
        (x'00', 1, x'01', NULL, 0), (x'00', -1, x'01', NULL, 0), (x'00', 1, x'02', NULL, -5);
    INSERT INTO views (owner, view, id, sort, stream, facts) VALUES
        (x'00', 'open_runs', x'01', 0, 'run', x''), (x'00', 'accounts', x'01', 0, 'account', x''),
        (zeroblob(17), 'open_runs', x'01', -1, '', x''), (zeroblob(17), 'accounts', x'01', 0, '', x'');
    INSERT INTO user_keys (owner, version, kek, wrapped) VALUES (x'00', 1, x'01', x''), (x'ff', -1, x'02', x'');
    INSERT INTO quarantine (view, owner, id, position, reason) VALUES ('usage', x'00', x'00', -1, 'none');
";

/// The same on MongoDB, where a field may have any type, and a document that of another key.
async fn spoil(db: &mongodb::Database) {
    let id = || Bson::from(Binary { subtype: BinarySubtype::Uuid, bytes: vec![255; 16] });
    let put = async |collection: &str, documents: Vec<Document>| {
        db.collection::<Document>(collection).insert_many(documents).await.unwrap();
    };
    let timer = |n: i32, owner: Bson| {
        doc! { "_id": n, "owner": owner, "kind": 1_i64, "subject": id(), "due_at": 0_i64 }
    };
    put("timers", vec![timer(1, "text".into()), timer(2, id()), timer(3, Bson::Null)]).await;
    for view in ["open_runs", "accounts"] {
        let key = |first: u8| {
            let bytes = [&[first; 32][..], view.as_bytes()].concat();
            Binary { subtype: BinarySubtype::Generic, bytes }
        };
        let row = |first: u8, owner: Bson| {
            doc! { "_id": key(first), "view": view, "owner": owner, "id": id(), "sort": 0_i64, "stream": "", "facts": "" }
        };
        put("views", vec![row(0, "text".into()), row(1, id()), row(2, Bson::Null)]).await;
    }
    let key =
        |n: i32, owner: Bson| doc! { "_id": n, "owner": owner, "version": 1_i64, "kek": "text" };
    put("user_keys", vec![key(1, Bson::Null), key(2, "text".into())]).await;
    put("quarantine", vec![doc! { "view": "usage", "owner": 1, "id": 2 }]).await;
    // A process that no process is, for ever.
    put("processes", vec![doc! { "_id": "nobody", "until": "tomorrow" }]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_cannot_be_decoded_hold_nobody_elses_runs_timers_and_lists() {
    on_every_store(async |world: World| {
        let process = world.clerk().await;
        let ada = process.user("ada", Scenario::Good).await;
        let eve = process.user("eve", Scenario::Good).await;
        let run = process.start_run(&eve, line("Wait.", ["Ann"])).await;
        let timer = TimerRow {
            kind: TimerKind::KeyExpiry,
            owner: ada.id(),
            subject: fresh(),
            command: None,
            due_at: Timestamp(5),
        };
        process.stop().await;
        tamper(
            &world,
            |db| {
                db.execute_batch(SPOILED).unwrap();
                let values = rusqlite::params![timer.owner.0.as_bytes(), timer.subject.as_bytes()];
                let sql = "INSERT INTO timers (owner, kind, subject, due_at) VALUES (?1, 1, ?2, 5)";
                db.execute(sql, values).unwrap();
            },
            async |db| {
                spoil(db).await;
                let id = |id: uuid::Uuid| {
                    Bson::from(Binary { subtype: BinarySubtype::Uuid, bytes: id.as_bytes().to_vec() })
                };
                let (owner, subject) = (id(timer.owner.0), id(timer.subject));
                let key = doc! { "o": owner.clone(), "k": 1_i64, "s": subject.clone() };
                let timer = doc! { "_id": key, "owner": owner, "kind": 1_i64, "subject": subject, "command": null, "due_at": 5_i64 };
                db.collection::<Document>("timers").insert_one(timer).await.unwrap();
            },
        )
        .await;
        let process = world.clerk().await;
        let store = &process.store;
        assert_eq!(store.due_timers(FAR, 1).await.unwrap(), [timer]);
        let place = |row: &ViewRow| (row.owner, row.id);
        let open: Vec<_> = store.rows_of_all(OPEN_RUNS, None, 9).await.unwrap().iter().map(place).collect();
        assert_eq!(open, [(eve.id(), run.0)]);
        let both = BTreeSet::from([ada.id(), eve.id()]);
        let mut accounts = BTreeSet::new();
        let mut after = None;
        while let [row] = store.rows_of_all(ACCOUNTS, after, 1).await.unwrap().as_slice() {
            after = Some(place(row));
            accounts.insert(row.owner);
        }
        assert_eq!(accounts, both);
        let owners = |owners: Vec<UserId>| owners.into_iter().collect::<BTreeSet<_>>();
        // A document of another key still has an owner.
        assert!(owners(store.owners(ACCOUNTS, None, 9).await.unwrap()).is_superset(&both));
        assert_eq!(owners(store.owners_with_keys(None, 9).await.unwrap()), both);
        let keys = store.user_keys(None, None, 9).await.unwrap();
        assert_eq!(owners(keys.iter().map(|key| key.row.owner).collect()), both);
        assert_eq!(store.user_keys_by_kek().await.unwrap().iter().map(|(_, users)| users).sum::<u64>(), 2);
        assert_eq!(store.quarantined("usage", 9).await.unwrap(), []);
        let page = store.page(ACCOUNTS, ada.id(), Page { limit: 9, ..Page::default() }).await.unwrap();
        assert_eq!(page.rows.len(), 1);
        process.stop().await;
        // The engine finds the run behind those rows.
        let process = world.process().await;
        process.ended(&eve, run).await;
        process.user("dora", Scenario::Good).await;
        process.stop().await;
        world.close().await;
    })
    .await;
}

async fn later(world: &World) {
    tamper(
        world,
        |db| assert_eq!(db.execute("UPDATE head SET at = at + 3600000", []).unwrap(), 1),
        async |db| {
            let later = doc! { "$inc": { "at": 3_600_000_i64 } };
            db.collection::<Document>("log_head").update_one(doc! {}, later).await.unwrap();
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_that_was_put_into_the_head_is_not_taken_over() {
    on_every_store(async |world: World| {
        let server = world.serve().await;
        register(&server, "ada").await;
        server.stop().await;
        later(&world).await;
        let said = refused_start(&world).await;
        assert!(said.contains("another time than the last event"), "{said}");
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_that_was_put_into_head_and_last_event_is_not_taken_over() {
    on_every_store(async |world: World| {
        let server = world.serve().await;
        register(&server, "ada").await;
        server.stop().await;
        later(&world).await;
        tamper_last(&world).await;
        let said = refused_start(&world).await;
        assert!(said.contains("lies ahead, and it is not as it was appended"), "{said}");
        world.close().await;
    })
    .await;
}

/// Gives the last event the time of the head. The store can't be opened to do it.
async fn tamper_last(world: &World) {
    let Some(uri) = world.uri() else {
        let sql = "UPDATE events SET at = (SELECT at FROM head) WHERE position = (SELECT position FROM head)";
        assert_eq!(database(&world.config.data_dir).execute(sql, []).unwrap(), 1);
        return;
    };
    let db = mongodb::Client::with_uri_str(uri).await.unwrap().default_database().unwrap();
    let head = db.collection::<Document>("log_head").find_one(doc! {}).await.unwrap().unwrap();
    let last = doc! { "position": head.get("position") };
    let set = doc! { "$set": { "at": head.get("at") } };
    let changed = db.collection::<Document>("events").update_one(last, set).await.unwrap();
    assert_eq!(changed.matched_count, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_that_is_put_into_the_head_of_a_running_server_goes_into_no_event() {
    on_every_store(async |world: World| {
        let Some(uri) = world.uri() else { return world.close().await };
        let process = world.serve().await;
        register(&process, "ada").await;
        let db = mongodb::Client::with_uri_str(uri).await.unwrap().default_database().unwrap();
        let heads = db.collection::<Document>("log_head");
        let move_by = async |ms: i64| {
            heads.update_one(doc! {}, doc! { "$inc": { "at": ms } }).await.unwrap();
        };
        let before = process.store.head().await.unwrap().position;
        move_by(3_600_000).await;
        let input = json!({ "usernameOrEmail": "ada", "password": password("ada") });
        let refused = nobody(&process).send_mutation("login", input).await;
        assert_fault(&refused);
        assert_eq!(process.store.head().await.unwrap().position, before);
        move_by(-3_600_000).await;
        register(&process, "bob").await;
        process.stop().await;
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_store_whose_database_was_removed_does_not_start_as_a_new_one() {
    for own_keys in [false, true] {
        let mut world = World::open(StoreKind::Sqlite).await;
        if own_keys {
            (world.config.master_keys, world.config.token_key) = (None, None);
        }
        let dir = world.config.data_dir.clone();
        let server = world.serve().await;
        register(&server, "ada").await;
        server.stop().await;
        let kept = std::fs::read(dir.join(DATABASE_FILE)).unwrap();
        let token_key = std::fs::read(dir.join("token.key")).unwrap_or_default();
        let remove = |file: &str| drop(std::fs::remove_file(dir.join(file)));
        for file in [DATABASE_FILE, "claviger.db-wal", "claviger.db-shm"] {
            remove(file);
        }
        let mut left = vec![LOCK_FILE];
        if own_keys {
            // The key file alone tells it, too.
            left.push("token.key");
        }
        for marker in left {
            let said = refused_start(&world).await;
            assert!(said.contains("restore it from a backup"), "{said}");
            assert!(said.contains("to begin a new store"), "{said}");
            assert!(!dir.join(DATABASE_FILE).exists(), "{marker}");
            remove(marker);
        }
        if own_keys {
            // An empty file is not the store either.
            std::fs::write(dir.join("token.key"), token_key).unwrap();
            restrict(&dir.join("token.key"));
            std::fs::write(dir.join(DATABASE_FILE), b"").unwrap();
            let said = refused_start(&world).await;
            assert!(said.contains("missing or empty"), "{said}");
        }
        std::fs::write(dir.join(DATABASE_FILE), kept).unwrap();
        world.serve().await.stop().await;
        world.close().await;
    }
}

/// What a writer of the file leaves, and how the store then says so.
const LEFT: [(&str, &str); 6] = [
    (
        "CREATE TRIGGER mine AFTER INSERT ON sessions BEGIN DELETE FROM claims; END",
        "holds the trigger mine on sessions",
    ),
    ("CREATE TEMP TABLE x (y); CREATE TABLE more (y)", "holds the table more"),
    ("CREATE VIEW seen AS SELECT * FROM claims", "holds the view seen"),
    ("CREATE UNIQUE INDEX only ON sessions (owner)", "holds the index only on sessions"),
    ("DROP INDEX timers_by_due", "lacks the index timers_by_due on timers"),
    ("ALTER TABLE timers ADD COLUMN more INTEGER CHECK (more > 1)", "holds the table timers"),
];

fn opened(dir: &Path) -> Result<(), OpenError> {
    SqliteStore::open(&sqlite_config(dir)).map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_writer_of_the_file_leaves_to_act_later_is_found_before_it_acts() {
    for (sql, words) in LEFT {
        let home = Home::new();
        std::fs::create_dir(home.data()).unwrap();
        opened(&home.data()).unwrap();
        database(&home.data()).execute_batch(sql).unwrap();
        let refused = opened(&home.data()).err().unwrap();
        assert!(matches!(refused, OpenError::Foreign { .. }), "{refused:?}");
        assert!(refused.to_string().contains(words), "{refused}");
        let verified = home.run(&["verify"]);
        assert!(verified.stderr.contains(words) && verified.code != Some(0), "{}", verified.stderr);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_that_is_made_while_the_store_is_open_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&sqlite_config(dir.path())).unwrap();
    let sql =
        "CREATE TRIGGER mine BEFORE INSERT ON used_tickets BEGIN SELECT RAISE(ABORT, 'no'); END";
    database(dir.path()).execute_batch(sql).unwrap();
    let used =
        claviger_projections::ports::UsedTickets::use_ticket(&store, fresh(), FAR, FAR).await;
    assert_eq!(used, Ok::<bool, StoreError>(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_that_is_more_than_a_plain_one_is_found() {
    for kind in StoreKind::available().await {
        if *kind != StoreKind::MongoDb {
            continue;
        }
        let ttl = doc! { "createIndexes": "events", "indexes": [
        { "name": "mine", "key": { "gone": 1 }, "expireAfterSeconds": 60 } ] };
        let only = doc! { "createIndexes": "sessions", "indexes": [
        { "name": "mine", "key": { "owner": 1 }, "unique": true } ] };
        let validated =
            doc! { "collMod": "sessions", "validator": { "owner": { "$exists": false } } };
        for (command, words) in [
            (ttl, "the collection events deletes documents with time"),
            (only, "the collection sessions refuses documents"),
            (validated, "the collection sessions has the option validator"),
        ] {
            let world = World::open(*kind).await;
            let Opened::MongoDb(store) = world.open_store().await else { unreachable!() };
            let changed = store.database().run_command(command).await;
            store.close().await;
            // Not every server has validators.
            if changed.is_ok() {
                let said = refused_start(&world).await;
                assert!(said.contains(words), "{said}");
            }
            world.close().await;
        }
    }
}

fn format_of(dir: &Path) -> i32 {
    let db = Connection::open(dir.join(DATABASE_FILE)).unwrap();
    db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_refused_leaves_an_older_store_in_its_format() {
    let home = Home::new();
    std::fs::create_dir(home.data()).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/format-1");
    for file in [DATABASE_FILE, "master.key", "token.key"] {
        std::fs::copy(fixture.join(file), home.data().join(file)).unwrap();
        restrict(&home.data().join(file));
    }
    let other = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let with = |name: &str, value: &str, command: &[&str]| {
        let mut program = home.command(command);
        program.env(name, value);
        crate::harness::program::Ran::of(program, b"")
    };
    for command in
        [&["verify"][..], &["vault", "status"], &["replay", "--all", "--check"], &["serve"]]
    {
        assert_ne!(with("CLAVIGER_MASTER_KEYS", other, command).code, Some(0), "{command:?}");
        assert_ne!(with("CLAVIGER_TOKEN_KEY", "short", command).code, Some(0), "{command:?}");
    }
    assert_ne!(with("CLAVIGER_PRICES", "/nowhere", &["serve"]).code, Some(0));
    assert_eq!(format_of(&home.data()), 1);
    home.run(&["verify"]).assert_code(0);
    assert_ne!(format_of(&home.data()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_only_reads_makes_no_store() {
    on_every_store(async |world: World| {
        let home = Home::new();
        for command in
            [&["verify"][..], &["vault", "status"], &["user", "list"], &["replay", "--all"]]
        {
            let mut program = home.command(command);
            world.describe(&mut program);
            program
                .env("CLAVIGER_DATA_DIR", home.data())
                .env("CLAVIGER_ANTHROPIC_BASE_URL", NO_UPSTREAM);
            let ran = crate::harness::program::Ran::of(program, b"");
            assert!(ran.stderr.contains("there is no store in"), "{command:?}: {}", ran.stderr);
            assert!(!home.data().exists());
        }
        if let Some(uri) = world.uri() {
            let db = mongodb::Client::with_uri_str(uri).await.unwrap().default_database().unwrap();
            assert_eq!(db.list_collection_names().await.unwrap(), Vec::<String>::new());
        }
        world.close().await;
    })
    .await;
}
