//! A clock that is ahead for a moment doesn't put the log into the future
//! (`ops/docs/adr/0035-statements-and-clocks.md`).

use crate::harness::environment::{NOW, TestClock, by};
use crate::harness::events::{append_to, named_event};
use crate::harness::person::add;
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
