//! Views are mended in place while commands and a follower go on, on both stores.

use super::super::store::mongo_server;
use super::world::{add, config, damage, followed, register, run};
use claviger::app::config::Config;
use claviger::app::wiring::Core;
use claviger::audit::verify::verify;
use claviger::background::view_follower::ViewKeeper;
use claviger::system::environment::Effects;
use claviger::views::{Replay, View};
use claviger_application::{KeyCommand, Ports};
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::text::KeyName;
use claviger_projections::activity::ActivityView;
use claviger_projections::ports::{ACCOUNTS, ACTIVITY, KEYS, RowChange, Store, ViewRow};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

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
    let (ports, store, tracker, stop) =
        (core.ports(), Arc::clone(&core.store), TaskTracker::new(), CancellationToken::new());
    let keeper =
        ViewKeeper::new(Arc::clone(&store), Arc::new(ActivityView), core.holder, core.lease);
    let keeping = tracker.spawn(keeper.run(stop.clone()));
    let (ada, bob) = (register(&ports, "ada").await, register(&ports, "bob").await);
    let (lost, busy) = (add(&ports, ada, "lost").await, add(&ports, ada, "busy").await);
    let (bad, other) = (add(&ports, bob, "bad").await, add(&ports, bob, "other").await);
    followed(&*store, ACTIVITY).await;
    let tag = store.defaults(bob).await.unwrap()[0].0;
    let rows = vec![
        RowChange::DeleteView { view: KEYS, owner: ada, id: lost.0 },
        spoilt(&*store, KEYS, bob, bad.0).await,
        RowChange::PutDefault { owner: bob, tag, key: other },
        spoilt(&*store, ACCOUNTS, bob, bob.0).await,
        spoilt(&*store, ACTIVITY, ada, lost.0).await,
    ];
    damage(&*store, rows).await;
    followed(&*store, ACTIVITY).await;

    let (keychain, effects) = (Arc::clone(&core.keychain), core.effects.clone());
    let replay = |check| Replay {
        store: Arc::clone(&store),
        keychain: Arc::clone(&keychain),
        effects: effects.clone(),
        check,
    };
    let expected =
        [(View::Keys, vec![ada, bob]), (View::Accounts, vec![bob]), (View::Activity, vec![ada])];
    for (view, owners) in &expected {
        let report = replay(true).run(*view).await.unwrap();
        let mut owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
        owners.sort();
        assert_eq!(
            (report.owners, report.differing, report.changed, report.failed_count),
            (2, owners, 0, 0),
            "{view:?}"
        );
    }

    let writing = CancellationToken::new();
    let writers = [(ada, busy), (bob, other)]
        .map(|(owner, key)| tracker.spawn(rename(ports.clone(), owner, key, writing.clone())));
    for (view, owners) in &expected {
        let report = replay(false).run(*view).await.unwrap();
        assert_eq!(
            (report.changed, report.failed_count),
            (owners.len() as u64, 0),
            "{view:?}: {report:?}"
        );
        let recorded = store.read(report.position.unwrap() - 1, 1).await.unwrap().remove(0);
        let facts =
            format!("{{\"view\":\"{}\",\"owners\":2,\"changed\":{}}}", view.name(), owners.len());
        assert_eq!(
            (recorded.envelope.kind.as_str(), recorded.facts),
            ("ProjectionRebuilt", facts.into_bytes())
        );
    }
    writing.cancel();
    for writer in writers {
        assert!(writer.await.unwrap() > 0, "a writer wrote nothing");
    }
    followed(&*store, ACTIVITY).await;
    for view in View::ALL {
        let report = replay(true).run(*view).await.unwrap();
        assert_eq!(
            (report.owners, report.differing_count, report.quarantined),
            (2, 0, 0),
            "{report:?}"
        );
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
