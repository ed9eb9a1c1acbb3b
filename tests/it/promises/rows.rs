//! Rows that grant something, changed by somebody who can write to the store and has none of its
//! keys: a grant never reaches a user whom the log did not give it to.

use crate::harness::client::{Answer, Client};
use crate::harness::environment::fresh;
use crate::harness::events::{append_to, named_event};
use crate::harness::person::password;
use crate::harness::process::Process;
use crate::harness::stores::{Opened, StoreKind};
use crate::harness::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::aggregates::Aggregates;
use claviger::audit::verify::verify;
use claviger::bus::AccountRequest;
use claviger::keychain::Keychain;
use claviger::reads::StoreReads;
use claviger::simulator::keys::{Scenario, key};
use claviger_domain::account::{Identity, RegisterExternal};
use claviger_domain::actor::Actor;
use claviger_domain::id::{CorrelationId, SessionId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::text::Username;
use claviger_projections::ports::{Append, ClaimChange, ClaimKind, StoredEvent};
use claviger_proof::{Frontier, leaf_hash};
use claviger_store::sqlite::DATABASE_FILE;
use mongodb::Database;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const ROLES: &str = "{ viewer { username roles } }";

pub(super) fn nobody(server: &Process) -> Client {
    Client::new(&format!("http://{}", server.address()))
}

/// Somebody who signed up: id, access token, refresh token.
pub(super) struct Somebody {
    id: Uuid,
    access: Value,
    refresh: Value,
}

pub(super) async fn register(server: &Process, name: &str) -> Somebody {
    let email = format!("{name}@example.org");
    let input = json!({ "username": name, "email": email, "password": password(name) });
    let payload = nobody(server).done("register", input).await;
    let access = payload["accessToken"].clone();
    let id = payload["viewer"]["id"].as_str().unwrap();
    let id = String::from_utf8(URL_SAFE_NO_PAD.decode(id).unwrap()).unwrap();
    let id = id.strip_prefix("User:").unwrap().parse().unwrap();
    Somebody { id, access, refresh: payload["refreshToken"].clone() }
}

impl Somebody {
    fn at(&self, server: &Process) -> Client {
        nobody(server).with_token(self.access.as_str().unwrap())
    }
}

async fn login(server: &Process, name: &str, secret: &str) -> Answer {
    let input = json!({ "usernameOrEmail": name, "password": secret });
    nobody(server).send_mutation("login", input).await
}

pub(super) async fn refresh(server: &Process, token: &Value) -> Answer {
    nobody(server).send_mutation("refreshSession", json!({ "refreshToken": token })).await
}

/// A fault of ours that says nothing.
pub(super) fn assert_fault(answer: &Answer) {
    assert_eq!(answer.code(), "INTERNAL", "{}", answer.text);
    assert_eq!(answer.json()["data"], Value::Null, "{}", answer.text);
    assert!(!answer.text.contains("Token\":\""), "{}", answer.text);
}

pub(super) fn blob(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

fn bson_id(id: Uuid) -> Bson {
    Binary { subtype: BinarySubtype::Uuid, bytes: blob(id) }.into()
}

fn bytes(bytes: impl Into<Vec<u8>>) -> Bson {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.into() }.into()
}

/// Writes to a store that no process has open.
pub(super) async fn tamper(
    world: &World,
    sqlite: impl FnOnce(&Connection),
    mongo: impl AsyncFnOnce(&Database),
) {
    match world.open_store().await {
        Opened::Sqlite(store) => {
            store.close();
            sqlite(&database(&world.config.data_dir));
        }
        Opened::MongoDb(store) => {
            mongo(store.database()).await;
            store.close().await;
        }
    }
}

pub(super) fn database(dir: &Path) -> Connection {
    Connection::open(dir.join(DATABASE_FILE)).unwrap()
}

async fn set(db: &Database, collection: &str, which: Document, to: Document) {
    let documents = db.collection::<Document>(collection);
    let changed = documents.update_many(which, doc! { "$set": to }).await.unwrap();
    assert!(changed.matched_count > 0, "{collection}");
}

pub(super) async fn on_every_store(scenario: impl AsyncFn(World)) {
    for kind in StoreKind::available().await {
        Box::pin(scenario(World::open(*kind).await)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_owner_was_swapped_signs_nobody_in_and_shows_nothing() {
    on_every_store(async |world: World| {
        let server = world.serve().await;
        let (victim, thief) = (register(&server, "victim").await, register(&server, "thief").await);
        victim.at(&server).add("hidden", &key(Scenario::Good, 1)).await;
        server.stop().await;
        tamper(
            &world,
            |db| {
                let sql = "UPDATE sessions SET owner = ?1 WHERE owner = ?2";
                assert_eq!(db.execute(sql, params![blob(victim.id), blob(thief.id)]).unwrap(), 1);
            },
            async |db| {
                let which = doc! { "owner": bson_id(thief.id) };
                set(db, "sessions", which, doc! { "owner": bson_id(victim.id) }).await;
            },
        )
        .await;
        let server = world.serve().await;
        assert_fault(&refresh(&server, &thief.refresh).await);
        // A token of the first format names no owner: the victim's account has no such session.
        let old = v1_token(&server.keychain, session_of(&thief.refresh), 1);
        assert_fault(&refresh(&server, &old).await);
        let shown = thief.at(&server).send("{ viewer { username } }", json!({})).await;
        assert_fault(&shown);
        let seen = victim.at(&server).ask("{ viewer { username } }", json!({})).await;
        assert_eq!(seen["viewer"]["username"], "victim", "the victim is as before");
        server.stop().await;
        world.close().await;
    })
    .await;
}

/// The session that a refresh token names.
fn session_of(token: &Value) -> SessionId {
    let token = URL_SAFE_NO_PAD.decode(token.as_str().unwrap()).unwrap();
    SessionId(Uuid::from_slice(&token[1..17]).unwrap())
}

/// A refresh token as earlier programs wrote it.
pub(super) fn v1_token(keychain: &Keychain, session: SessionId, generation: u32) -> Value {
    let mac = keychain.index().refresh_mac(session, generation);
    let parts: [&[u8]; 4] = [&[1], session.0.as_bytes(), &generation.to_be_bytes(), &mac];
    URL_SAFE_NO_PAD.encode(parts.concat()).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_prolonged_put_back_or_lost_its_mac_is_refused() {
    let world = World::open(StoreKind::Sqlite).await;
    let server = world.serve().await;
    let ada = register(&server, "ada").await;
    let refreshed = refresh(&server, &ada.refresh).await.data();
    let newest = refreshed["refreshSession"]["refreshToken"].clone();
    server.stop().await;
    for edit in [
        "UPDATE sessions SET expires_at = expires_at + 1",
        "UPDATE sessions SET generation = 1",
        "UPDATE sessions SET mac = NULL",
        "UPDATE sessions SET mac = zeroblob(32)",
    ] {
        let db = database(&world.config.data_dir);
        db.execute_batch("CREATE TEMP TABLE kept AS SELECT * FROM sessions").unwrap();
        assert_eq!(db.execute(edit, []).unwrap(), 1);
        let server = world.serve().await;
        assert_fault(&refresh(&server, &newest).await);
        assert_fault(&ada.at(&server).send(ROLES, json!({})).await);
        server.stop().await;
        db.execute_batch(
            "DELETE FROM sessions; INSERT INTO sessions SELECT * FROM kept; DROP TABLE kept",
        )
        .unwrap();
    }
    let server = world.serve().await;
    refresh(&server, &newest).await.data();
    server.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_written_into_the_row_of_an_account_are_not_had() {
    on_every_store(async |world: World| {
        let server = world.serve().await;
        let thief = register(&server, "thief").await;
        server.stop().await;
        let facts = |facts: &str| {
            let changed = facts.replace("[\"user\"]", "[\"user\",\"auditor\",\"admin\"]");
            assert_ne!(changed, facts);
            changed.into_bytes()
        };
        tamper(
            &world,
            |db| {
                let (view, owner) = ("accounts", blob(thief.id));
                let row: Vec<u8> = db
                    .query_row(
                        "SELECT facts FROM views WHERE view = ?1 AND owner = ?2",
                        params![view, owner],
                        |row| row.get(0),
                    )
                    .unwrap();
                let to = facts(std::str::from_utf8(&row).unwrap());
                let sql = "UPDATE views SET facts = ?3 WHERE view = ?1 AND owner = ?2";
                assert_eq!(db.execute(sql, params![view, owner, to]).unwrap(), 1);
            },
            async |db| {
                let which = doc! { "view": "accounts", "owner": bson_id(thief.id) };
                let views = db.collection::<Document>("views");
                let row = views.find_one(which.clone()).await.unwrap().unwrap();
                let row = row.get_binary_generic("facts").unwrap();
                let to = facts(std::str::from_utf8(row).unwrap());
                set(db, "views", which, doc! { "facts": bytes(to) }).await;
            },
        )
        .await;
        let server = world.serve().await;
        let signed_in = login(&server, "thief", &password("thief")).await.data();
        for token in [&thief.access, &signed_in["login"]["accessToken"]] {
            let client = nobody(&server).with_token(token.as_str().unwrap());
            let seen = client.ask(ROLES, json!({})).await;
            assert_eq!(seen["viewer"]["roles"], json!(["USER"]));
        }
        server.stop().await;
        world.close().await;
    })
    .await;
}

/// Replaces words in the facts of an event, with its leaf and the head's tree recomputed, as only
/// the hash function is needed for.
pub(super) async fn rewrite(
    world: &World,
    is_it: impl Fn(&StoredEvent) -> bool,
    (from, to): (&str, &str),
) {
    let opened = world.open_store().await;
    let mut events = opened.store().read(0, 10_000).await.unwrap();
    opened.close().await;
    let event = events.iter_mut().find(|event| is_it(event)).unwrap();
    let facts = String::from_utf8(event.facts.clone()).unwrap();
    assert!(facts.contains(from), "{facts}");
    event.facts = facts.replace(from, to).into_bytes();
    event.leaf = leaf_hash(&event.envelope, &event.facts, &event.content);
    let signature = event.signature;
    let (position, facts, leaf) =
        (i64::try_from(event.envelope.position).unwrap(), event.facts.clone(), event.leaf);
    let mut tree = Frontier::default();
    for event in &events {
        tree.push(event.leaf);
    }
    tamper(
        world,
        |db| {
            let sql = "UPDATE events SET facts = ?2, leaf = ?3, signature = ?4 WHERE position = ?1";
            let params = params![position, facts, leaf, signature];
            assert_eq!(db.execute(sql, params).unwrap(), 1);
            db.execute("UPDATE head SET frontier = ?1", [tree.to_bytes()]).unwrap();
        },
        async |db| {
            let signature = signature.map_or(Bson::Null, bytes);
            let to =
                doc! { "facts": bytes(facts.clone()), "leaf": bytes(leaf), "signature": signature };
            set(db, "events", doc! { "position": position }, to).await;
            set(db, "log_head", doc! {}, doc! { "frontier": bytes(tree.to_bytes()) }).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_written_into_an_event_are_not_had_though_leaf_and_head_agree() {
    on_every_store(async |world: World| {
        let server = world.serve().await;
        // Somebody else's event stands first and another last, so neither end of the log differs.
        let ada = register(&server, "ada").await;
        let thief = register(&server, "thief").await;
        ada.at(&server).add("work", &key(Scenario::Good, 1)).await;
        server.stop().await;
        let is_it = |event: &StoredEvent| {
            event.envelope.owner == Some(UserId(thief.id))
                && event.envelope.kind == "AccountRegistered"
        };
        rewrite(&world, is_it, ("[\"user\"]", "[\"user\",\"admin\"]")).await;
        let server = world.serve().await;
        assert_fault(&login(&server, "thief", &password("thief")).await);
        assert_fault(&refresh(&server, &thief.refresh).await);
        assert_fault(&thief.at(&server).send(ROLES, json!({})).await);
        assert_eq!(ada.at(&server).ask(ROLES, json!({})).await["viewer"]["username"], "ada");
        let report = verify(Arc::clone(&server.store), Arc::clone(&server.keychain)).await.unwrap();
        let said = report.problems.join("\n");
        assert!(said.contains("position 3: it is not signed by this store's key"), "{said}");
        server.stop().await;
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_secret_that_comes_back_with_its_version_in_the_log_does_not_open() {
    let world = World::open(StoreKind::Sqlite).await;
    let server = world.serve().await;
    let ada = register(&server, "ada").await;
    let id = ada.at(&server).add("work", &key(Scenario::Good, 1)).await;
    server.stop().await;
    let db = database(&world.config.data_dir);
    db.execute_batch("CREATE TEMP TABLE old AS SELECT * FROM secrets").unwrap();
    let server = world.serve().await;
    let input = json!({ "id": id, "secret": key(Scenario::Good, 2) });
    ada.at(&server).done("replaceKeySecret", input).await;
    ada.at(&server).add("other", &key(Scenario::Good, 3)).await;
    server.stop().await;
    db.execute_batch("INSERT INTO secrets SELECT * FROM old").unwrap();
    drop(db);
    let is_it = |event: &StoredEvent| event.envelope.kind == "KeySecretReplaced";
    rewrite(&world, is_it, ("\"secret_version\":2", "\"secret_version\":1")).await;
    let server = world.serve().await;
    let tested = ada.at(&server).send_mutation("testKey", json!({ "id": id })).await;
    assert_fault(&tested);
    server.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_username_that_was_given_to_another_holder_signs_nobody_in() {
    on_every_store(async |world: World| {
        let server = world.serve().await;
        let (victim, thief) = (register(&server, "victim").await, register(&server, "thief").await);
        server.stop().await;
        tamper(
            &world,
            |db| {
                let sql = "UPDATE claims SET holder = ?1, subject = ?1 WHERE holder = ?2";
                assert_eq!(db.execute(sql, params![blob(thief.id), blob(victim.id)]).unwrap(), 2);
            },
            async |db| {
                let (which, to) = (doc! { "holder": bson_id(victim.id) }, bson_id(thief.id));
                set(db, "claims", which, doc! { "holder": to.clone(), "subject": to }).await;
            },
        )
        .await;
        let server = world.serve().await;
        for name in ["victim", "victim@example.org"] {
            assert_fault(&login(&server, name, &password("thief")).await);
            assert_fault(&login(&server, name, &password("victim")).await);
        }
        login(&server, "thief", &password("thief")).await.data();
        server.stop().await;
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_released_name_that_is_put_back_behind_a_running_server_signs_nobody_in() {
    on_every_store(async |world: World| {
        let server = world.serve().await;
        let ada = register(&server, "ada").await;
        // Each name was found once, and is remembered as ada's.
        for name in ["ada", "ada@example.org"] {
            login(&server, name, &password("ada")).await.data();
        }
        let renamed = json!({ "username": "countess", "email": "countess@example.org" });
        ada.at(&server).done("renameAccount", renamed).await;
        let of = |(kind, hash)| ClaimChange::Take {
            kind,
            hash,
            holder: UserId(ada.id),
            subject: ada.id,
        };
        let claims = server.keychain.claims_of("ada", "ada@example.org", None).map(of).to_vec();
        let events = server.store.read_stream(StreamName::System, 0, 100).await.unwrap();
        let version = events.last().map_or(0, |event| event.envelope.version);
        let event = named_event("KeyAdded", b"{}", None);
        let append = Append { claims, ..append_to(StreamName::System, version, vec![event]) };
        server.store.append(append).await.unwrap();
        for name in ["ada", "ada@example.org"] {
            assert_fault(&login(&server, name, &password("ada")).await);
        }
        login(&server, "countess", &password("ada")).await.data();
        server.stop().await;
        world.close().await;
    })
    .await;
}

fn identity(subject: &str) -> Identity {
    Identity { issuer: "https://login.example.org/".to_owned(), subject: subject.to_owned() }
}

async fn register_external(clerk: &Process, name: &str) -> UserId {
    let owner = UserId(fresh());
    let command = RegisterExternal {
        identity: identity(name),
        username: Username::parse(name).unwrap(),
        email: None,
        full_name: None,
        session: SessionId(owner.0),
    };
    let request = AccountRequest {
        owner,
        actor: Actor::SYSTEM,
        correlation: CorrelationId(fresh()),
        command: command.into(),
        phc: None,
    };
    clerk.bus.run_account_command(request).await.unwrap();
    owner
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuers_user_is_found_only_by_the_identity_that_was_sealed() {
    let world = World::open(StoreKind::Sqlite).await;
    let clerk = world.clerk().await;
    let (victim, thief) =
        (register_external(&clerk, "victim").await, register_external(&clerk, "thief").await);
    let taken = clerk.store.claim(ClaimKind::Identity, clerk_claim(&clerk, "thief")).await.unwrap();
    assert_eq!(taken, Some((thief, thief.0)));
    clerk.stop().await;
    let db = database(&world.config.data_dir);
    let sql = "UPDATE claims SET holder = ?1, subject = ?1 WHERE holder = ?2 AND kind = 4";
    assert_eq!(db.execute(sql, params![blob(victim.0), blob(thief.0)]).unwrap(), 1);
    drop(db);
    let clerk = world.clerk().await;
    let reads = StoreReads {
        store: Arc::clone(&clerk.store),
        keychain: Arc::clone(&clerk.keychain),
        env: clerk.env.clone(),
        aggregates: Aggregates::new(Arc::clone(&clerk.store), clerk.keychain.evidence()),
        view_wait: Duration::ZERO,
    };
    assert!(reads.find_identity(&identity("thief")).await.is_err());
    assert_eq!(reads.find_identity(&identity("victim")).await.unwrap(), Some(victim));
    drop(reads);
    clerk.stop().await;
    world.close().await;
}

fn clerk_claim(clerk: &Process, name: &str) -> [u8; 32] {
    let identity = identity(name);
    clerk.keychain.index().claim_identity(&identity.issuer, &identity.subject)
}
