//! Processes within this one, each on a runtime of its own, so that it can be dropped in the middle
//! of everything.

use super::world::World;
use claviger::app::config::Config;
use claviger::app::lifecycle::Listening;
use claviger::app::wiring::{Core, NewStore};
use claviger::background::timers::Timers;
use claviger::bus::Bus;
use claviger::keychain::Keychain;
use claviger::limits::Memories;
use claviger::live::{EventHub, Tail};
use claviger::system::environment::Environment;
use claviger_application::Ports;
use claviger_projections::ports::{Holder, Store};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a process does beside taking commands and answering.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    Nothing,
    /// Works on runs.
    Runs,
    /// Serves HTTP, and works on runs.
    Http,
}

impl World {
    /// A process on the store, at work on runs.
    pub(crate) async fn process(&self) -> Process {
        Process::start(&self.config, self.env.clone(), None, Duty::Runs).await
    }

    /// A process that takes commands and answers, and works on nothing.
    pub(crate) async fn clerk(&self) -> Process {
        Process::start(&self.config, self.env.clone(), None, Duty::Nothing).await
    }

    /// A server without timers: a test calls [`Process::tick`].
    pub(crate) async fn serve(&self) -> Process {
        Process::start(&self.config, self.env.clone(), None, Duty::Http).await
    }

    /// A process over a store that a test opened.
    pub(crate) async fn process_over(&self, store: Arc<dyn Store>, duty: Duty) -> Process {
        Process::start(&self.config, self.env.clone(), Some(store), duty).await
    }
}

/// A process: gone in the middle of everything when dropped.
pub(crate) struct Process {
    runtime: Option<Runtime>,
    pub(crate) parts: Parts,
    address: Option<SocketAddr>,
    stopping: CancellationToken,
    ended: Option<JoinHandle<()>>,
}

/// What tests use of a process.
pub(crate) struct Parts {
    pub(crate) ports: Ports,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<Bus>,
    pub(crate) keychain: Arc<Keychain>,
    pub(crate) hub: Arc<EventHub>,
    pub(crate) env: Environment,
    pub(crate) holder: Holder,
    pub(crate) lease: Duration,
    pub(crate) memory: Memories,
}

impl Parts {
    fn of(core: &Core) -> Self {
        Self {
            ports: core.ports(),
            store: Arc::clone(&core.store),
            bus: Arc::clone(&core.bus),
            keychain: Arc::clone(&core.keychain),
            hub: Arc::clone(&core.hub),
            env: core.env.clone(),
            holder: core.holder,
            lease: core.lease,
            memory: core.memory.clone(),
        }
    }
}

impl std::ops::Deref for Process {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Process {
    pub(crate) async fn start(
        config: &Config,
        env: Environment,
        store: Option<Arc<dyn Store>>,
        duty: Duty,
    ) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (config, stopping) = (config.clone(), CancellationToken::new());
        let until = stopping.clone();
        let started = runtime.spawn(async move {
            let core = match store {
                Some(store) => Core::open_over(&config, env, store).await,
                None => Core::open(&config, env, "claviger test", NewStore::Made).await,
            };
            let core = core.unwrap();
            let parts = Parts::of(&core);
            if duty == Duty::Http {
                let listening = Listening::bind(core, &config).await.unwrap().without_timers();
                let address = Some(listening.address());
                let serving = async move { listening.serve(until).await.unwrap() };
                return (parts, address, TaskTracker::new().spawn(serving));
            }
            (parts, None, TaskTracker::new().spawn(run(core, duty, until)))
        });
        let (parts, address, ended) = started.await.unwrap();
        Self { runtime: Some(runtime), parts, address, stopping, ended: Some(ended) }
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    /// Begins to stop, without waiting for the end.
    pub(crate) fn begin_to_stop(&self) {
        self.stopping.cancel();
    }

    /// Stops in order.
    pub(crate) async fn stop(mut self) {
        self.stopping.cancel();
        self.ended.take().unwrap().await.unwrap();
    }

    /// Gone in the middle of everything; returns once nothing of it is left but, on MongoDB, its
    /// transactions: so its store is [apart](crate::harness::stores::TempPlace::apart).
    pub(crate) async fn vanish(mut self) {
        let runtime = self.runtime.take().unwrap();
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(30)))
            .await
            .unwrap();
    }

    /// Does what is due, as the timers would.
    pub(crate) async fn tick(&self) {
        let Parts { store, bus, env, .. } = &self.parts;
        let (store, bus, env) = (Arc::clone(store), Arc::clone(bus), env.clone());
        Timers::new(store, bus, env).tick().await;
    }
}

/// A core without faces, until it is stopped.
async fn run(core: Core, duty: Duty, until: CancellationToken) {
    let tail = Tail { reads: Arc::clone(&core.reads), hub: Arc::clone(&core.hub) };
    let tail = core.tracker.spawn(tail.run(until.clone()));
    if let Some(engine) = core.engine().filter(|_| duty == Duty::Runs) {
        core.tracker.spawn(engine.run(until)).await.unwrap();
    }
    tail.await.unwrap();
    core.close().await;
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
