//! Followers on the embedded store.

use super::build::{added, append, key, passed, tested, user};
use crate::harness::events::stored;
use crate::harness::stores::sqlite;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_projections::activity::ActivityView;
use claviger_projections::follower::{BATCH, Follower, PATIENCE, Rows, Step, fold};
use claviger_projections::ports::{
    ACTIVITY, Basis, Fence, Followers, Hold, Holder, LeaseName, Leases, Log, NewEvent, Page,
    PoisonReason, Repairs, Replace, Store, StoredEvent, ViewRow, Views,
};
use claviger_store::sqlite::{DATABASE_FILE, SqliteStore};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// A follower with a lease that another may take at once.
async fn follower(store: &Arc<SqliteStore>, holder: u128) -> Follower {
    let lease = LeaseName::Follower(ACTIVITY);
    let Hold::Ours { token } = store.hold(lease, Holder(Uuid::from_u128(holder)), 0).await.unwrap()
    else {
        panic!("no lease")
    };
    Follower::new(
        Arc::clone(store) as Arc<dyn Store>,
        Arc::new(ActivityView),
        Fence { lease, token },
    )
}

/// Steps until there is nothing new; where the view then is.
async fn caught_up(follower: &mut Follower) -> u64 {
    let mut reached = 0;
    loop {
        match follower.step().await.unwrap() {
            Step::Idle => return reached,
            Step::Advanced { to, .. } => reached = to,
            Step::Moved => {}
            step @ (Step::Stuck(_) | Step::Fenced) => panic!("{step:?}"),
        }
    }
}

async fn rows(store: &SqliteStore, owner: UserId) -> Vec<ViewRow> {
    let mut rows =
        store.page(ACTIVITY, owner, Page { limit: 1000, ..Page::default() }).await.unwrap().rows;
    rows.sort_by_key(|row| row.id);
    rows
}

/// What the view of an owner must be, folded from the whole log in one go.
async fn expected(store: &SqliteStore, owner: UserId) -> Vec<ViewRow> {
    let log: Vec<StoredEvent> = store.read(0, 100_000).await.unwrap();
    let mine: Vec<_> =
        log.into_iter().filter(|event| event.envelope.owner == Some(owner)).collect();
    let mut rows =
        fold(&ActivityView, &mine, &Rows::new(), &BTreeSet::new(), &|_| true).changes.put;
    rows.sort_by_key(|row| row.id);
    rows
}

/// Appends tests of an owner's key, one append each.
async fn write(store: &SqliteStore, owner: UserId, tests: u64) {
    store.append(append(owner, 0, &[added(1)])).await.unwrap();
    for version in 1..=tests {
        store.append(append(owner, version, &[tested(1, passed())])).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_reads_while_writers_race_misses_nothing_and_takes_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    let owners: Vec<_> = (1..=8).map(user).collect();
    let mut follower = follower(&store, 1).await;
    let writers = futures::future::join_all(owners.iter().map(|owner| write(&store, *owner, 40)));
    let following = async {
        while store.checkpoint(ACTIVITY).await.unwrap().position < 8 * 41 {
            caught_up(&mut follower).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(writers, following);
    for owner in owners {
        assert_eq!(rows(&store, owner).await, expected(&store, owner).await);
        let row = rows(&store, owner).await.remove(0);
        assert_eq!(
            ActivityView::read(&row).unwrap().days.values().map(|day| day.calls).sum::<u64>(),
            40
        );
    }
}

#[tokio::test]
async fn a_view_with_rows_and_no_checkpoint_is_not_counted_from_the_start_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    write(&store, user(1), 3).await;
    caught_up(&mut follower(&store, 1).await).await;
    let before = rows(&store, user(1)).await;
    let db = Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    assert_eq!(db.execute("DELETE FROM checkpoints", []).unwrap(), 1);
    let refused = follower(&store, 2).await.step().await.unwrap_err().to_string();
    assert!(refused.contains("run `claviger replay activity`"), "{refused}");
    assert_eq!(rows(&store, user(1)).await, before);
}

#[tokio::test]
async fn a_follower_that_crashes_between_batches_is_gone_on_from_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    for owner in 1..=3 {
        let mut events = vec![added(1)];
        events.extend((0..BATCH).map(|_| tested(1, passed())));
        store.append(append(user(owner), 0, &events)).await.unwrap();
    }
    let head = store.head().await.unwrap().position;
    for step in 1.. {
        let mut next = follower(&store, step).await;
        if next.step().await.unwrap() == Step::Idle {
            break;
        }
    }
    assert_eq!(store.checkpoint(ACTIVITY).await.unwrap().position, head);
    drop(store);
    let store = sqlite(dir.path());
    assert_eq!(store.checkpoint(ACTIVITY).await.unwrap().position, head);
    for owner in 1..=3 {
        assert_eq!(rows(&store, user(owner)).await, expected(&store, user(owner)).await);
    }
}

#[tokio::test]
async fn of_two_followers_the_one_without_the_lease_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    write(&store, user(1), 3).await;
    let mut old = follower(&store, 1).await;
    assert_eq!(old.step().await.unwrap(), Step::Advanced { to: 4, quarantined: vec![] });
    let mut new = follower(&store, 2).await;
    store.append(append(user(1), 4, &[tested(1, passed())])).await.unwrap();
    assert_eq!(old.step().await.unwrap(), Step::Fenced);
    assert_eq!(store.checkpoint(ACTIVITY).await.unwrap().position, 4);
    assert_eq!(caught_up(&mut new).await, 5);
    assert_eq!(
        old.step().await.unwrap(),
        Step::Idle,
        "there is nothing left to be fenced off from"
    );
    assert_eq!(rows(&store, user(1)).await, expected(&store, user(1)).await);
}

