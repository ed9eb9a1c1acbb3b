//! A store with its vault and its bus, as a server has them, without the server: passwords aren't hashed, so users are quickly made.

use crate::endurance::Dice;
use crate::store::mongo::server::TestServer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger::anthropic::client::{AnthropicClient, AnthropicConfig};
use claviger::anthropic::prices::PriceTable;
use claviger::anthropic::probe::KeyProbe;
use claviger::bus::{AccountCall, Bus, BusConfig, Commands};
use claviger::keychain::{Keychain, LookAgain, Rotation, UserKeys};
use claviger::system::environment::{Effects, OsEntropy};
use claviger::system::metrics::Metrics;
use claviger_application::{Call, Commit, KeyCommand, KeyCommands as _, KeyDone};
use claviger_domain::account::{AccountCommand, ChangePassword, RegisterAccount};
use claviger_domain::actor::{Actor, Role, Via};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::failure::Failure;
use claviger_domain::id::{CorrelationId, KeyId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_domain::text::{Context, Email, KeyName, ModelId, Username};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::Store;
use claviger_store::mongo::{MongoConfig, MongoStore};
use claviger_store::sqlite::{SqliteConfig, SqliteStore};
use claviger_vault::{Kek, KekSet};
use futures::stream::{self, StreamExt as _};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::task::TaskTracker;

/// Master keys, told apart by number.
pub(super) fn kek(n: u8) -> Kek {
    Kek::from_bytes([n; 32])
}

/// A set of them.
pub(super) fn keks(numbers: &[u8]) -> KekSet {
    KekSet::new(numbers.iter().copied().map(kek).collect()).unwrap()
}

/// The same as the environment or a file has them.
pub(super) fn listed(numbers: &[u8]) -> String {
    numbers.iter().map(|n| STANDARD.encode([*n; 32])).collect::<Vec<_>>().join(",")
}

/// Where a store is.
#[derive(Clone)]
pub(super) enum Place {
    Sqlite(PathBuf),
    MongoDb(&'static TestServer, String, Option<EventHandler<CommandEvent>>),
}

impl Place {
    pub(super) fn sqlite(dir: &Path) -> Self {
        Self::Sqlite(dir.to_owned())
    }

    pub(super) fn mongodb(
        server: &'static TestServer,
        monitor: Option<EventHandler<CommandEvent>>,
    ) -> Self {
        Self::MongoDb(server, server.database(), monitor)
    }

    /// Opens it, as a process of its own would where several may.
    pub(super) async fn open(&self) -> Opened {
        match self {
            Self::Sqlite(dir) => {
                let config =
                    SqliteConfig::new(dir, "claviger rotation", Timestamp(1_795_446_000_000));
                Opened::Sqlite(Arc::new(SqliteStore::open(&config).unwrap()))
            }
            Self::MongoDb(server, database, monitor) => {
                let config = MongoConfig::new(server.uri(database), Arc::new(OsEntropy));
                let config = MongoConfig { monitor: monitor.clone(), ..config };
                Opened::MongoDb(Arc::new(MongoStore::open(&config).await.unwrap()))
            }
        }
    }
}

#[derive(Clone)]
pub(super) enum Opened {
    Sqlite(Arc<SqliteStore>),
    MongoDb(Arc<MongoStore>),
}

impl Opened {
    pub(super) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::<SqliteStore>::clone(store),
            Self::MongoDb(store) => Arc::<MongoStore>::clone(store),
        }
    }

    pub(super) async fn close(self) {
        match self {
            Self::Sqlite(store) => store.close(),
            Self::MongoDb(store) => store.close().await,
        }
    }
}

/// A rotation to the first of these keys.
pub(super) fn rotation(store: Arc<dyn Store>, numbers: &[u8]) -> Arc<Rotation> {
    Arc::new(Rotation { store, keks: keks(numbers), effects: Effects::system() })
}

/// A user with one key, as its owner knows it.
#[derive(Clone)]
pub(super) struct User {
    pub(super) id: UserId,
    pub(super) key: KeyId,
    pub(super) secret_version: u32,
    pub(super) secret: String,
    pub(super) password_version: u32,
}

/// What a server has of a store.
pub(super) struct World {
    pub(super) opened: Opened,
    pub(super) keychain: Arc<Keychain>,
    bus: Arc<Bus>,
    effects: Effects,
    names: AtomicU64,
    tracker: TaskTracker,
}

impl World {
    pub(super) async fn open(place: &Place, numbers: &[u8]) -> Self {
        Self::open_with(place, keks(numbers), None).await
    }

    pub(super) async fn open_with(place: &Place, keks: KekSet, again: Option<LookAgain>) -> Self {
        let opened = place.open().await;
        let store = opened.store();
        Self::over(opened, store, keks, again).await
    }

    /// The same over a store of the test's own.
    pub(super) async fn over(
        opened: Opened,
        store: Arc<dyn Store>,
        keks: KekSet,
        again: Option<LookAgain>,
    ) -> Self {
        let (effects, tracker) = (Effects::system(), TaskTracker::new());
        let keychain =
            Keychain::open_with(Arc::clone(&store), keks, again, effects.clone()).await.unwrap();
        let keychain = Arc::new(keychain);
        let client = AnthropicClient::new(&AnthropicConfig::default()).unwrap();
        let probe = KeyProbe::new(client, Arc::new(PriceTable::builtin().unwrap()));
        let test_model = ModelId::parse("claude-haiku-4-5").unwrap();
        let config = BusConfig {
            max_keys: 100,
            test_timeout_ms: 1000,
            test_model,
            metrics: Metrics::default(),
        };
        let bus =
            Bus::new(store, Arc::clone(&keychain), effects.clone(), probe, config, tracker.clone());
        Self { opened, keychain, bus, effects, names: AtomicU64::new(0), tracker }
    }

