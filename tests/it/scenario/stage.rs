//! A server in this process with everything around it: its store, the time, and Anthropic.

use super::client::Client;
use crate::store::mongo::server;
use claviger::app::config::{Config, Settings};
use claviger::app::lifecycle::Listening;
use claviger::app::wiring::Core;
use claviger::auth::Registration;
use claviger::background::timers::Timers;
use claviger::bus::Bus;
use claviger::live::EventHub;
use claviger::simulator::{Simulator, SimulatorConfig};
use claviger::system::environment::{Clock, Effects};
use claviger_domain::id::UserId;
use claviger_domain::secret::SecretText;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::feed::Topic;
use claviger_projections::ports::Store;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A store to run on. Another one needs a value here, its configuration in [`Stage::with`] and its way to crash in
/// [`StoreKind::left_by_a_crash`].
#[derive(Clone, Copy, Debug)]
pub(super) enum StoreKind {
    Sqlite,
    MongoDb,
}

impl StoreKind {
    /// The stores that can be had here.
    pub(super) async fn available() -> &'static [Self] {
        if server().await.is_some() { &[Self::Sqlite, Self::MongoDb] } else { &[Self::Sqlite] }
    }

    /// What a process that is killed at this moment leaves behind.
    fn left_by_a_crash(self, dir: &Path) -> TempDir {
        match self {
            // The files as they are, without shared memory and lock: the old process still runs, and must not matter.
            Self::Sqlite => {
                let copy = tempfile::tempdir().unwrap();
                for file in ["claviger.db", "claviger.db-wal", "master.key", "token.key"] {
                    if dir.join(file).exists() {
                        std::fs::copy(dir.join(file), copy.path().join(file)).unwrap();
                    }
                }
                copy
            }
            // Everything is in the database, which outlives its clients.
            Self::MongoDb => tempfile::tempdir().unwrap(),
        }
    }
}

/// Plays a scenario on every store, each time on a fresh server.
pub(super) async fn on_every_store(scenario: impl AsyncFn(&mut Stage)) {
    for kind in StoreKind::available().await {
        let mut stage = Stage::open(*kind).await;
        Box::pin(scenario(&mut stage)).await;
        stage.close().await;
    }
}

/// A clock that stands still until it is moved. It begins at 2026-11-23T15:00:00Z.
pub(super) struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A running server.
struct Running {
    runtime: Option<Runtime>,
    address: SocketAddr,
    store: Arc<dyn Store>,
    bus: Arc<Bus>,
    hub: Arc<EventHub>,
    effects: Effects,
    stopping: CancellationToken,
    ended: JoinHandle<()>,
}

impl Running {
    /// A runtime of its own, so that it can be dropped in the middle of everything.
    async fn open(config: &Config, clock: &Arc<TestClock>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let effects = Effects { clock: Arc::<TestClock>::clone(clock), ..Effects::system() };
        let (config, stopping) = (config.clone(), CancellationToken::new());
        let (effects_of_core, until) = (effects.clone(), stopping.clone());
        let opened = runtime.spawn(async move {
            let core = Core::open(&config, effects_of_core, "claviger scenario").await.unwrap();
            let (store, bus, hub) =
                (Arc::clone(&core.store), Arc::clone(&core.bus), Arc::clone(&core.hub));
            let listening = Listening::bind(core, &config).await.unwrap().without_timers();
            let address = listening.address();
            let ended =
                TaskTracker::new().spawn(async move { listening.serve(until).await.unwrap() });
            (address, store, bus, hub, ended)
        });
        let (address, store, bus, hub, ended) = opened.await.unwrap();
        Self { runtime: Some(runtime), address, store, bus, hub, effects, stopping, ended }
    }

