//! Every reader reads an event of an older schema, on both stores. `KeyRenamed` has a schema 0 for
//! this test: no program appends it.

use super::super::store::mongo_server;
use super::build::{NOW, fresh};
use super::world::{add, config, followed, register, run};
use claviger::app::config::Config;
use claviger::app::wiring::Core;
use claviger::audit::verify::verify;
use claviger::background::view_follower::ViewFollower;
use claviger::system::environment::{Environment, OsEntropy};
use claviger::views::{Replay, View};
use claviger_application::{EventView, KeyCommand, Scope};
use claviger_domain::actor::Actor;
use claviger_domain::id::{CommandId, CorrelationId, EventId, KeyId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::text::KeyName;
use claviger_projections::activity::ActivityView;
use claviger_projections::ports::{ACTIVITY, Append, Direction, Expected, HistoryFilter, NewEvent};
use claviger_proof::leaf_hash;
use claviger_vault::{ContentAd, seal_content};
use futures::StreamExt;
use serde_json::json;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Appends the renaming of a key as an older program would have, without the row of the view; its
/// position.
async fn append_older(core: &Core, owner: UserId, key: KeyId, name: &str) -> u64 {
    let stream = StreamName::KeyRing(owner);
    let version = core.store.read_stream(stream, 0, 1000).await.unwrap().len() as u64;
    let content_key = core.keychain.content_key_of(owner, stream).await.unwrap().unwrap();
    let (kind, schema) = ("KeyRenamed", 0);
    let ad = ContentAd { owner, stream, version: version + 1, kind, schema };
    let content = json!({ "label": name }).to_string();
    let event = NewEvent {
        id: EventId(fresh()),
        kind: kind.to_owned(),
        schema,
        facts: format!("{{\"api_key\":\"{key}\"}}").into_bytes(),
        content: seal_content(&content_key, &ad, content.as_bytes(), &OsEntropy).unwrap(),
        subject: Some(key.0),
    };
    let append = Append {
        stream,
        owner: Some(owner),
        expected: Expected::Exact(version),
        events: vec![event],
        at: NOW,
        actor: Actor::OPERATOR,
        command_id: CommandId(fresh().into_bytes()),
        correlation_id: CorrelationId(fresh()),
        causation_id: None,
        rows: Vec::new(),
        claims: Vec::new(),
        inline: None,
        record: None,
    };
    core.store.append(append).await.unwrap().position
}

fn assert_current(event: &EventView, key: KeyId, name: Option<&str>) {
    let (kind, schema) = (event.envelope.kind.as_str(), event.envelope.schema);
    assert_eq!((kind, schema), ("KeyRenamed", 1));
    assert_eq!(event.facts, json!({ "key": key.to_string() }));
    assert_eq!(event.content, name.map(|name| json!({ "name": name })));
}

/// History, the owner's feed and the feed of everybody show the current schema; the stored row and
/// its leaf are the old ones.
async fn assert_shown(core: &Core, owner: UserId, key: KeyId, position: u64, name: &str) {
    let ports = core.ports();
    let filter = HistoryFilter { above: Some(position - 1), ..HistoryFilter::default() };
    let history = ports.reads.history(owner, filter, Direction::Forward, 1).await.unwrap();
    assert_current(&history[0], key, Some(name));
    let id = history[0].envelope.id;
    assert_current(&ports.reads.event(owner, id).await.unwrap().unwrap(), key, Some(name));
    for (scope, name) in [(Scope::Own(owner), Some(name)), (Scope::All, None)] {
        let mut feed = ports.feeds.events(scope, Some(position - 1)).await.unwrap();
        assert_current(&feed.events.next().await.unwrap().unwrap(), key, name);
    }
    let stored = core.store.event(id).await.unwrap().unwrap();
    assert_eq!(stored.envelope.schema, 0);
    assert_eq!(stored.facts, format!("{{\"api_key\":\"{key}\"}}").into_bytes());
    assert_eq!(stored.leaf, leaf_hash(&stored.envelope, &stored.facts, &stored.content));
}

async fn name_of(core: &Core, owner: UserId, key: KeyId) -> String {
    core.ports().reads.key(owner, key).await.unwrap().unwrap().content.unwrap().name
}

async fn every_reader_reads_an_older_event(config: Config) {
    let core = Core::open(&config, Environment::system(), "claviger test").await.unwrap();
    let ports = core.ports();
    let owner = register(&ports, "ada").await;
    let key = add(&ports, owner, "first").await;
    let position = append_older(&core, owner, key, "an older name").await;
    assert_shown(&core, owner, key, position, "an older name").await;

    let replay = |check| Replay {
        store: Arc::clone(&core.store),
        keychain: Arc::clone(&core.keychain),
        env: core.env.clone(),
        check,
    };
    // The row was left alone above: it differs from what the older event says, and is replaced by
    // it.
    let problems = verify(Arc::clone(&core.store), Arc::clone(&core.keychain)).await.unwrap();
    assert_eq!(problems.problem_count, 1, "{:?}", problems.problems);
    let report = replay(true).run(View::Keys).await.unwrap();
    assert_eq!((report.differing, report.failed_count), (vec![owner.to_string()], 0));
    let report = replay(false).run(View::Keys).await.unwrap();
    assert_eq!((report.changed, report.failed_count), (1, 0));
    assert_eq!(name_of(&core, owner, key).await, "an older name");
    let verified = verify(Arc::clone(&core.store), Arc::clone(&core.keychain)).await.unwrap();
    assert_eq!(verified.problems, Vec::<String>::new());

    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let view = Arc::new(ActivityView);
    let keeper = ViewFollower::new(Arc::clone(&core.store), view, core.holder, core.lease);
    let keeping = tracker.spawn(keeper.run(stop.clone()));
    followed(&*core.store, ACTIVITY).await;
    stop.cancel();
    keeping.await.unwrap();
    let report = replay(true).run(View::Activity).await.unwrap();
    assert_eq!((report.differing_count, report.quarantined), (0, 0));
    core.close().await;

    // A process that starts now folds the whole stream for its first command.
    let core = Core::open(&config, Environment::system(), "claviger test").await.unwrap();
    let name = KeyName::parse("newer").unwrap();
    run(&core.ports(), owner, KeyCommand::Rename { key, name, expected: None }).await;
    assert_eq!(name_of(&core, owner, key).await, "newer");
    assert_shown(&core, owner, key, position, "an older name").await;
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reader_reads_an_event_of_an_older_schema() {
    let dir = tempfile::tempdir().unwrap();
    Box::pin(every_reader_reads_an_older_event(config(&dir))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reader_reads_an_event_of_an_older_schema_with_mongodb_too() {
    let Some(server) = mongo_server().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = Config { mongodb_uri: Some(server.uri(&server.database())), ..config(&dir) };
    Box::pin(every_reader_reads_an_older_event(config)).await;
}
