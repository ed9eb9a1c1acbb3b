//! Views are mended in place while commands and a follower go on, on both stores.

use super::super::store::mongo_server;
use super::build::{NOW, fresh};
use claviger::audit::verify::verify;
use claviger::auth::Registration;
use claviger::config::{Config, Settings};
use claviger::effects::Effects;
use claviger::followers::ViewKeeper;
use claviger::replay::{Replay, View};
use claviger::wiring::Core;
use claviger_domain::actor::{Actor, Role, Via};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::id::{CommandId, CorrelationId, EventId, KeyId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_domain::text::{Context, Email, KeyName, Password, Username};
use claviger_graphql::ports::{Call, KeyCommand, Ports, RequestInfo};
use claviger_projections::activity::ActivityView;
use claviger_projections::ports::{ACCOUNTS, ACTIVITY, Append, Expected, KEYS, NewEvent, RowChange, Store, ViewRow};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// A bound for what would never come.
const PATIENCE: Duration = Duration::from_mins(1);

fn config(dir: &TempDir) -> Config {
    let mut config = Config::load(Settings::default()).unwrap();
    config.data_dir = dir.path().to_owned();
    config.registration = Registration::Open;
    config.mongodb_uri = None;
    config.master_keys = Some(SecretText::new("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=".to_owned()));
    config.token_key = config.master_keys.clone();
    config
}

async fn register(ports: &Ports, name: &str) -> UserId {
    let info = RequestInfo { correlation: CorrelationId(fresh()), user_agent: None, peer: "test".to_owned(), via: Via::Graphql };
    let (username, email) = (Username::parse(name).unwrap(), Email::parse(&format!("{name}@example.org")).unwrap());
    let password = Password::parse(SecretText::new(format!("the password of {name}"))).unwrap();
    ports.accounts.register(info, username, email, password, None).await.unwrap().caller.user
}

async fn run(ports: &Ports, owner: UserId, command: KeyCommand) -> KeyId {
    let actor = Actor { user: Some(owner), role: Some(Role::User), via: Via::Graphql };
    let call = Call { owner, actor, correlation: CorrelationId(fresh()), idempotency_key: None };
    ports.keys.run(call, command).await.unwrap().key.unwrap()
}

async fn add(ports: &Ports, owner: UserId, name: &str) -> KeyId {
    let secret = format!("sk-ant-api03-{}AA", name.repeat(91).get(..91).unwrap());
    let secret = ApiKeySecret::parse(&SecretText::new(secret)).unwrap();
    let (name, context) = (KeyName::parse(name).unwrap(), Context::parse("default").unwrap());
    run(ports, owner, KeyCommand::Add { name, secret, make_default: None, context, expires_at: None }).await
}

/// Changes rows behind everybody's back: beside an event of somebody else.
async fn damage(store: &dyn Store, rows: Vec<RowChange>) {
    let stranger = UserId(fresh());
    let event = NewEvent {
        id: EventId(fresh()),
        kind: "Damaged".to_owned(),
        schema: 1,
        facts: b"{}".to_vec(),
        content: Vec::new(),
        subject: None,
    };
    let append = Append {
        stream: StreamName::Run(fresh()),
        owner: Some(stranger),
        expected: Expected::NoStream,
        events: vec![event],
        at: NOW,
        actor: Actor { user: None, role: None, via: Via::System },
        command_id: CommandId(fresh().into_bytes()),
        correlation_id: CorrelationId(fresh()),
        causation_id: None,
        rows,
        claims: Vec::new(),
        inline: None,
        record: None,
    };
    store.append(append).await.unwrap();
}

/// Waits until the view of activity has reached the end of the log.
async fn followed(store: &dyn Store) {
    let reached = async {
        while store.checkpoint(ACTIVITY).await.unwrap().position < store.head().await.unwrap().position {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap();
}

/// Renames a key again and again until it is told to stop.
async fn rename(ports: Ports, owner: UserId, key: KeyId, stop: CancellationToken) -> u64 {
    let mut count = 0;
    while !stop.is_cancelled() {
        let name = KeyName::parse(&format!("name {count}")).unwrap();
        run(&ports, owner, KeyCommand::Rename { key, name, expected: None }).await;
        count += 1;
    }
    count
}

async fn spoilt(store: &dyn Store, view: &'static str, owner: UserId, id: Uuid) -> RowChange {
    let row = store.row(view, owner, id).await.unwrap().unwrap();
    RowChange::PutView(ViewRow { facts: b"{".to_vec(), ..row })
}

async fn views_are_mended_under_load(config: Config) {
    let core = Core::open(&config, Effects::system(), "claviger test").await.unwrap();
    let (ports, store, tracker, stop) = (core.ports(), Arc::clone(&core.store), TaskTracker::new(), CancellationToken::new());
    let keeper = ViewKeeper::new(Arc::clone(&store), Arc::new(ActivityView), core.holder, core.lease);
    let keeping = tracker.spawn(keeper.run(stop.clone()));
    let (ada, bob) = (register(&ports, "ada").await, register(&ports, "bob").await);
    let (lost, busy) = (add(&ports, ada, "lost").await, add(&ports, ada, "busy").await);
    let (bad, other) = (add(&ports, bob, "bad").await, add(&ports, bob, "other").await);
    followed(&*store).await;
    let tag = store.defaults(bob).await.unwrap()[0].0;
    let rows = vec![
        RowChange::DeleteView { view: KEYS, owner: ada, id: lost.0 },
        spoilt(&*store, KEYS, bob, bad.0).await,
        RowChange::PutDefault { owner: bob, tag, key: other },
        spoilt(&*store, ACCOUNTS, bob, bob.0).await,
        spoilt(&*store, ACTIVITY, ada, lost.0).await,
    ];
    damage(&*store, rows).await;
    followed(&*store).await;

    let (keychain, effects) = (Arc::clone(&core.keychain), core.effects.clone());
    let replay = |check| Replay { store: Arc::clone(&store), keychain: Arc::clone(&keychain), effects: effects.clone(), check };
    let expected = [(View::Keys, vec![ada, bob]), (View::Accounts, vec![bob]), (View::Activity, vec![ada])];
    for (view, owners) in &expected {
        let report = replay(true).run(*view).await.unwrap();
        let mut owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
        owners.sort();
        assert_eq!((report.owners, report.differing, report.changed, report.failed_count), (2, owners, 0, 0), "{view:?}");
    }

    let writing = CancellationToken::new();
    let writers =
        [(ada, busy), (bob, other)].map(|(owner, key)| tracker.spawn(rename(ports.clone(), owner, key, writing.clone())));
    for (view, owners) in &expected {
        let report = replay(false).run(*view).await.unwrap();
        assert_eq!((report.changed, report.failed_count), (owners.len() as u64, 0), "{view:?}: {report:?}");
        let recorded = store.read(report.position.unwrap() - 1, 1).await.unwrap().remove(0);
        let facts = format!("{{\"view\":\"{}\",\"owners\":2,\"changed\":{}}}", view.name(), owners.len());
        assert_eq!((recorded.envelope.kind.as_str(), recorded.facts), ("ProjectionRebuilt", facts.into_bytes()));
    }
    writing.cancel();
    for writer in writers {
        assert!(writer.await.unwrap() > 0, "a writer wrote nothing");
    }
    followed(&*store).await;
    for view in View::ALL {
        let report = replay(true).run(*view).await.unwrap();
        assert_eq!((report.owners, report.differing_count, report.quarantined), (2, 0, 0), "{report:?}");
    }
    let verified = verify(Arc::clone(&store), Arc::clone(&core.keychain)).await.unwrap();
    assert_eq!(verified.problems, Vec::<String>::new());
    stop.cancel();
    keeping.await.unwrap();
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_views_are_mended_while_writers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    Box::pin(views_are_mended_under_load(config(&dir))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_views_are_mended_while_writers_go_on_with_mongodb_too() {
    let Some(server) = mongo_server().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = Config { mongodb_uri: Some(server.uri(&server.database())), ..config(&dir) };
    Box::pin(views_are_mended_under_load(config)).await;
}