    async fn close(mut self) {
        self.stopping.cancel();
        (&mut self.ended).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The server, its store, the time, and Anthropic.
pub(super) struct Stage {
    kind: StoreKind,
    config: Config,
    /// On MongoDB: the stage's own.
    database: Option<String>,
    dir: TempDir,
    running: Running,
    pub(super) clock: Arc<TestClock>,
    simulator: Option<Simulator>,
}

impl Stage {
    /// An empty store, registration open, nothing in the environment.
    pub(super) async fn open(kind: StoreKind) -> Self {
        Self::with(kind, |_| {}).await
    }

    /// The same with another configuration.
    pub(super) async fn with(kind: StoreKind, change: impl FnOnce(&mut Config)) -> Self {
        println!("on {kind:?}");
        let clock = Arc::new(TestClock(AtomicU64::new(1_795_446_000_000)));
        let for_simulator = Arc::clone(&clock);
        let simulator = SimulatorConfig::new(Arc::new(move || for_simulator.now()));
        let simulator = SimulatorConfig { slow_delay: Duration::from_millis(1), ..simulator };
        let simulator = Simulator::start(simulator).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut config = plain_config(dir.path(), simulator.base_url());
        let database = match kind {
            StoreKind::Sqlite => None,
            StoreKind::MongoDb => Some(use_mongodb(&mut config).await),
        };
        change(&mut config);
        let running = Running::open(&config, &clock).await;
        Self { kind, config, database, dir, running, clock, simulator: Some(simulator) }
    }

    /// Stops in order: a store that can't be closed fails the test.
    pub(super) async fn close(self) {
        self.running.close().await;
        if let (Some(name), Some(server)) = (&self.database, server().await) {
            server.remove(name).await;
        }
    }

    /// Kills the server in the middle of everything and starts another on what it left behind.
    pub(super) async fn crash(&mut self) {
        let left = self.kind.left_by_a_crash(self.dir.path());
        self.config.data_dir = left.path().to_owned();
        self.running = Running::open(&self.config, &self.clock).await;
        self.dir = left;
    }

    pub(super) fn simulator(&self) -> &Simulator {
        self.simulator.as_ref().unwrap()
    }

    /// From now on nobody answers at Anthropic's address, and what hangs there ends.
    pub(super) async fn stop_simulator(&mut self) {
        self.simulator.take().unwrap().stop().await;
    }

    pub(super) fn advance_ms(&self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// A time from now, as the API writes it.
    pub(super) fn in_ms(&self, ms: u64) -> String {
        self.clock.now().plus_ms(ms).to_string()
    }

    /// Does what is due, as the timers would.
    pub(super) async fn tick(&self) {
        let Running { store, bus, effects, .. } = &self.running;
        Timers { store: Arc::clone(store), bus: Arc::clone(bus), effects: effects.clone() }
            .tick()
            .await;
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.running.store
    }

    /// What `/health` says.
    pub(super) async fn health(&self) -> Value {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer =
            http.get(format!("http://{}/health", self.running.address)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    pub(super) fn bus(&self) -> &Arc<Bus> {
        &self.running.bus
    }

    /// Where the server listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// Asks the server to stop, without waiting for it.
    pub(super) fn begin_to_stop(&self) {
        self.running.stopping.cancel();
    }

    /// Does anything on the server listen to this user's events?
    pub(super) fn is_listened_to(&self, user: UserId) -> bool {
        !self.running.hub.listened([Topic::Owner(user)]).is_empty()
    }

    /// Somebody who isn't signed in.
    pub(super) fn nobody(&self) -> Client {
        self.nobody_from(Ipv4Addr::LOCALHOST.into())
    }

    /// The same from another address of this machine.
    pub(super) fn nobody_from(&self, from: IpAddr) -> Client {
        Client::new(self.running.address, from)
    }

    /// A new user, signed in.
    pub(super) async fn user(&self, name: &str) -> Client {
        let input = json!({ "username": name, "email": format!("{name}@example.org"), "password": password(name) });
        let nobody = self.nobody();
        let payload = nobody.done("register", input).await;
        nobody.with_token(payload["accessToken"].as_str().unwrap())
    }

    /// Position of the last event.
    pub(super) async fn head(&self) -> u64 {
        self.running.store.head().await.unwrap().position
    }

    /// Everything that a refusal must leave alone: the log's end, and what the user sees.
    pub(super) async fn state_of(&self, client: &Client) -> (u64, Value) {
        let query = "{ viewer { id username email keys(first: 50) { totalCount nodes { ...K } } \
            resolution { candidates { source chosen reason } } sessions { id lastSeenAt } } }";
        (self.head().await, client.ask(query, json!({})).await)
    }

    /// Runs a mutation that must be refused and must change nothing; answers with its one user error.
    pub(super) async fn refused(&self, client: &Client, mutation: &str, input: Value) -> Value {
        let before = self.state_of(client).await;
        let payload = client.run(mutation, input).await;
        assert_eq!(
            self.state_of(client).await,
            before,
            "{mutation} was refused and changed something"
        );
        for field in ["key", "commit", "deletedId", "accessToken", "refreshToken", "viewer"] {
            assert!(
                payload[field].is_null(),
                "{mutation} was refused and answers {field}: {payload}"
            );
        }
        let errors = payload["userErrors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{mutation}: {payload}");
        let message = errors[0]["message"].as_str().unwrap();
        assert!(message.len() > 10, "{mutation} doesn't say what is wrong: {message:?}");
        errors[0].clone()
    }
}

pub(super) fn password(name: &str) -> String {
    format!("the password of {name}")
}

/// Thirty-two bytes in base64: several processes would share it, so none makes its own.
const TEST_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Nothing of the environment that the tests run in.
fn plain_config(dir: &Path, base_url: String) -> Config {
    let settings = Settings {
        listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        ..Settings::default()
    };
    let mut config = Config::load(settings).unwrap();
    config.anthropic_base_url = Some(base_url);
    config.registration = Registration::Open;
    // Tests drop sockets without a word, and the server needn't wait for them.
    config.live.closing = Duration::from_millis(200);
    config.anthropic_api_key = None;
    config.claude_api_key = None;
    config.master_keys = None;
    config.token_key = None;
    dir.clone_into(&mut config.data_dir);
    config
}

/// Takes a database of its own; answers with its name.
async fn use_mongodb(config: &mut Config) -> String {
    let server = server().await.expect("the kind is there only with a server");
    let database = server.database();
    config.mongodb_uri = Some(server.uri(&database));
    config.master_keys = Some(SecretText::new(TEST_KEY.to_owned()));
    config.token_key = Some(SecretText::new(TEST_KEY.to_owned()));
    database
}