    pub(super) async fn close(self) {
        self.tracker.close();
        self.tracker.wait().await;
        self.opened.close().await;
    }

    fn actor(user: Option<UserId>) -> Actor {
        Actor { user, role: user.map(|_| Role::User), via: Via::Graphql, credential: None }
    }

    async fn account(&self, user: UserId, command: AccountCommand) -> Result<(), Failure> {
        let correlation = CorrelationId(self.effects.ids.next());
        let phc = Some(SecretText::new(format!("$argon2id$only-a-test${user}")));
        let call = AccountCall { user, actor: Self::actor(None), correlation, command, phc };
        self.bus.run_account_command(call).await.map(drop)
    }

    async fn done(&self, user: UserId, command: KeyCommand) -> Result<KeyDone, Failure> {
        let correlation = CorrelationId(self.effects.ids.next());
        let call = Call {
            owner: user,
            actor: Self::actor(Some(user)),
            correlation,
            idempotency_key: None,
        };
        Commands(Arc::clone(&self.bus)).run(call, command).await
    }

    async fn command(&self, user: UserId, command: KeyCommand) -> Result<KeyId, Failure> {
        Ok(self.done(user, command).await?.key.unwrap())
    }

    /// Gives the key another name.
    pub(super) async fn rename(
        &self,
        user: &User,
        name: &str,
        expected: Option<u64>,
    ) -> Result<Commit, Failure> {
        let command =
            KeyCommand::Rename { key: user.key, name: KeyName::parse(name).unwrap(), expected };
        Ok(self.done(user.id, command).await?.commit)
    }

    /// A new user with one key.
    pub(super) async fn register(&self, dice: &mut Dice) -> Result<User, Failure> {
        let (id, n) = (UserId(self.effects.ids.next()), self.names.fetch_add(1, Ordering::Relaxed));
        let username = Username::parse(&format!("user{n}")).unwrap();
        let email = Email::parse(&format!("user{n}@example.org")).unwrap();
        let command =
            RegisterAccount { username, email, full_name: None, role: Role::User, session: None };
        self.account(id, command.into()).await?;
        let mut user = User {
            id,
            key: KeyId(id.0),
            secret_version: 0,
            secret: String::new(),
            password_version: 1,
        };
        self.add(&mut user, dice).await?;
        Ok(user)
    }

    /// Another key in the place of the one that is known.
    pub(super) async fn add(&self, user: &mut User, dice: &mut Dice) -> Result<(), Failure> {
        let secret = secret(dice);
        let command = KeyCommand::Add {
            name: KeyName::parse(&format!("key {}", dice.next())).unwrap(),
            secret: parsed(&secret),
            make_default: None,
            context: Context::parse("default").unwrap(),
            expires_at: None,
        };
        user.key = self.command(user.id, command).await?;
        (user.secret, user.secret_version) = (secret, 1);
        Ok(())
    }

    pub(super) async fn replace(&self, user: &mut User, dice: &mut Dice) -> Result<(), Failure> {
        let secret = secret(dice);
        self.command(
            user.id,
            KeyCommand::ReplaceSecret { key: user.key, secret: parsed(&secret), expected: None },
        )
        .await?;
        (user.secret, user.secret_version) = (secret, user.secret_version + 1);
        Ok(())
    }

    pub(super) async fn delete(&self, user: &User) -> Result<(), Failure> {
        self.command(user.id, KeyCommand::Delete { key: user.key, expected: None }).await.map(drop)
    }

    pub(super) async fn change_password(&self, user: &mut User) -> Result<(), Failure> {
        self.account(user.id, ChangePassword { session: None }.into()).await?;
        user.password_version += 1;
        Ok(())
    }

    /// Opens everything of a user as its owner knows it.
    pub(super) async fn open_all(&self, user: &User) -> Result<(), Failure> {
        let keys = self.keychain.user(user.id).await?.expect("user keys");
        self.open_all_with(user, &keys).await
    }

    /// The same with keys that were read before.
    pub(super) async fn open_all_with(&self, user: &User, keys: &UserKeys) -> Result<(), Failure> {
        let secret = self
            .keychain
            .open_secret(keys, user.key, user.secret_version)
            .await?
            .expect("a secret");
        assert!(secret.expose() == user.secret, "another secret");
        let phc = self
            .keychain
            .credential(keys, user.password_version)
            .await?
            .expect("a password's hash");
        assert!(phc.expose().ends_with(&user.id.to_string()), "another password's hash");
        for stream in [StreamName::Account(user.id), StreamName::KeyRing(user.id)] {
            assert!(
                self.keychain.content_key(keys, stream).await?.is_some(),
                "no content key of {stream}"
            );
        }
        Ok(())
    }

    /// Many users.
    pub(super) async fn populate(&self, users: u64, dice: &mut Dice) -> Vec<User> {
        let made = stream::iter((0..users).map(|_| Dice::new(dice.next())))
            .map(|mut dice| async move { self.register(&mut dice).await.unwrap() });
        made.buffer_unordered(64).collect().await
    }
}

fn secret(dice: &mut Dice) -> String {
    format!("sk-ant-api03-{:016x}{:016x}", dice.next(), dice.next())
}

fn parsed(secret: &str) -> ApiKeySecret {
    ApiKeySecret::parse(&SecretText::new(secret.to_owned())).unwrap()
}
