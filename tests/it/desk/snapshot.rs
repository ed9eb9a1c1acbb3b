//! `verify --live` sees one state of the store, whatever is written meanwhile.

use crate::harness::environment::NOW;
use crate::harness::events::{append_to, new_event};
use crate::harness::program::Home;
use crate::harness::stores::sqlite;
use crate::harness::upstream::NO_UPSTREAM;
use crate::harness::world::config;
use claviger::app::key_files::master_keys;
use claviger::audit::verify::verify;
use claviger::keychain::Keychain;
use claviger::system::environment::Environment;
use claviger_domain::stream::StreamName;
use claviger_domain::system::{Rebuilt, SystemEvent};
use claviger_projections::ports::{AppendError, Log as _, Rows as _, Store, StoreError};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_stays_as_it_was_can_not_be_written_and_holds_scrubs_until_it_is_gone() {
    let home = Home::new();
    home.run(&["user", "add", "ada", "--email", "ada@example.org"]).assert_code(0);
    let config = config(&home.data(), NO_UPSTREAM);
    let env = Environment::system();
    let keks = master_keys(&config, false, &*env.entropy).unwrap();
    let store = sqlite(home.data());
    let snapshot: Arc<dyn Store> = Arc::new(store.snapshot().unwrap());
    let before = snapshot.head().await.unwrap();
    let keychain = Keychain::open(Arc::clone(&snapshot), keks, env).await.unwrap();
    let keychain = Arc::new(keychain);

    let facts = Rebuilt { view: "keys".to_owned(), owners: 1, changed: 0 };
    let event = new_event(&SystemEvent::ProjectionRebuilt(facts));
    let append = append_to(StreamName::System, 0, vec![event]);
    let refused = snapshot.append(append.clone()).await;
    assert_eq!(refused, Err(AppendError::Store(StoreError::Closed)));
    assert_eq!(snapshot.forget_records(NOW).await, Err(StoreError::Closed));
    store.append(append).await.unwrap();
    assert_ne!(store.head().await.unwrap().position, before.position);
    assert_eq!(snapshot.head().await.unwrap(), before);
    let report = verify(Arc::clone(&snapshot), keychain).await.unwrap();
    assert_eq!(
        (report.events, report.problem_count, report.written_meanwhile),
        (before.position, 0, false)
    );

    let scrub = store.scrub();
    tokio::pin!(scrub);
    assert!(futures::poll!(&mut scrub).is_pending(), "a reader is in the way");
    tokio::task::spawn_blocking(move || drop(snapshot)).await.unwrap();
    assert_eq!(scrub.await, Ok(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_verified_while_it_is_written() {
    let home = Arc::new(Home::new());
    home.run(&["user", "add", "ada", "--email", "ada@example.org"]).assert_code(0);
    let server = home.serve(NO_UPSTREAM);
    let writer = Arc::clone(&home);
    let writing = tokio::task::spawn_blocking(move || {
        for n in 0..12 {
            let (name, email) = (format!("user{n}"), format!("user{n}@example.org"));
            writer.run(&["user", "add", &name, "--email", &email]).assert_code(0);
            writer.run(&["user", "role", &name, "--grant", "auditor"]).assert_code(0);
        }
    });
    let (mut least, mut reports) = (0, 0);
    while !writing.is_finished() || reports == 0 {
        let report = home.run(&["verify", "--live", "--json"]).assert_code(0).json();
        assert_eq!(
            (&report["problem_count"], &report["written_meanwhile"]),
            (&0.into(), &false.into())
        );
        let events = report["events"].as_u64().unwrap();
        assert!(events >= least, "{report}");
        (least, reports) = (events, reports + 1);
    }
    writing.await.unwrap();
    server.stop().await;
    assert_eq!(home.verified()["accounts"], 13);
}
