//! A disk that is full, in this process: the only way to fill one at a chosen page.

use super::orders::Order;
use crate::harness::client::{Client, http};
use crate::harness::environment::system;
use crate::harness::program::Home;
use crate::harness::stores::{caught_up, sqlite_config};
use crate::harness::upstream::NO_UPSTREAM;
use crate::harness::world::config;
use claviger::app::lifecycle::Listening;
use claviger::app::wiring::Core;
use claviger::simulator::keys::{Scenario, key};
use claviger_store::sqlite::{DATABASE_FILE, Fault, Faults, SqliteConfig};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const LOOK: &str = "{ viewer { keys(first: 100) { totalCount nodes { id name version } } history(first: 1) { nodes { position } } } }";

async fn listening(home: &Home, max_pages: Option<u32>) -> Listening {
    let config = config(&home.data(), NO_UPSTREAM);
    let sqlite = SqliteConfig { max_pages, ..sqlite_config(home.data()) };
    let core = Core::open_on(&config, system(), sqlite).await.unwrap();
    Listening::bind(core, &config).await.unwrap()
}

/// A disk whose next fsync fails.
#[derive(Default)]
struct Failing(AtomicBool);

impl Faults for Failing {
    fn before_commit(&self, _: usize) -> Option<Fault> {
        self.0.load(Ordering::Relaxed).then_some(Fault::Io)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_nobody_knows_is_called_so() {
    let (home, disk) = (Home::new(), Arc::<Failing>::default());
    let config = config(&home.data(), NO_UPSTREAM);
    let sqlite = SqliteConfig { faults: Arc::clone(&disk) as _, ..sqlite_config(home.data()) };
    let core = Core::open_on(&config, system(), sqlite).await.unwrap();
    let store = Arc::clone(&core.store);
    let listening = Listening::bind(core, &config).await.unwrap();
    let url = format!("http://{}", listening.address());
    let serving = TaskTracker::new().spawn(listening.serve(CancellationToken::new()));
    let account = Client::register(&url, "ada").await;
    // Otherwise it may be their commit that fails, and the server ends before it is asked.
    caught_up(&*store).await;
    disk.0.store(true, Ordering::Relaxed);
    let answer = add(&account, 1).await;
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"]["code"], "STORE_UNAVAILABLE", "{answer}");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("is not known") && message.contains("the same idempotency key"),
        "{message}"
    );
    assert!(!answer.to_string().contains("nothing was changed"), "{answer}");
    assert!(serving.await.unwrap().is_err(), "the process ends");
}

async fn add(account: &Client, n: u64) -> Value {
    let input = json!({"name": format!("key {n}"), "secret": key(Scenario::Good, n)});
    account.send_mutation("addKey", input).await.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_is_new_and_shows_what_is_there() {
    let home = Home::new();
    let server = home.serve(NO_UPSTREAM);
    let account = Client::register(server.url(), "ada").await;
    account.add("first", &key(Scenario::Good, 0)).await;
    server.stop().await;
    let connection = Connection::open(home.data().join(DATABASE_FILE)).unwrap();
    let pages: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    drop(connection);

    let listening = listening(&home, Some(pages + 6)).await;
    let shutdown = CancellationToken::new();
    let account = account.at(&format!("http://{}", listening.address()));
    let serving = TaskTracker::new().spawn(listening.serve(shutdown.clone()));
    let (mut before, mut refusal) = (Value::Null, Value::Null);
    for n in 1..100 {
        let looked = account.ask(LOOK, json!({})).await;
        let answer = add(&account, n).await;
        if answer["errors"].is_array() {
            (before, refusal) = (looked, answer);
            break;
        }
    }
    assert_eq!(refusal["errors"][0]["extensions"]["code"], "STORE_UNAVAILABLE", "{refusal}");
    assert_eq!(account.ask(LOOK, json!({})).await, before, "a refused command changed something");
    let again = add(&account, 200).await;
    assert_eq!(again["errors"][0]["extensions"]["code"], "STORE_UNAVAILABLE");
    assert_eq!(account.ask(LOOK, json!({})).await, before);
    let health = http().get(format!("{}/health", account.url())).send().await.unwrap();
    assert_eq!(health.status(), 503);
    let health: Value = health.json().await.unwrap();
    assert_eq!(health["services"]["database"], "degraded", "{health}");
    shutdown.cancel();
    serving.await.unwrap().unwrap();

    home.verified();
    let server = home.serve(NO_UPSTREAM);
    let account = account.at(server.url());
    assert_eq!(account.ask(LOOK, json!({})).await, before);
    let input = json!({"name": "room again", "secret": key(Scenario::Good, 300)});
    account.command(&Order::new("addKey", input)).await.done();
    server.stop().await;
    home.verified();
}