/// An event of a ring that no fold can read.
async fn append_poison(store: &SqliteStore, owner: UserId, version: u64) {
    let facts = stored(StreamName::KeyRing(owner), 1, "KeyTested", b"{}", Some(key(1).0));
    let mut bad = append(owner, version, &[tested(1, passed())]);
    bad.events = bad
        .events
        .into_iter()
        .map(|event| NewEvent { facts: facts.facts.clone(), ..event })
        .collect();
    store.append(bad).await.unwrap();
}

#[tokio::test]
async fn a_poison_event_is_retried_then_its_row_alone_is_quarantined_until_it_is_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    write(&store, user(1), 1).await;
    append_poison(&store, user(1), 2).await;
    store
        .append(append(user(1), 3, &[tested(1, passed()), added(2), tested(2, passed())]))
        .await
        .unwrap();
    write(&store, user(2), 1).await;
    let mut follower = follower(&store, 1).await;
    assert_eq!(follower.step().await.unwrap(), Step::Advanced { to: 2, quarantined: vec![] });
    for _ in 1..PATIENCE {
        assert!(
            matches!(follower.step().await.unwrap(), Step::Stuck(poison) if poison.position == 3)
        );
    }
    let Step::Advanced { to: 8, quarantined } = follower.step().await.unwrap() else {
        panic!("it is not given up")
    };
    assert_eq!(quarantined, store.quarantined(ACTIVITY, 10).await.unwrap());
    let [row] = quarantined.as_slice() else { panic!("{quarantined:?}") };
    assert_eq!((row.id, row.position, row.reason), (key(1).0, 3, PoisonReason::UnknownEvent));
    let calls = |row: &ViewRow| {
        ActivityView::read(row).unwrap().days.values().map(|day| day.calls).sum::<u64>()
    };
    assert_eq!(rows(&store, user(1)).await.iter().map(calls).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(rows(&store, user(2)).await.iter().map(calls).collect::<Vec<_>>(), [1]);

    // The row is followed again once it was rebuilt, also by a follower that had quarantined it.
    let basis = Basis::Followed { position: 8 };
    let made = rows(&store, user(1)).await;
    let replace = Replace {
        view: ACTIVITY,
        owner: user(1),
        basis,
        rows: made,
        defaults: None,
        quarantined: vec![],
    };
    store.replace(replace).await.unwrap();
    store.append(append(user(1), 6, &[tested(1, passed())])).await.unwrap();
    assert_eq!(follower.step().await.unwrap(), Step::Moved);
    assert_eq!(follower.step().await.unwrap(), Step::Advanced { to: 9, quarantined: vec![] });
    assert_eq!(rows(&store, user(1)).await.iter().map(calls).collect::<Vec<_>>(), [2, 1]);
}
