//! What calls used: followed along the log, read by days, made anew.

use super::build::fresh;
use super::world::{
    PATIENCE, add, claimed, completed, config, damage, followed, goes_on, register, sequential,
    start,
};
use claviger::app::wiring::Core;
use claviger::background::view_follower::ViewKeeper;
use claviger::system::environment::Effects;
use claviger::views::{Replay, View};
use claviger_application::Ports;
use claviger_domain::id::{KeyId, RunId, UserId};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{RowChange, USAGE, ViewRow};
use claviger_projections::usage::{UsageFacts, UsageView};
use std::sync::Arc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const DAY: u64 = 24 * 3600 * 1000;

/// Noon of the `n`th day of a time when nobody appends anything else.
fn noon(n: u64) -> Timestamp {
    Timestamp((40_000 + n) * DAY + DAY / 2)
}

/// Run, day, key, calls and input of what is shown for some time.
async fn shown(
    ports: &Ports,
    user: UserId,
    from: Timestamp,
    to: Timestamp,
) -> Vec<(RunId, u64, Option<KeyId>, u64, u64)> {
    let cells = ports.run_reads.usage(user, from, to).await.unwrap();
    let mut cells: Vec<_> = cells
        .iter()
        .map(|cell| (cell.run, cell.day, cell.key, cell.calls, cell.usage.input))
        .collect();
    cells.sort();
    cells
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_is_followed_shown_by_days_and_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let core = Core::open(&config(&dir), Effects::system(), "claviger test").await.unwrap();
    let (ports, store, tracker, stop) =
        (core.ports(), Arc::clone(&core.store), TaskTracker::new(), CancellationToken::new());
    let keeper = ViewKeeper::new(Arc::clone(&store), Arc::new(UsageView), core.holder, core.lease);
    let keeping = tracker.spawn(keeper.run(stop.clone()));
    let (ada, eve) = (register(&ports, "ada").await, register(&ports, "eve").await);
    let key = add(&ports, ada, "key").await;
    let (one, two) = (
        start(&ports, ada, "one", sequential()).await,
        start(&ports, ada, "two", sequential()).await,
    );
    goes_on(
        &*store,
        ada,
        one,
        noon(0),
        vec![claimed(one), completed(one, key, 1), completed(one, key, 2)],
    )
    .await;
    goes_on(&*store, ada, one, noon(1), vec![completed(one, key, 4)]).await;
    goes_on(&*store, ada, two, noon(1), vec![claimed(two), completed(two, key, 8)]).await;
    goes_on(&*store, ada, two, noon(2), vec![completed(two, key, 16)]).await;
    timeout(PATIENCE, followed(&*store, USAGE)).await.unwrap();

    let cell = |run, n: u64, calls: u64, input: u64| (run, 40_000 + n, Some(key), calls, input);
    let mut expected =
        vec![cell(one, 0, 2, 3), cell(one, 1, 1, 4), cell(two, 1, 1, 8), cell(two, 2, 1, 16)];
    expected.sort();
    let between = |from: u64, to: u64| {
        let inside = |cell: &&(RunId, u64, Option<KeyId>, u64, u64)| {
            (40_000 + from..=40_000 + to).contains(&cell.1)
        };
        expected.iter().filter(inside).copied().collect::<Vec<_>>()
    };
    assert_eq!(shown(&ports, ada, noon(0), Timestamp(noon(2).0 + 1)).await, expected);
    assert_eq!(
        shown(&ports, ada, noon(1), Timestamp(noon(1).0 + 1)).await,
        between(1, 1),
        "the day that is touched, whole"
    );
    assert_eq!(
        shown(&ports, ada, noon(1), Timestamp(noon(2).0 - DAY / 2)).await,
        between(1, 1),
        "its end is left out"
    );
    assert_eq!(shown(&ports, ada, noon(1), noon(1)).await, [], "no time");
    assert_eq!(shown(&ports, eve, Timestamp(0), Timestamp(u64::MAX)).await, [], "nobody else's");

    let (keychain, effects) = (Arc::clone(&core.keychain), core.effects.clone());
    let replay = |check| Replay {
        store: Arc::clone(&store),
        keychain: Arc::clone(&keychain),
        effects: effects.clone(),
        check,
    };
    let id = UsageFacts::id(one, 40_001);
    let row = store.row(USAGE, ada, id).await.unwrap().unwrap();
    let wrong = [
        RowChange::DeleteView { view: USAGE, owner: ada, id },
        RowChange::PutView(ViewRow {
            facts: row.facts.strip_suffix(b"}").unwrap().to_vec(),
            ..row.clone()
        }),
        RowChange::PutView(ViewRow { id: fresh(), ..row }),
    ];
    for change in wrong {
        let what = format!("{change:?}");
        damage(&*store, vec![change]).await;
        assert_eq!(
            replay(true).run(View::Usage).await.unwrap().differing,
            [ada.to_string()],
            "{what}"
        );
        assert_eq!(replay(false).run(View::Usage).await.unwrap().changed, 1, "{what}");
        assert_eq!(replay(true).run(View::Usage).await.unwrap().differing_count, 0, "{what}");
        assert_eq!(shown(&ports, ada, Timestamp(0), Timestamp(u64::MAX)).await, expected, "{what}");
    }
    stop.cancel();
    keeping.await.unwrap();
    core.close().await;
}
