//! Processes without faces: their store, their engine, Anthropic, and one user with a key.

use crate::store::mongo::server::{OwnServer, server};
use claviger::auth::Registration;
use claviger::bus::{Bus, Keychain};
use claviger::config::{Config, Settings};
use claviger::effects::Effects;
use claviger::live::Tail;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Reply};
use claviger::simulator::{Simulator, SimulatorConfig};
use claviger::wiring::Core;
use claviger_domain::actor::{Actor, Role, Via};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::failure::Failure;
use claviger_domain::id::{CorrelationId, KeyId, RunId, UserId};
use claviger_domain::orchestration::{AgentDraft, Block, ControlRequest, Draft, RunEvent};
use claviger_domain::secret::SecretText;
use claviger_domain::text::{Context, Email, IdempotencyKey, KeyName, Password, Username};
use claviger_graphql::ports::{
    Call, Caller, KeyCommand, Ports, RequestInfo, RunCommand, RunDetail, RunDone, StartRun,
};
use claviger_projections::ports::{Holder, Store, StoredEvent};
use claviger_projections::run_feed::{Body, FeedCursor, FeedMessage};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Thirty-two bytes in base64: processes share it.
const TEST_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What a design is asked for with; the first so many answers are [`DESIGN`].
pub(super) const DESIGN_PROMPT: &str = "A team that writes.";
const DESIGNS: usize = 200;
const DESIGN: &str = r#"{"name":"Writers","description":"One writes, one reads.","blocks":[
    {"id":"b1","type":"sequential","position":{"x":50,"y":50},"data":{"label":"Write","agents":[],"task":"Write."}},
    {"id":"b2","type":"debate","position":{"x":450,"y":50},"data":{"label":"Read","agents":[],"task":"Read.","rounds":2}}],
    "connections":[{"id":"c1","source":"b1","target":"b2","type":"block"}]}"#;

/// A store to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    MongoDb,
}

impl Kind {
    /// The stores that can be had here.
    pub(super) async fn available() -> &'static [Self] {
        if server().await.is_some() { &[Self::Sqlite, Self::MongoDb] } else { &[Self::Sqlite] }
    }
}

/// A store and Anthropic; processes come and go.
pub(super) struct World {
    pub(super) config: Config,
    /// The outside world of its processes; the operating system's unless a test puts another.
    pub(super) effects: Effects,
    pub(super) simulator: Simulator,
    /// The address of the database, as text, and its name where others are beside it.
    database: Option<(String, Option<String>)>,
    _dir: TempDir,
    _own: Option<OwnServer>,
}

impl World {
    /// An empty store, nothing in the environment, a lease of a second.
    pub(super) async fn open(kind: Kind) -> Self {
        Self::with(kind, |_| {}).await
    }

    /// The same with another configuration.
    pub(super) async fn with(kind: Kind, change: impl FnOnce(&mut Config)) -> Self {
        Self::paced(kind, Duration::ZERO, change).await
    }

    /// The same with text that comes a few characters at a time, with a pause before each.
    pub(super) async fn paced(
        kind: Kind,
        chunk_delay: Duration,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::made(kind, chunk_delay, change, false).await
    }

    /// The same on a MongoDB of its own, where one can be had: killed processes leave transactions open, and other tests would wait for
    /// their end.
    pub(super) async fn apart(
        kind: Kind,
        chunk_delay: Duration,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::made(kind, chunk_delay, change, true).await
    }

