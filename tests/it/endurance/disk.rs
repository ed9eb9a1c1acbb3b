//! A disk that is full, in this process: the only way to fill one at a chosen page.

use super::account::{Account, Order, http};
use super::process::Home;
use claviger::app::config::{Config, Settings};
use claviger::app::lifecycle::Listening;
use claviger::app::wiring::Core;
use claviger::simulator::keys::{Scenario, key};
use claviger::system::environment::Effects;
use claviger_domain::timestamp::Timestamp;
use claviger_store::sqlite::{DATABASE_FILE, SqliteConfig};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const LOOK: &str = "{ viewer { keys(first: 100) { totalCount nodes { id name version } } history(first: 1) { nodes { position } } } }";

fn config(home: &Home) -> Config {
    let settings = Settings {
        data_dir: Some(home.data()),
        listen: Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0))),
        anthropic_base_url: Some("http://127.0.0.1:9".to_owned()),
        ..Settings::default()
    };
    Config::load(settings).unwrap()
}

async fn listening(home: &Home, max_pages: Option<u32>) -> Listening {
    let config = config(home);
    let sqlite = SqliteConfig {
        max_pages,
        ..SqliteConfig::new(home.data(), "claviger test", Timestamp(1_795_446_000_000))
    };
    let core = Core::open_on(&config, Effects::system(), sqlite).await.unwrap();
    Listening::bind(core, &config).await.unwrap()
}

fn add(n: u64) -> (&'static str, Value) {
    let query = "mutation($input: AddKeyInput!) { addKey(input: $input) { key { id } userErrors { code } } }";
    (query, json!({"input": {"name": format!("key {n}"), "secret": key(Scenario::Good, n)}}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_is_new_and_shows_what_is_there() {
    let home = Home::new();
    let server = home.serve("http://127.0.0.1:9");
    let account = Account::register(server.url(), "ada").await;
    account.add_key("first", &key(Scenario::Good, 0)).await;
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
        let (query, variables) = add(n);
        let looked = account.ask(LOOK, json!({})).await;
        let answer = account.try_ask(query, &variables).await.unwrap();
        if answer["errors"].is_array() {
            (before, refusal) = (looked, answer);
            break;
        }
    }
    assert_eq!(refusal["errors"][0]["extensions"]["code"], "STORE_UNAVAILABLE", "{refusal}");
    assert_eq!(account.ask(LOOK, json!({})).await, before, "a refused command changed something");
    let (query, variables) = add(200);
    let again = account.try_ask(query, &variables).await.unwrap();
    assert_eq!(again["errors"][0]["extensions"]["code"], "STORE_UNAVAILABLE");
    assert_eq!(account.ask(LOOK, json!({})).await, before);
    let health = http().get(format!("{}/health", account.url())).send().await.unwrap();
    assert_eq!(health.status(), 200);
    shutdown.cancel();
    serving.await.unwrap().unwrap();

    home.verified();
    let server = home.serve("http://127.0.0.1:9");
    let account = account.at(server.url());
    assert_eq!(account.ask(LOOK, json!({})).await, before);
    let input = json!({"name": "room again", "secret": key(Scenario::Good, 300)});
    account.command(&Order::new("addKey", "AddKeyInput", input)).await.done();
    server.stop().await;
    home.verified();
}
