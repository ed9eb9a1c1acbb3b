//! Every reader reads an event of an older schema, on both stores. `KeyRenamed` has a schema 0 for
//! this test: no program appends it.

use super::world::{add, followed};
use crate::harness::environment::fresh;
use crate::harness::events::append_to;
use crate::harness::process::Process;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::background::view_follower::ViewFollower;
use claviger::system::environment::OsEntropy;
use claviger::views::registry;
use claviger_application::{EventView, KeyCommand, Scope};
use claviger_domain::actor::Actor;
use claviger_domain::id::{EventId, KeyId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::text::KeyName;
use claviger_projections::activity::ActivityView;
use claviger_projections::ports::{ACTIVITY, Append, Direction, HistoryFilter, NewEvent};
use claviger_proof::leaf_hash;
use claviger_vault::{ContentAd, seal_content};
use futures::StreamExt;
use serde_json::json;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Appends the renaming of a key as an older program would have, without the row of the view; its
/// position.
async fn append_older(process: &Process, owner: UserId, key: KeyId, name: &str) -> u64 {
    let stream = StreamName::KeyRing(owner);
    let version = process.store.read_stream(stream, 0, 1000).await.unwrap().len() as u64;
    let content_key = process.keychain.content_key_of(owner, stream).await.unwrap().unwrap();
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
    let append = Append { actor: Actor::OPERATOR, ..append_to(stream, version, vec![event]) };
    process.store.append(append).await.unwrap().position
}

fn assert_current(event: &EventView, key: KeyId, name: Option<&str>) {
    let (kind, schema) = (event.envelope.kind.as_str(), event.envelope.schema);
    assert_eq!((kind, schema), ("KeyRenamed", 1));
    assert_eq!(event.facts, json!({ "key": key.to_string() }));
    assert_eq!(event.content, name.map(|name| json!({ "name": name })));
}

/// History, the owner's feed and the feed of everybody show the current schema; the stored row and
/// its leaf are the old ones.
async fn assert_shown(process: &Process, owner: UserId, key: KeyId, position: u64, name: &str) {
    let ports = &process.ports;
    let filter = HistoryFilter { above: Some(position - 1), ..HistoryFilter::default() };
    let history = ports.reads.history(owner, filter, Direction::Forward, 1).await.unwrap();
    assert_current(&history[0], key, Some(name));
    let id = history[0].envelope.id;
    assert_current(&ports.reads.event(owner, id).await.unwrap().unwrap(), key, Some(name));
    for (scope, name) in [(Scope::Own(owner), Some(name)), (Scope::All, None)] {
        let mut feed = ports.feeds.events(owner, scope, Some(position - 1)).await.unwrap();
        assert_current(&feed.events.next().await.unwrap().unwrap(), key, name);
    }
    let stored = process.store.event(id).await.unwrap().unwrap();
    assert_eq!(stored.envelope.schema, 0);
    assert_eq!(stored.facts, format!("{{\"api_key\":\"{key}\"}}").into_bytes());
    assert_eq!(stored.leaf, leaf_hash(&stored.envelope, &stored.facts, &stored.content));
}

async fn name_of(process: &Process, owner: UserId, key: KeyId) -> String {
    process.ports.reads.key(owner, key).await.unwrap().unwrap().content.unwrap().name
}

async fn every_reader_reads_an_older_event(kind: StoreKind) {
    let world = World::open(kind).await;
    let process = world.clerk().await;
    let ada = process.newcomer("ada").await;
    let (owner, key) = (ada.id(), add(&process, &ada, "first").await);
    let position = append_older(&process, owner, key, "an older name").await;
    assert_shown(&process, owner, key, position, "an older name").await;

    // Nothing above changed the row: it differs from what the older event folds to, and is
    // replaced.
    let problems = process.verified().await;
    assert_eq!(problems.problem_count, 1, "{:?}", problems.problems);
    let report = process.replay(true).run(&registry::KEYS).await.unwrap();
    assert_eq!((report.differing, report.failed_count), (vec![owner.to_string()], 0));
    let report = process.replay(false).run(&registry::KEYS).await.unwrap();
    assert_eq!((report.changed, report.failed_count), (1, 0));
    assert_eq!(name_of(&process, owner, key).await, "an older name");
    assert_eq!(process.verified().await.problems, Vec::<String>::new());

    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let (store, view) = (Arc::clone(&process.store), Arc::new(ActivityView));
    let follower = ViewFollower::new(store, view, process.holder, process.lease);
    let following = tracker.spawn(follower.run(stop.clone()));
    followed(&*process.store, ACTIVITY).await;
    stop.cancel();
    following.await.unwrap();
    let report = process.replay(true).run(&registry::ACTIVITY).await.unwrap();
    assert_eq!((report.differing_count, report.quarantined), (0, 0));
    process.stop().await;

    // A process that starts now folds the whole stream for its first command.
    let process = world.clerk().await;
    let name = KeyName::parse("newer").unwrap();
    process.key(&ada, KeyCommand::Rename { key, name, expected: None }).await.unwrap();
    assert_eq!(name_of(&process, owner, key).await, "newer");
    assert_shown(&process, owner, key, position, "an older name").await;
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reader_reads_an_event_of_an_older_schema() {
    Box::pin(every_reader_reads_an_older_event(StoreKind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reader_reads_an_event_of_an_older_schema_with_mongodb_too() {
    if StoreKind::available().await.contains(&StoreKind::MongoDb) {
        Box::pin(every_reader_reads_an_older_event(StoreKind::MongoDb)).await;
    }
}
