//! Several server processes on one MongoDB: one order, no two defaults, no client starves.

use super::concurrency::{CLIENTS, LOOK, Tally, check, client, observer, order};
use super::orders::Order;
use crate::harness::client::Client;
use crate::harness::dice::{Dice, number, seed};
use crate::harness::mongo::{TestServer, server};
use crate::harness::program::{Home, Ran, Server};
use crate::harness::stores::mongodb;
use crate::harness::upstream::NO_UPSTREAM;
use crate::harness::world::TEST_KEY;
use crate::store::mongo::proxy::{Act, Proxy};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claviger::simulator::keys::{Scenario, key};
use claviger_projections::ports::Log;
use claviger_store::mongo::MongoStore;
use futures::future::{join, join_all, join3};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Operations of each client, however slow the machine is.
const AT_LEAST: u64 = 2;

/// Server processes on one database.
struct Farm {
    home: Home,
    uri: String,
    servers: Vec<Server>,
    /// In this process: reads what they write.
    store: Arc<MongoStore>,
}

impl Farm {
    async fn start(server: &TestServer, count: usize) -> Self {
        let uri = server.uri_text(&server.database());
        let store = mongodb(uri.parse().unwrap()).await;
        let mut farm = Self { home: Home::new(), uri, servers: Vec::new(), store };
        for _ in 0..count {
            farm.servers.push(farm.serve(&farm.uri));
        }
        farm
    }

    fn serve(&self, uri: &str) -> Server {
        self.home.serve_with(NO_UPSTREAM, |command| {
            command
                .env("CLAVIGER_MONGODB_URI", uri)
                .env("CLAVIGER_MASTER_KEYS", TEST_KEY)
                .env("CLAVIGER_TOKEN_KEY", TEST_KEY);
        })
    }

    /// The server that a client with this number uses.
    fn of(&self, account: &Client, client: usize) -> Client {
        account.at(self.servers[client % self.servers.len()].url())
    }

    /// A user who has `keys` keys.
    async fn user(&self, n: u64, keys: u64) -> (Client, Vec<String>) {
        let index = usize::try_from(n).unwrap();
        let url = self.servers[index % self.servers.len()].url();
        let account = Client::register(url, &format!("user{n}")).await;
        let mut ids = Vec::new();
        for k in 0..keys {
            // Each key through another process.
            let by = self.of(&account, index + usize::try_from(k).unwrap());
            ids.push(by.add(&format!("key {k}"), &key(Scenario::Good, n * 100 + k)).await);
        }
        (account, ids)
    }

    /// Ends everything; how many events `claviger verify` found in order.
    async fn verified(self) -> u64 {
        for server in self.servers {
            server.stop().await;
        }
        let mut command = self.home.command(&["verify", "--json"]);
        command
            .env("CLAVIGER_MONGODB_URI", &self.uri)
            .env("CLAVIGER_MASTER_KEYS", TEST_KEY)
            .env("CLAVIGER_TOKEN_KEY", TEST_KEY);
        let report = Ran::of(command, b"").assert_code(0).json();
        assert_eq!(report["problem_count"], 0, "{report}");
        self.store.database().drop().await.unwrap();
        self.store.close().await;
        report["events"].as_u64().unwrap()
    }
}

/// Reads while the others write, until they have ended and nothing is left. No position is left
/// out, and nothing comes twice.
async fn follow(store: &MongoStore, from: u64, ended: &AtomicBool) -> Vec<(u64, String)> {
    let (mut seen, mut ids, mut watch) = (Vec::new(), BTreeSet::new(), store.watch());
    let mut cursor = from;
    loop {
        let was_over = ended.load(Ordering::Relaxed);
        let events = store.read(cursor, 100).await.unwrap();
        if events.is_empty() && was_over {
            return seen;
        }
        for event in &events {
            assert_eq!(event.envelope.position, cursor + 1);
            cursor += 1;
            // As the GraphQL face writes it.
            let id = STANDARD.encode(format!("Event:{}", event.envelope.id.0));
            assert!(ids.insert(id.clone()), "seen twice");
            seen.push((cursor, id));
        }
        if events.is_empty() {
            // The wake-up, or a look now and then.
            drop(
                tokio::time::timeout(
                    Duration::from_millis(200),
                    watch.wait_for(|known| *known > cursor),
                )
                .await,
            );
        }
    }
}

/// What the servers committed, each by itself.
struct Shares(Vec<u64>);

impl Shares {
    fn of(tallies: &[Tally], servers: usize) -> Self {
        let mut shares = vec![0; servers];
        for (client, tally) in tallies.iter().enumerate() {
            shares[client % servers] += tally.events.len() as u64;
        }
        Self(shares)
    }

    /// Of all commits, what the slowest server has, in percent.
    fn least(&self) -> u64 {
        self.0.iter().min().unwrap() * 100 / self.0.iter().sum::<u64>().max(1)
    }
}

/// One client of many users.
async fn roamer(
    farm: &Farm,
    users: &[(Client, Vec<String>)],
    n: usize,
    goes_on: impl Fn(u64) -> bool,
) -> Tally {
    let (mut dice, mut tally) = (Dice::new(seed() ^ ((n as u64) << 24)), Tally::default());
    // All users have a client, all clients a user.
    let clients = usize::try_from(CLIENTS).unwrap();
    let mine = users.iter().cycle().skip(n).step_by(clients).take(users.len().div_ceil(clients));
    let accounts: Vec<_> = mine.map(|(account, keys)| (farm.of(account, n), keys)).collect();
    while goes_on(tally.operations) {
        let (account, keys) = dice.pick(&accounts);
        let payload = account.command(&order(&mut dice, keys)).await;
        tally.operations += 1;
        match payload.refusal() {
            Some("CONFLICT") => tally.conflicts += 1,
            Some(_) => panic!("{payload:?}"),
            None => tally.events.extend(payload.events()),
        }
    }
    tally
}

