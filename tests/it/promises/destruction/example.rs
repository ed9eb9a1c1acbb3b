//! A store with something in every table: users, keys, sessions, runs that have ended and one that
//! hangs, a key test that was cut short, an erased user. Some of it changed after its rows were
//! copied.

use super::tables::{Row, Tables};
use crate::harness::environment::fresh;
use crate::harness::events::actor;
use crate::harness::person::{User, api_key, context, password};
use crate::harness::process::Process;
use crate::harness::runs::{line, start};
use crate::harness::stores::{Opened, StoreKind, caught_up, mongo_config, sqlite_config};
use crate::harness::world::{TEST_KEY, World};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger::audit::verify::{Report, verify};
use claviger::bus::AccountRequest;
use claviger::keychain::Keychain;
use claviger::simulator::keys::{Scenario, key};
use claviger::system::environment::Environment;
use claviger_application::{KeyCommand, PeerKey, RequestInfo, Tokens};
use claviger_domain::account::{AccountCommand, EraseAccount, Identity, RegisterExternal};
use claviger_domain::actor::{Actor, Via};
use claviger_domain::failure::Failure;
use claviger_domain::id::{CorrelationId, KeyId, SessionId, UserId};
use claviger_domain::key_test::KeyTestLevel;
use claviger_domain::orchestration::Draft;
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_domain::text::{KeyName, Password, Username};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::TimerKind;
use claviger_store::mongo::MongoStore;
use claviger_store::sqlite::{DATABASE_FILE, SqliteStore};
use claviger_vault::{Kek, KekSet};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

pub(super) struct Example {
    pub(super) opened: Opened,
    pub(super) dir: PathBuf,
    /// The rows of each table before the later changes.
    pub(super) old: BTreeMap<String, Vec<Row>>,
    world: World,
    _left: TempDir,
}

fn info() -> RequestInfo {
    RequestInfo {
        correlation: CorrelationId(fresh()),
        user_agent: Some("a browser".to_owned()),
        peer: PeerKey { network: 0, is_local: true },
        via: Via::Graphql,
    }
}

async fn login(process: &Process, name: &str) -> Tokens {
    let secret = SecretText::new(password(name));
    process.ports.accounts.login(info(), name.to_owned(), secret).await.unwrap()
}

/// Adds a key that expires in an hour.
async fn add(process: &Process, user: &User, name: &str, secret: &str) -> KeyId {
    let add = KeyCommand::Add {
        name: KeyName::parse(name).unwrap(),
        secret: api_key(secret),
        make_default: None,
        context: context(),
        expires_at: Some(process.env.clock.now().plus_ms(3_600_000)),
    };
    process.key(user, add).await.unwrap().key.unwrap()
}

async fn rename(process: &Process, user: &User, key: KeyId, name: &str) {
    let rename = KeyCommand::Rename { key, name: KeyName::parse(name).unwrap(), expected: None };
    process.ports.keys.run(user.call(Some(name)), rename).await.unwrap();
}

async fn account(process: &Process, owner: UserId, command: AccountCommand) {
    let actor = Actor { user: Some(owner), ..actor(Via::Cli) };
    let correlation = CorrelationId(fresh());
    let request = AccountRequest { owner, actor, correlation, command, phc: None };
    process.bus.run_account_command(request).await.unwrap();
}

/// Waits until something is in the store.
async fn until<F: Future<Output = bool>>(mut there: impl FnMut() -> F) {
    let reached = async {
        while !there().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), reached).await.expect("it takes too long");
}

async fn copied(tables: &Tables) -> BTreeMap<String, Vec<Row>> {
    let mut copy = BTreeMap::new();
    for table in tables.names().await {
        copy.insert(table.clone(), tables.rows(&table).await);
    }
    copy
}

/// A run whose request has more than one sealed box: nearly as much text as a run may have.
fn large() -> Draft {
    line(&"x".repeat(262_144 - 100), ["Ann"])
}

/// What users have before anything is replaced.
struct Before {
    ada: User,
    bob: User,
    eve: User,
    keys: [KeyId; 3],
    refreshed: Tokens,
    ended: Tokens,
}

async fn before(process: &Process) -> Before {
    let ada = process.user("ada", Scenario::Good).await;
    let bob = process.user("bob", Scenario::Good).await;
    let eve = process.user("eve", Scenario::Hang).await;
    process.user("carol", Scenario::Good).await;
    let gone = add(process, &ada, "gone", &key(Scenario::Good, 2)).await;
    let other = add(process, &ada, "other", &key(Scenario::Good, 3)).await;
    let bobs = add(process, &bob, "spare", &key(Scenario::Good, 2)).await;
    rename(process, &ada, other, "second").await;
    rename(process, &bob, bobs, "spare two").await;
    let run = process.start_run(&bob, line("Count.", ["Ann", "Ben"])).await;
    process.ended(&bob, run).await;
    let (refreshed, ended) = (login(process, "ada").await, login(process, "ada").await);
    login(process, "bob").await;
    Before { ada, bob, eve, keys: [gone, other, bobs], refreshed, ended }
}

