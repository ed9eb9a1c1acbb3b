//! A clock that is ahead for a moment doesn't put the log into the future
//! (`ops/docs/adr/0035-statements-and-clocks.md`).

use crate::harness::client::Client;
use crate::harness::environment::{NOW, TestClock, by};
use crate::harness::events::{append_to, named_event};
use crate::harness::person::{add, password};
use crate::harness::process::Duty;
use crate::harness::stores::{StoreKind, mongo_config, sqlite_config};
use crate::harness::world::World;
use claviger::simulator::keys::{Scenario, key};
use claviger::system::environment::Environment;
use claviger_domain::code::ErrorCode;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{Append, AppendError, Log as _, OtherClock, StoreError};
use claviger_store::mongo::MongoStore;
use claviger_store::sqlite::SqliteStore;
use serde_json::json;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// The second opinion is itself a clock that a test moves.
struct Other(Arc<TestClock>);

impl OtherClock for Other {
    fn now(&self) -> Option<Timestamp> {
        Some(self.0.now())
    }
}

fn at(version: u64, at: Timestamp) -> Append {
    let event = named_event("KeyAdded", b"{}", None);
    Append { at, ..append_to(StreamName::System, version, vec![event]) }
}

fn is_refused(answer: Result<impl Sized, AppendError>) -> bool {
    match answer {
        Ok(_) => false,
        Err(AppendError::Store(StoreError::Unavailable(words))) => {
            assert!(
                words.contains("minutes ahead of the last event and of another clock"),
                "{words}"
            );
            true
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_append_is_refused_when_both_the_head_and_another_clock_contradict_its_time() {
    let (dir, clock) = (TempDir::new().unwrap(), TestClock::held());
    let other_clock = Arc::new(Other(Arc::clone(&clock)));
    let config = || {
        let other_clock = Arc::<Other>::clone(&other_clock);
        claviger_store::sqlite::SqliteConfig { other_clock, ..sqlite_config(dir.path()) }
    };
    let store = SqliteStore::open(&config()).unwrap();
    assert!(!is_refused(store.append(at(0, NOW)).await));
    assert!(is_refused(store.append(at(1, NOW.plus_ms(DAY_MS))).await), "a blip");
    assert!(!is_refused(store.append(at(1, NOW.plus_ms(14 * 60_000))).await), "a correction");
    assert_eq!(store.head().await.unwrap().at, NOW.plus_ms(14 * 60_000));
    // Days of rest, with a restart or without one: the other clock went on too.
    clock.advance_ms(DAY_MS);
    assert!(!is_refused(store.append(at(2, NOW.plus_ms(DAY_MS))).await));
    store.close();
    clock.advance_ms(9 * DAY_MS);
    let store = SqliteStore::open(&config()).unwrap();
    assert!(!is_refused(store.append(at(3, NOW.plus_ms(10 * DAY_MS))).await));
    assert_eq!(store.head().await.unwrap().position, 4);
    store.close();
}

/// By the database's clock.
#[tokio::test]
async fn on_mongodb_the_database_contradicts() {
    if !StoreKind::available().await.contains(&StoreKind::MongoDb) {
        return;
    }
    let world = World::open(StoreKind::MongoDb).await;
    let uri = world.config.mongodb_uri.clone().unwrap();
    let config = claviger_store::mongo::MongoConfig { asks_clock: true, ..mongo_config(uri) };
    let store = MongoStore::open(&config).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "the server's own clock is no test's")]
    let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let real = Timestamp(u64::try_from(real).unwrap());
    let rested = Timestamp(real.0 - 9 * DAY_MS);
    assert!(!is_refused(store.append(at(0, rested)).await));
    assert!(is_refused(store.append(at(1, real.plus_ms(DAY_MS))).await), "a blip");
    assert!(!is_refused(store.append(at(1, real)).await), "after a rest");
    store.close().await;
    world.close().await;
}

/// A clock that was ahead and is set right: no limit takes the time in between for one in which
/// nothing may be done.
#[tokio::test]
async fn a_clock_that_is_set_back_keeps_nobody_from_their_first_command() {
    let mut world = World::open(StoreKind::Sqlite).await;
    let clock = TestClock::held();
    world.env = by(&clock);
    let server = world.serve().await;
    let nobody = Client::new(&format!("http://{}", server.address()));
    let ada = nobody.registered("ada").await;
    let rename = json!({ "fullName": "Ada" });
    ada.add("work", &key(Scenario::Good, 1)).await;
    ada.done("renameAccount", rename.clone()).await;
    login(&nobody, "wrong").await;
    clock.set_back_ms(2 * DAY_MS);
    ada.add("home", &key(Scenario::Good, 2)).await;
    ada.done("renameAccount", rename).await;
    for secret in ["wrong", &password("ada")] {
        assert_eq!(login(&nobody, secret).await, "");
    }
    server.stop().await;
    world.close().await;
}

#[tokio::test]
async fn an_old_sign_in_stays_old_when_the_clock_is_set_back_and_a_new_one_is_new() {
    let mut world = World::open(StoreKind::Sqlite).await;
    let clock = TestClock::held();
    world.env = by(&clock);
    let server = world.serve().await;
    let nobody = Client::new(&format!("http://{}", server.address()));
    let old = nobody.registered("ada").await;
    clock.advance_ms(10 * 60_000);
    nobody.registered("bob").await;
    clock.set_back_ms(9 * 60_000);
    let rename = json!({ "username": "countess" });
    let refused = old.run("renameAccount", rename.clone()).await;
    assert_eq!(refused["userErrors"][0]["code"], "UNAUTHENTICATED", "{refused}");
    let input = json!({ "usernameOrEmail": "ada", "password": password("ada") });
    let tokens = nobody.done("login", input).await;
    let new = nobody.with_token(tokens["accessToken"].as_str().unwrap());
    new.done("renameAccount", rename).await;
    server.stop().await;
    world.close().await;
}

#[tokio::test]
async fn a_refresh_token_that_is_spent_stays_so_when_the_clock_is_set_back() {
    let mut world = World::open(StoreKind::Sqlite).await;
    let clock = TestClock::held();
    world.env = by(&clock);
    let server = world.serve().await;
    let nobody = Client::new(&format!("http://{}", server.address()));
    nobody.registered("ada").await;
    let input = json!({ "usernameOrEmail": "ada", "password": password("ada") });
    let spent = nobody.done("login", input).await["refreshToken"].take();
    let refresh = json!({ "refreshToken": spent });
    nobody.done("refreshSession", refresh.clone()).await;
    clock.advance_ms(60_000);
    clock.set_back_ms(2 * 60_000);
    let refused = nobody.run("refreshSession", refresh).await;
    assert_eq!(refused["userErrors"][0]["code"], "UNAUTHENTICATED", "{refused}");
    server.stop().await;
    world.close().await;
}

async fn login(nobody: &Client, secret: &str) -> String {
    let input = json!({ "usernameOrEmail": "ada", "password": secret });
    nobody.send_mutation("login", input).await.code()
}

/// What users and timers see: nothing is appended, nothing expires, and all goes on afterwards.
#[tokio::test]
async fn a_blip_changes_nothing_for_users() {
    let mut world = World::open(StoreKind::Sqlite).await;
    let (clock, other) = (TestClock::held(), TestClock::held());
    let other_clock = Arc::new(Other(Arc::clone(&other)));
    world.env = Environment { other_clock, ..by(&clock) };
    let process = crate::harness::process::Process::start(
        &world.config,
        world.env.clone(),
        None,
        Duty::Nothing,
    )
    .await;
    let ada = process.newcomer("ada").await;
    let head = process.store.head().await.unwrap();
    clock.advance_ms(DAY_MS);
    let refused = process.key(&ada, add("work", &key(Scenario::Good, 1))).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::StoreUnavailable);
    process.tick().await;
    assert_eq!(process.store.head().await.unwrap(), head);
    other.advance_ms(DAY_MS);
    process.key(&ada, add("work", &key(Scenario::Good, 1))).await.unwrap();
    let now = process.store.head().await.unwrap();
    assert!(now.position > head.position && now.at == NOW.plus_ms(DAY_MS));
    process.stop().await;
    world.close().await;
}