/// The follower saw every acknowledged event, each at its position, and nothing else.
fn compare(seen: &[(u64, String)], tallies: &[Tally]) {
    let answered: Vec<_> = tallies.iter().flat_map(|tally| tally.events.iter().cloned()).collect();
    let mut sorted = answered.clone();
    sorted.sort();
    assert!(seen == sorted, "{} events were seen, {} answered", seen.len(), sorted.len());
}

async fn race(count: usize, least_share: u64) {
    let Some(server) = server().await else { return };
    let long = number("CLAVIGER_TEST_SECONDS");
    let (time, users) =
        (Duration::from_secs(long.unwrap_or(4)), if long.is_some() { 200 } else { 16 });
    // All the servers, their clients and the other tests share the machine with the database.
    let crowd = if long.is_some() { CLIENTS } else { 16 };
    let farm = Farm::start(server, count).await;
    let (account, keys) = farm.user(0, 10).await;
    let mut at = farm.store.head().await.unwrap().position;

    let (began, ended) = (Instant::now(), AtomicBool::new(false));
    let clients = async {
        let clients = (0..crowd).map(|n| {
            let account = farm.of(&account, usize::try_from(n).unwrap());
            let keys = &keys;
            async move {
                client(account, keys, n, |done| done < AT_LEAST || began.elapsed() < time).await
            }
        });
        let tallies = join_all(clients).await;
        ended.store(true, Ordering::Relaxed);
        tallies
    };
    let observers = join_all((0..count).map(|n| observer(farm.of(&account, n), &ended)));
    let (one_user, looks, seen) = join3(clients, observers, follow(&farm.store, at, &ended)).await;
    compare(&seen, &one_user);
    for n in 0..count {
        check(&farm.of(&account, n).ask(LOOK, json!({})).await);
    }
    at += seen.len() as u64;

    let mut roamed = Vec::new();
    for n in 1..=users {
        roamed.push(farm.user(n, 2).await);
    }
    at = farm.store.head().await.unwrap().position.max(at);
    let (began, ended) = (Instant::now(), AtomicBool::new(false));
    let clients = async {
        let clients = (0..CLIENTS).map(|n| {
            roamer(&farm, &roamed, usize::try_from(n).unwrap(), |done| {
                done < AT_LEAST || began.elapsed() < time
            })
        });
        let tallies = join_all(clients).await;
        ended.store(true, Ordering::Relaxed);
        tallies
    };
    let (many_users, seen) = join(clients, follow(&farm.store, at, &ended)).await;
    compare(&seen, &many_users);
    at += seen.len() as u64;

    let shares = [Shares::of(&one_user, count), Shares::of(&many_users, count)];
    println!(
        "{count} processes, {} s each: one user, 10 keys: commits by process {:?}, {} looks; {users} users: commits by process {:?}",
        time.as_secs(),
        shares[0].0,
        looks.iter().sum::<u64>(),
        shares[1].0,
    );
    assert_eq!(farm.verified().await, at);
    assert!(shares[1].0.iter().all(|commits| *commits > 0), "{:?}", shares[1].0);
    // A share of a few commits measures how busy the machine is: it is asserted only where there
    // was time for many.
    if long.is_some() {
        for shares in shares {
            assert!(shares.least() >= least_share, "{:?}", shares.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_one_database_make_one_order_and_neither_starves() {
    race(2, 25).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_servers_on_one_database_make_one_order_and_none_starves() {
    race(4, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mutation_whose_client_goes_away_is_done_once() {
    let Some(server) = server().await else { return };
    let mut farm = Farm::start(server, 0).await;
    let proxy = Proxy::before(server).await;
    let uri = server.uri_by(&proxy.address().to_string(), farm.store.database().name());
    farm.servers.push(farm.serve(&uri));
    let (account, _) = farm.user(0, 0).await;
    let before = farm.store.head().await.unwrap().position;
    for n in 0..10_u64 {
        let input = json!({"name": format!("key {n}"), "secret": key(Scenario::Good, n), "idempotencyKey": format!("once {n}")});
        let order = Order::new("addKey", input);
        let met = proxy.times_met();
        // Of all transactions only the mutation's own names its event. The connection is closed
        // while it is under way.
        proxy.rule("KeyAdded", 1, Act::Delay(Duration::from_millis(100)));
        let gone = account.apart();
        tokio::select! {
            answer = gone.try_command(&order) => panic!("{answer:?}"),
            () = proxy.met(met + 1) => drop(gone),
        }
        let repeated = account.command(&order).await.done();
        assert!(repeated.replayed(), "{repeated:?}");
    }
    let data = account.ask("{ viewer { keys(first: 100) { totalCount } } }", Value::Null).await;
    assert_eq!(data["viewer"]["keys"]["totalCount"], 10, "{data}");
    let events = farm.store.read(before, 100).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.envelope.kind == "KeyAdded").count(), 10);
    farm.verified().await;
}