async fn after(process: &Process, before: Before) {
    let Before { ada, bob, eve, keys: [gone, other, bobs], refreshed, ended } = before;
    let accounts = &process.ports.accounts;
    accounts.refresh(info(), refreshed.refresh).await.unwrap();
    accounts.logout(info(), ended.principal).await.unwrap();
    let new = Password::parse(SecretText::new("another password".to_owned())).unwrap();
    let old = SecretText::new(password("bob"));
    accounts.change_password(info(), bob.principal.clone(), old, new).await.unwrap();
    let secret = api_key(&key(Scenario::Good, 9));
    let replace = KeyCommand::ReplaceSecret { key: other, secret, expected: None };
    process.key(&ada, replace).await.unwrap();
    let set = KeyCommand::SetDefault { key: other, context: context(), expected: None };
    process.key(&ada, set).await.unwrap();
    process.key(&ada, KeyCommand::Delete { key: gone, expected: None }).await.unwrap();
    let at = process.env.clock.now().plus_ms(7_200_000);
    let later = KeyCommand::SetExpiry { key: bobs, expires_at: Some(at), expected: None };
    process.key(&bob, later).await.unwrap();
    let carol = login(process, "carol").await.principal.user;
    account(process, carol, EraseAccount.into()).await;
    let external = RegisterExternal {
        identity: Identity { issuer: "https://issuer".to_owned(), subject: "dora".to_owned() },
        username: Username::parse("dora").unwrap(),
        email: None,
        full_name: None,
        session: SessionId(fresh()),
    };
    account(process, UserId(fresh()), external.into()).await;
    let run = process.start_run(&ada, line("Think.", ["Ann"])).await;
    process.ended(&ada, run).await;
    let waits = start(line("Wait.", ["Ann"]));
    let run = process.try_start(&eve, waits, Some("run")).await.unwrap().run;
    until(|| async {
        let events = process.store.read_stream(StreamName::Run(run.0), 0, 100).await.unwrap();
        events.iter().any(|event| event.envelope.kind == "StepAttemptStarted")
    })
    .await;
    hang(process, &eve).await;
    for n in 1..=2 {
        let (now, until) = (process.env.clock.now(), Timestamp(u64::from(u32::MAX) * 1000 + n));
        assert!(process.store.use_ticket(fresh(), until, now).await.unwrap());
    }
}

/// Begins the test of a key that never answers; it is open until its process is gone.
async fn hang(process: &Process, eve: &User) {
    let store = &process.store;
    let key = eve.add_key(process, "hangs", &key(Scenario::Hang, 2)).await;
    let test = KeyCommand::Test { key, level: KeyTestLevel::Authentic, model: None };
    let (ports, call) = (Arc::clone(&process.ports.keys), eve.call(Some("test")));
    TaskTracker::new().spawn(async move { ports.run(call, test).await });
    until(|| async {
        let far = Timestamp(u64::from(u32::MAX) * 1000);
        let timers = store.due_timers(far, 1000).await.unwrap();
        timers.iter().any(|timer| timer.kind == TimerKind::KeyTest)
    })
    .await;
}

impl Example {
    /// The store as described above, or one with a run whose request is large.
    pub(super) async fn build(kind: StoreKind, is_large: bool) -> Self {
        let mut world = World::apart(kind).await;
        // The test that is cut short is still open at the end.
        world.config.test_timeout_ms = 600_000;
        let process = world.serve().await;
        let mut old = BTreeMap::new();
        if is_large {
            let ada = process.user("ada", Scenario::Good).await;
            process.start_run(&ada, large()).await;
        } else {
            let earlier = before(&process).await;
            let tables = beside(&world).await;
            caught_up(&*process.store).await;
            old = copied(&tables).await;
            after(&process, earlier).await;
        }
        caught_up(&*process.store).await;
        process.vanish().await;
        let left = world.killed();
        let opened = world.open_store().await;
        let dir = world.config.data_dir.clone();
        Self { opened, dir, old, world, _left: left }
    }

    /// What `claviger verify` reports: the vault is opened anew.
    pub(super) async fn verified(&self) -> Result<Report, Option<Failure>> {
        let store = self.opened.store();
        let opened = Keychain::open(Arc::clone(&store), keks(), Environment::system()).await;
        let keychain = opened.map_err(|_| None)?;
        verify(store, Arc::new(keychain)).await.map_err(Some)
    }

    /// Whether the program reports what was done to this table, when it opens the store or when it
    /// verifies it.
    pub(super) async fn finds(&self, table: &str) -> bool {
        match self.verified().await {
            Ok(report) if report.problem_count > 0 => true,
            Ok(_) => self.refuses().await,
            Err(None) => true,
            Err(Some(failure)) => panic!("verify ends with {failure:?} because of {table}"),
        }
    }

    /// Whether the store can't be opened at all.
    async fn refuses(&self) -> bool {
        if let Some(uri) = self.world.uri() {
            return match MongoStore::open(&mongo_config(uri.parse().unwrap())).await {
                Ok(store) => {
                    store.close().await;
                    false
                }
                Err(_) => true,
            };
        }
        let copy = tempfile::tempdir().unwrap();
        let to = copy.path().join(DATABASE_FILE);
        let db = rusqlite::Connection::open(self.dir.join(DATABASE_FILE)).unwrap();
        db.execute("VACUUM INTO ?1", [to.to_str().unwrap()]).unwrap();
        SqliteStore::open(&sqlite_config(Path::new(copy.path()))).is_err()
    }

    pub(super) async fn close(self) {
        self.opened.close().await;
        self.world.close().await;
    }
}

async fn beside(world: &World) -> Tables {
    match world.uri() {
        None => {
            let file = world.config.data_dir.join(DATABASE_FILE);
            Tables::Sqlite(rusqlite::Connection::open(file).unwrap())
        }
        Some(uri) => {
            let client = mongodb::Client::with_uri_str(uri).await.unwrap();
            Tables::MongoDb(client.default_database().unwrap())
        }
    }
}

fn keks() -> KekSet {
    let key = STANDARD.decode(TEST_KEY).unwrap();
    KekSet::new(vec![Kek::from_bytes(key.try_into().unwrap())]).unwrap()
}
