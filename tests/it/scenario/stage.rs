//! A server in this process, with a clock that the test moves, and what a refusal must leave alone.

use crate::harness::client::{Answer, Client};
use crate::harness::environment::{TestClock, by};
use crate::harness::process::Process;
use crate::harness::stores::{StoreKind, TempPlace};
use crate::harness::world::World;
use claviger::app::config::Config;
use claviger::bus::Bus;
use claviger::simulator::Simulator;
use claviger_domain::id::UserId;
use claviger_projections::feed::Topic;
use claviger_projections::ports::Store;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Plays a scenario on every store, each time on a fresh server.
pub(super) async fn on_every_store(scenario: impl AsyncFn(&mut Stage)) {
    for kind in StoreKind::available().await {
        let mut stage = Stage::open(*kind).await;
        Box::pin(scenario(&mut stage)).await;
        stage.close().await;
    }
}

/// The server, its store, the time, and Anthropic.
pub(super) struct Stage {
    world: World,
    server: Process,
    pub(super) clock: Arc<TestClock>,
}

impl Stage {
    /// An empty store, registration open, nothing in the environment.
    pub(super) async fn open(kind: StoreKind) -> Self {
        Self::with(kind, |_| {}).await
    }

    /// The same with another configuration.
    pub(super) async fn with(kind: StoreKind, change: impl FnOnce(&mut Config)) -> Self {
        println!("on {kind:?}");
        let clock = TestClock::held();
        let mut world =
            World::at(TempPlace::new(kind).await, by(&clock), |simulator| simulator).await;
        // Tests drop sockets without a word, and the server needn't wait for them.
        world.config.live.closing = Duration::from_millis(200);
        if kind == StoreKind::Sqlite {
            // Its key files are made, and outlive a crash, as an operator's do.
            (world.config.master_keys, world.config.token_key) = (None, None);
        }
        change(&mut world.config);
        let server = world.serve().await;
        Self { world, server, clock }
    }

    /// Stops in order: a store that can't be closed fails the test.
    pub(super) async fn close(self) {
        self.server.stop().await;
        self.world.close().await;
    }

    /// Kills the server in the middle of everything and starts another on what it left behind.
    pub(super) async fn crash(&mut self) {
        let old = self.world.killed();
        self.server = self.world.serve().await;
        drop(old);
    }

    pub(super) fn simulator(&self) -> &Simulator {
        self.world.simulator()
    }

    /// From now on nothing answers at Anthropic's address, and what hangs there ends.
    pub(super) async fn stop_simulator(&mut self) {
        self.world.stop_simulator().await;
    }

    pub(super) fn advance_ms(&self, ms: u64) {
        self.clock.advance_ms(ms);
    }

    /// A time from now, as the API writes it.
    pub(super) fn in_ms(&self, ms: u64) -> String {
        self.clock.now().plus_ms(ms).to_string()
    }

    /// Does what is due, as the timers would.
    pub(super) async fn tick(&self) {
        self.server.tick().await;
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.server.store
    }

    /// The body of `/health`.
    pub(super) async fn health(&self) -> Value {
        let client = self.nobody();
        let url = format!("{}/health", client.url());
        Answer::of(client.request(reqwest::Method::GET, &url)).await.json()
    }

    pub(super) fn bus(&self) -> &Arc<Bus> {
        &self.server.bus
    }

    /// Where the server listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Begins to stop the server, without waiting for its end.
    pub(super) fn begin_to_stop(&self) {
        self.server.begin_to_stop();
    }

    /// Whether anything on the server listens to this user's events.
    pub(super) fn is_listened_to(&self, user: UserId) -> bool {
        !self.server.hub.listened([Topic::Owner(user)]).is_empty()
    }

    /// A client that isn't signed in.
    pub(super) fn nobody(&self) -> Client {
        self.nobody_from(Ipv4Addr::LOCALHOST.into())
    }

    /// The same from another address of this machine.
    pub(super) fn nobody_from(&self, from: IpAddr) -> Client {
        Client::from_address(&format!("http://{}", self.address()), from)
    }

    /// A new user, signed in.
    pub(super) async fn user(&self, name: &str) -> Client {
        self.nobody().registered(name).await
    }

    /// Position of the last event.
    pub(super) async fn head(&self) -> u64 {
        self.store().head().await.unwrap().position
    }

    /// Everything that a refusal must leave alone: the log's end, and what the user sees.
    pub(super) async fn state_of(&self, client: &Client) -> (u64, Value) {
        let query = "{ viewer { id username email keys(first: 50) { totalCount nodes { ...K } } \
            resolution { candidates { source chosen reason } } sessions { id lastSeenAt } } }";
        (self.head().await, client.ask(query, json!({})).await)
    }

    /// Runs a mutation that must be refused and must change nothing; its one user error.
    pub(super) async fn refused(&self, client: &Client, mutation: &str, input: Value) -> Value {
        let before = self.state_of(client).await;
        let payload = client.run(mutation, input).await;
        let after = self.state_of(client).await;
        assert_eq!(after, before, "{mutation} was refused and changed something");
        for field in ["key", "commit", "deletedId", "accessToken", "refreshToken", "viewer"] {
            assert!(
                payload[field].is_null(),
                "{mutation} was refused and returns {field}: {payload}"
            );
        }
        let errors = payload["userErrors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{mutation}: {payload}");
        let message = errors[0]["message"].as_str().unwrap();
        assert!(message.len() > 10, "{mutation} doesn't say what is wrong: {message:?}");
        errors[0].clone()
    }
}
