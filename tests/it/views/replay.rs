//! Views are repaired in place while commands and a follower go on, on both stores.

use super::world::{add, damage, followed};
use crate::harness::person::call;
use crate::harness::process::Process;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::background::view_follower::ViewFollower;
use claviger::views::registry::{self, View};
use claviger_application::{KeyCommand, Ports};
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::text::KeyName;
use claviger_projections::activity::ActivityView;
use claviger_projections::ports::{ACCOUNTS, ACTIVITY, KEYS, RowChange, Store, ViewRow};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Renames a key again and again until it is stopped.
async fn rename(ports: Ports, owner: UserId, key: KeyId, stop: CancellationToken) -> u64 {
    let mut count = 0;
    while !stop.is_cancelled() {
        let name = KeyName::parse(&format!("name {count}")).unwrap();
        let rename = KeyCommand::Rename { key, name, expected: None };
        ports.keys.run(call(owner, None), rename).await.unwrap();
        count += 1;
    }
    count
}

async fn spoilt(store: &dyn Store, view: &'static str, owner: UserId, id: Uuid) -> RowChange {
    let row = store.row(view, owner, id).await.unwrap().unwrap();
    RowChange::PutView(ViewRow { facts: b"{".to_vec(), ..row })
}

/// Two users with damaged rows: one is missing, one is wrong, and the others are unreadable.
async fn damaged(process: &Process) -> ([UserId; 2], [KeyId; 2]) {
    let (ada, bob) = (process.newcomer("ada").await, process.newcomer("bob").await);
    let (lost, busy) = (add(process, &ada, "lost").await, add(process, &ada, "busy").await);
    let (bad, other) = (add(process, &bob, "bad").await, add(process, &bob, "other").await);
    let (store, ada, bob) = (&*process.store, ada.id(), bob.id());
    followed(store, ACTIVITY).await;
    let tag = store.defaults(bob).await.unwrap()[0].0;
    let rows = vec![
        RowChange::DeleteView { view: KEYS, owner: ada, id: lost.0 },
        spoilt(store, KEYS, bob, bad.0).await,
        RowChange::PutDefault { owner: bob, tag, key: other },
        spoilt(store, ACCOUNTS, bob, bob.0).await,
        spoilt(store, ACTIVITY, ada, lost.0).await,
    ];
    damage(store, rows).await;
    followed(store, ACTIVITY).await;
    ([ada, bob], [busy, other])
}

/// Repairs a view, which writes down what it has changed.
async fn mended(process: &Process, view: &View, owners: &[UserId]) {
    let report = process.replay(false).run(view).await.unwrap();
    assert_eq!(
        (report.changed, report.failed_count),
        (owners.len() as u64, 0),
        "{view:?}: {report:?}"
    );
    let recorded = process.store.read(report.position.unwrap() - 1, 1).await.unwrap().remove(0);
    let facts =
        format!("{{\"view\":\"{}\",\"owners\":2,\"changed\":{}}}", view.name(), owners.len());
    assert_eq!(
        (recorded.envelope.kind.as_str(), recorded.facts),
        ("ProjectionRebuilt", facts.into_bytes())
    );
}

async fn views_are_mended_under_load(kind: StoreKind) {
    let world = World::open(kind).await;
    let process = world.clerk().await;
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let (store, view) = (Arc::clone(&process.store), Arc::new(ActivityView));
    let keeper = ViewFollower::new(store, view, process.holder, process.lease);
    let keeping = tracker.spawn(keeper.run(stop.clone()));
    let ([ada, bob], [busy, other]) = damaged(&process).await;

    let expected = [
        (&registry::KEYS, vec![ada, bob]),
        (&registry::ACCOUNTS, vec![bob]),
        (&registry::ACTIVITY, vec![ada]),
    ];
    for (view, owners) in &expected {
        let report = process.replay(true).run(view).await.unwrap();
        let mut owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
        owners.sort();
        assert_eq!(
            (report.owners, report.differing, report.changed, report.failed_count),
            (2, owners, 0, 0),
            "{view:?}"
        );
    }

    let writing = CancellationToken::new();
    let writers = [(ada, busy), (bob, other)].map(|(owner, key)| {
        tracker.spawn(rename(process.ports.clone(), owner, key, writing.clone()))
    });
    for (view, owners) in &expected {
        mended(&process, view, owners).await;
    }
    writing.cancel();
    for writer in writers {
        assert!(writer.await.unwrap() > 0, "a writer wrote nothing");
    }
    followed(&*process.store, ACTIVITY).await;
    for view in registry::ALL {
        let report = process.replay(true).run(view).await.unwrap();
        assert_eq!(
            (report.owners, report.differing_count, report.quarantined),
            (2, 0, 0),
            "{report:?}"
        );
    }
    assert_eq!(process.verified().await.problems, Vec::<String>::new());
    stop.cancel();
    keeping.await.unwrap();
    process.stop().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_views_are_mended_while_writers_go_on() {
    Box::pin(views_are_mended_under_load(StoreKind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_views_are_mended_while_writers_go_on_with_mongodb_too() {
    if StoreKind::available().await.contains(&StoreKind::MongoDb) {
        Box::pin(views_are_mended_under_load(StoreKind::MongoDb)).await;
    }
}
