//! An empty store, a simulated Anthropic, and a configuration for processes that come and go.

use super::environment::system;
use super::program::PROGRAM;
use super::stores::{Opened, Place, StoreKind, TempPlace};
use super::upstream;
use claviger::app::config::{Config, ListenAddress, Settings};
use claviger::auth::Registration;
use claviger::simulator::{Simulator, SimulatorConfig};
use claviger::system::environment::Environment;
use claviger_domain::secret::SecretText;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Thirty-two bytes in base64: several processes share it, so none makes its own.
pub(crate) const TEST_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A process on the embedded store in `dir`, at a port of its own, with open registration, and with
/// nothing of the environment that the tests run in. It makes its own key files.
pub(crate) fn config(dir: &Path, upstream: &str) -> Config {
    let listen = Some(ListenAddress(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
    let mut config = Config::load(Settings { listen, ..Settings::default() }).unwrap();
    config.anthropic_base_url = Some(upstream.to_owned());
    config.registration = Registration::Open;
    config.anthropic_api_key = None;
    config.claude_api_key = None;
    config.mongodb_uri = None;
    config.master_keys = None;
    config.token_key = None;
    dir.clone_into(&mut config.data_dir);
    // This process is the test's program, not the one that starts others.
    config.launcher = PROGRAM.into();
    config
}

/// A store and Anthropic; processes come and go.
pub(crate) struct World {
    pub(crate) config: Config,
    /// The outside world of its processes.
    pub(crate) env: Environment,
    simulator: Option<Simulator>,
    place: TempPlace,
}

impl World {
    /// An empty store, and the operating system's time and chance.
    pub(crate) async fn open(kind: StoreKind) -> Self {
        Self::at(TempPlace::new(kind).await, system(), |simulator| simulator).await
    }

    /// The same [apart](TempPlace::apart) from other tests.
    pub(crate) async fn apart(kind: StoreKind) -> Self {
        Self::at(TempPlace::apart(kind).await, system(), |simulator| simulator).await
    }

    /// The same at this place, in this outside world, with another simulator, which has its clock.
    pub(crate) async fn at(
        place: TempPlace,
        env: Environment,
        simulator: impl FnOnce(SimulatorConfig) -> SimulatorConfig,
    ) -> Self {
        let simulator = simulator(upstream::by(Arc::clone(&env.clock)));
        let simulator = Simulator::start(simulator).await.unwrap();
        let mut config = config(place.dir(), &simulator.base_url());
        config.mongodb_uri = place.uri().map(|uri| uri.parse().unwrap());
        config.master_keys = Some(SecretText::new(TEST_KEY.to_owned()));
        config.token_key = Some(SecretText::new(TEST_KEY.to_owned()));
        Self { config, env, simulator: Some(simulator), place }
    }

    pub(crate) fn simulator(&self) -> &Simulator {
        self.simulator.as_ref().unwrap()
    }

    /// From now on nothing answers at Anthropic's address, and what hangs there ends.
    pub(crate) async fn stop_simulator(&mut self) {
        self.simulator.take().unwrap().stop().await;
    }

    /// The address of the database, on MongoDB.
    pub(crate) fn uri(&self) -> Option<&str> {
        self.place.uri()
    }

    /// The store, opened beside any processes that have it open.
    pub(crate) async fn open_store(&self) -> Opened {
        Place::of(&self.config).open().await
    }

    /// The store becomes what a kill of its processes at this moment leaves. Keep what is returned
    /// until they are gone.
    pub(crate) fn killed(&mut self) -> tempfile::TempDir {
        let old = self.place.killed();
        self.place.dir().clone_into(&mut self.config.data_dir);
        old
    }

    /// What a server needs in its environment to serve this world's store.
    pub(crate) fn describe(&self, command: &mut Command) {
        command.env("CLAVIGER_DATA_DIR", &self.config.data_dir);
        command.env("CLAVIGER_LEASE_MS", self.config.lease_ms.to_string());
        command.env("CLAVIGER_DRAIN_MS", self.config.drain_ms.to_string());
        command.env("CLAVIGER_MASTER_KEYS", TEST_KEY).env("CLAVIGER_TOKEN_KEY", TEST_KEY);
        if let Some(uri) = self.place.uri() {
            command.env("CLAVIGER_MONGODB_URI", uri);
        }
    }

    pub(crate) async fn close(self) {
        self.place.remove().await;
    }
}