    async fn made(
        kind: Kind,
        chunk_delay: Duration,
        change: impl FnOnce(&mut Config),
        is_apart: bool,
    ) -> Self {
        let clock = Effects::system().clock;
        let simulator = SimulatorConfig::new(Arc::new(move || clock.now()));
        let chunk_chars = if chunk_delay.is_zero() { simulator.chunk_chars } else { 6 };
        let simulator =
            SimulatorConfig { record_bodies: true, chunk_delay, chunk_chars, ..simulator };
        let simulator = Simulator::start(simulator).await.unwrap();
        // What a schema alone allows isn't a design yet: its connections must meet.
        for _ in 0..DESIGNS {
            simulator.script().on_prompt(DESIGN_PROMPT, Act::Reply(Reply::text(DESIGN)));
        }
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            ..Settings::default()
        };
        let mut config = Config::load(settings).unwrap();
        config.anthropic_base_url = Some(simulator.base_url());
        config.registration = Registration::Open;
        config.lease_ms = 1_000;
        config.drain_ms = 2_000;
        config.anthropic_api_key = None;
        config.claude_api_key = None;
        config.master_keys = Some(SecretText::new(TEST_KEY.to_owned()));
        config.token_key = Some(SecretText::new(TEST_KEY.to_owned()));
        dir.path().clone_into(&mut config.data_dir);
        let mut database = None;
        let mut own = None;
        if kind == Kind::MongoDb {
            let (uri, name);
            own = if is_apart { OwnServer::start() } else { None };
            if let Some(own) = &own {
                (uri, name) = (own.uri_text(), None);
            } else {
                let server = server().await.expect("the kind is there only with a server");
                let database = server.database();
                (uri, name) = (server.uri_text(&database), Some(database));
            }
            config.mongodb_uri = Some(uri.parse().unwrap());
            database = Some((uri, name));
        }
        change(&mut config);
        Self { config, effects: Effects::system(), simulator, database, _dir: dir, _own: own }
    }

    /// A process on the store, at work.
    pub(super) async fn process(&self) -> Process {
        Process::start(&self.config, self.effects.clone(), None, true).await
    }

    /// A process over a store that somebody else opened; at work, or only taking commands.
    pub(super) async fn process_over(&self, store: Arc<dyn Store>, works: bool) -> Process {
        Process::start(&self.config, self.effects.clone(), Some(store), works).await
    }

    /// A process that takes commands and answers, and works on nothing.
    pub(super) async fn clerk(&self) -> Process {
        Process::start(&self.config, self.effects.clone(), None, false).await
    }

    /// What a server needs in its environment to serve this world's store.
    pub(super) fn describe(&self, command: &mut Command) {
        command.env("CLAVIGER_DATA_DIR", &self.config.data_dir);
        command.env("CLAVIGER_LEASE_MS", self.config.lease_ms.to_string());
        command.env("CLAVIGER_DRAIN_MS", self.config.drain_ms.to_string());
        command.env("CLAVIGER_MASTER_KEYS", TEST_KEY).env("CLAVIGER_TOKEN_KEY", TEST_KEY);
        if let Some((uri, _)) = &self.database {
            command.env("CLAVIGER_MONGODB_URI", uri);
        }
    }

    pub(super) async fn close(self) {
        if let (Some((_, Some(name))), Some(server)) = (&self.database, server().await) {
            // A process that was killed may have left a transaction open, and the server ends it in its own time.
            drop(tokio::time::timeout(Duration::from_secs(5), server.remove(name)).await);
        }
    }
}

/// A process: gone in the middle of everything when dropped.
pub(super) struct Process {
    runtime: Option<Runtime>,
    pub(super) ports: Ports,
    pub(super) store: Arc<dyn Store>,
    pub(super) bus: Arc<Bus>,
    pub(super) keychain: Arc<Keychain>,
    pub(super) holder: Holder,
    stopping: CancellationToken,
    ended: Option<tokio::task::JoinHandle<()>>,
}

impl Process {
    async fn start(
        config: &Config,
        effects: Effects,
        store: Option<Arc<dyn Store>>,
        works: bool,
    ) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (config, stopping) = (config.clone(), CancellationToken::new());
        let until = stopping.clone();
        let started = runtime.spawn(async move {
            let core = match store {
                Some(store) => Core::open_over(&config, effects, store).await,
                None => Core::open(&config, effects, "claviger engine test").await,
            };
            let core = core.unwrap();
            let (ports, store, bus) =
                (core.ports(), Arc::clone(&core.store), Arc::clone(&core.bus));
            let (keychain, holder) = (Arc::clone(&core.keychain), core.holder);
            let tail = Tail { reads: Arc::clone(&core.reads), hub: Arc::clone(&core.hub) };
            let tracker = core.tracker.clone();
            let tail = tracker.spawn(tail.run(until.clone()));
            let engine =
                core.engine().filter(|_| works).map(|engine| tracker.spawn(engine.run(until)));
            let ended = TaskTracker::new().spawn(async move {
                if let Some(engine) = engine {
                    engine.await.unwrap();
                }
                tail.await.unwrap();
                core.close().await;
            });
            (ports, store, bus, (keychain, holder), ended)
        });
        let (ports, store, bus, (keychain, holder), ended) = started.await.unwrap();
        Self {
            runtime: Some(runtime),
            ports,
            store,
            bus,
            keychain,
            holder,
            stopping,
            ended: Some(ended),
        }
    }

    /// Stops in order.
    pub(super) async fn stop(mut self) {
        self.stopping.cancel();
        self.ended.take().unwrap().await.unwrap();
    }

    /// Gone in the middle of everything; returns once nothing of it is left.
    pub(super) async fn vanish(mut self) {
        let runtime = self.runtime.take().unwrap();
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(30)))
            .await
            .unwrap();
    }

    /// A new user whose default key is of this scenario.
    pub(super) async fn user(&self, name: &str, scenario: Scenario) -> User {
        let user = self.newcomer(name).await;
        user.add_key(self, "work", &key(scenario, 1)).await;
        user
    }

    /// A new user without a key.
    pub(super) async fn newcomer(&self, name: &str) -> User {
        let info = RequestInfo {
            correlation: CorrelationId(Effects::system().ids.next()),
            user_agent: None,
            peer: "test".to_owned(),
            via: Via::Graphql,
        };
        let (username, email) =
            (Username::parse(name).unwrap(), Email::parse(&format!("{name}@example.org")).unwrap());
        let password =
            Password::parse(SecretText::new("a long enough password".to_owned())).unwrap();
        let tokens =
            self.ports.accounts.register(info, username, email, password, None).await.unwrap();
        User { caller: tokens.caller, token: tokens.access.expose().to_owned() }
    }

    /// Asks for a run.
    pub(super) async fn try_start(
        &self,
        user: &User,
        start: StartRun,
        idempotency: Option<&str>,
    ) -> Result<RunDone, Failure> {
        let command = RunCommand::Start(Box::new(start));
        self.ports.run_commands.run(user.call(idempotency), user.caller.clone(), command).await
    }

    pub(super) async fn start_run(&self, user: &User, draft: Draft) -> RunId {
        self.try_start(user, start(draft), None).await.unwrap().run
    }

    pub(super) async fn ask(
        &self,
        user: &User,
        run: RunId,
        ask: ControlRequest,
    ) -> Result<RunDone, Failure> {
        self.ports
            .run_commands
            .run(user.call(None), user.caller.clone(), RunCommand::Ask { run, ask })
            .await
    }

    pub(super) async fn detail(&self, user: &User, run: RunId) -> RunDetail {
        self.ports.run_reads.run(user.id(), run).await.unwrap().expect("the run is the user's")
    }

    pub(super) async fn messages(
        &self,
        user: &User,
        run: RunId,
        after: Option<FeedCursor>,
    ) -> BoxStream<'static, Result<FeedMessage, Failure>> {
        self.ports
            .run_feeds
            .follow(user.id(), run, after)
            .await
            .unwrap()
            .expect("the run is the user's")
            .messages
    }

    /// Waits for a message of the run's feed.
    pub(super) async fn until(
        &self,
        user: &User,
        run: RunId,
        mut pleases: impl FnMut(&Body) -> bool,
    ) -> FeedMessage {
        let waiting = async {
            let mut messages = self.messages(user, run, None).await;
            while let Some(message) = messages.next().await {
                let message = message.unwrap();
                if pleases(&message.body) {
                    return message;
                }
            }
            panic!("the run ended without it");
        };
        tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("it takes too long")
    }

    /// The run once it has ended.
    pub(super) async fn ended(&self, user: &User, run: RunId) -> RunDetail {
        self.until(user, run, |body| matches!(body, Body::Terminal(_))).await;
        self.detail(user, run).await
    }

    /// Waits until the run stands still.
    pub(super) async fn paused(&self, user: &User, run: RunId) -> RunDetail {
        let pauses = |body: &Body| match body {
            Body::Snapshot { view, .. } => {
                matches!(view.run.phase, claviger_domain::orchestration::Phase::Paused(_))
            }
            Body::Event { event, .. } => matches!(event.event, RunEvent::RunPaused(_)),
            Body::Delta(_) | Body::AttemptSuperseded { .. } | Body::Gap(_) | Body::Terminal(_) => {
                false
            }
        };
        self.until(user, run, pauses).await;
        self.detail(user, run).await
    }

    /// The run's events.
    pub(super) async fn events(&self, run: RunId) -> Vec<StoredEvent> {
        self.store
            .read_stream(claviger_domain::stream::StreamName::Run(run.0), 0, 10_000)
            .await
            .unwrap()
    }

    /// Their types.
    pub(super) async fn kinds(&self, run: RunId) -> Vec<String> {
        self.events(run).await.into_iter().map(|event| event.envelope.kind).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Somebody signed in.
pub(super) struct User {
    pub(super) caller: Caller,
    /// For requests over HTTP.
    pub(super) token: String,
}

impl User {
    pub(super) fn id(&self) -> UserId {
        self.caller.user
    }

    pub(super) fn call(&self, idempotency: Option<&str>) -> Call {
        Call {
            owner: self.id(),
            actor: Actor { user: Some(self.id()), role: Some(Role::User), via: Via::Graphql },
            correlation: CorrelationId(Effects::system().ids.next()),
            idempotency_key: idempotency.map(|key| IdempotencyKey::parse(key).unwrap()),
        }
    }

    pub(super) async fn add_key(&self, process: &Process, name: &str, secret: &str) -> KeyId {
        let command = KeyCommand::Add {
            name: KeyName::parse(name).unwrap(),
            secret: ApiKeySecret::parse(&SecretText::new(secret.to_owned())).unwrap(),
            make_default: None,
            context: Context::parse("default").unwrap(),
            expires_at: None,
        };
        process.ports.keys.run(self.call(None), command).await.unwrap().key.unwrap()
    }
}

pub(super) fn start(draft: Draft) -> StartRun {
    let context = Context::parse("default").unwrap();
    StartRun { draft, title: None, model: None, key: None, context, max_concurrency: None }
}

pub(super) fn agent(name: &str) -> AgentDraft {
    AgentDraft {
        name: name.to_owned(),
        system_prompt: format!("You are {name}."),
        ..AgentDraft::default()
    }
}

pub(super) fn agents<const N: usize>(names: [&str; N]) -> Vec<AgentDraft> {
    names.map(agent).to_vec()
}

pub(super) fn task(text: &str) -> Vec<Block> {
    vec![Block::Text { text: text.to_owned() }]
}

/// One run of each pattern, all of whose steps succeed.
pub(super) fn one_of_each() -> Vec<(&'static str, Draft)> {
    let of = |text: &str| text.to_owned();
    vec![
        (
            "sequential",
            Draft::Sequential {
                task: task("Count to three."),
                agents: agents(["Ann", "Ben", "Cid"]),
                sequence: None,
            },
        ),
        (
            "debate",
            Draft::Debate {
                topic: of("Tabs?"),
                agents: agents(["Pro", "Con"]),
                participants: None,
                rounds: 2,
            },
        ),
        (
            "hierarchical",
            Draft::Hierarchical {
                task: of("Build a house."),
                manager: agent("Boss"),
                workers: agents(["Wall", "Roof"]),
                worker_names: None,
            },
        ),
        (
            "parallel",
            Draft::Parallel {
                task: of("Name a colour."),
                agents: agents(["One", "Two", "Three"]),
                agent_names: None,
                aggregator: Some(agent("Sum")),
                on_failure: claviger_domain::orchestration::OnFailure::Fail,
            },
        ),
        (
            "routing",
            Draft::Routing {
                task: of("Mend the pipe."),
                router: agent("Router"),
                specialists: agents(["Plumber", "Painter"]),
                specialist_names: None,
            },
        ),
        ("design", Draft::Design { prompt: of(DESIGN_PROMPT), current: None }),
    ]
}

/// Text, in a piece or in the snapshot of whoever came later.
pub(super) fn has_text(body: &Body) -> bool {
    match body {
        Body::Delta(_) => true,
        Body::Snapshot { partial, .. } => partial.iter().any(|one| !one.text.is_empty()),
        Body::Event { .. } | Body::AttemptSuperseded { .. } | Body::Gap(_) | Body::Terminal(_) => {
            false
        }
    }
}
