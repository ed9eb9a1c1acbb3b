//! What calls used: followed along the log, read by days, rebuilt.

use super::world::{
    PATIENCE, add, claimed, completed, damage, followed, goes_on, sequential, titled,
};
use crate::harness::environment::{TestClock, by, fresh};
use crate::harness::process::Process;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::background::view_follower::ViewFollower;
use claviger::views::registry;
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
type Cell = (RunId, u64, Option<KeyId>, u64, u64);

async fn shown(process: &Process, user: UserId, from: Timestamp, to: Timestamp) -> Vec<Cell> {
    let cells = process.ports.run_reads.usage(user, from, to).await.unwrap();
    let mut cells: Vec<_> = cells
        .iter()
        .map(|cell| (cell.run, cell.day, cell.key, cell.calls, cell.usage.input))
        .collect();
    cells.sort();
    cells
}

/// Two runs of a user on three days; the first run, and what must be shown of both.
async fn used(process: &Process, key: KeyId, [one, two]: [RunId; 2], ada: UserId) -> Vec<Cell> {
    let store = &*process.store;
    let events = vec![claimed(one), completed(one, key, 1), completed(one, key, 2)];
    goes_on(store, ada, one, noon(0), events).await;
    goes_on(store, ada, one, noon(1), vec![completed(one, key, 4)]).await;
    goes_on(store, ada, two, noon(1), vec![claimed(two), completed(two, key, 8)]).await;
    goes_on(store, ada, two, noon(2), vec![completed(two, key, 16)]).await;
    timeout(PATIENCE, followed(store, USAGE)).await.unwrap();
    let cell = |run, n: u64, calls: u64, input: u64| (run, 40_000 + n, Some(key), calls, input);
    let mut expected =
        vec![cell(one, 0, 2, 3), cell(one, 1, 1, 4), cell(two, 1, 1, 8), cell(two, 2, 1, 16)];
    expected.sort();
    expected
}

/// Damages the rows of usage in each way; a replay finds and repairs each.
async fn mended(process: &Process, ada: UserId, run: RunId, expected: &[Cell]) {
    let store = &*process.store;
    let id = UsageFacts::id(run, 40_001);
    let row = store.row(USAGE, ada, id).await.unwrap().unwrap();
    let facts = row.facts.strip_suffix(b"}").unwrap().to_vec();
    let other = fresh();
    let wrong = [
        (RowChange::DeleteView { view: USAGE, owner: ada, id }, id),
        (RowChange::PutView(ViewRow { facts, ..row.clone() }), id),
        (RowChange::PutView(ViewRow { id: other, ..row }), other),
    ];
    for (change, id) in wrong {
        let what = format!("{change:?}");
        damage(store, vec![change]).await;
        let problem = format!("the usage {id} in the view does not agree with the log");
        assert_eq!(process.verified().await.problems, [problem], "{what}");
        let found = process.replay(true).run(&registry::USAGE).await.unwrap();
        assert_eq!(found.differing, [ada.to_string()], "{what}");
        assert_eq!(process.replay(false).run(&registry::USAGE).await.unwrap().changed, 1, "{what}");
        let again = process.replay(true).run(&registry::USAGE).await.unwrap();
        assert_eq!(again.differing_count, 0, "{what}");
        assert_eq!(process.verified().await.problems, Vec::<String>::new(), "{what}");
        let all = shown(process, ada, Timestamp(0), Timestamp(u64::MAX)).await;
        assert_eq!(all, expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_is_followed_shown_by_days_and_rebuilt() {
    let mut world = World::open(StoreKind::Sqlite).await;
    // No other clock contradicts the days that it appends at.
    world.env = by(&TestClock::running());
    let process = world.clerk().await;
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let (store, view) = (Arc::clone(&process.store), Arc::new(UsageView));
    let keeper = ViewFollower::new(store, view, process.holder, process.lease);
    let keeping = tracker.spawn(keeper.run(stop.clone()));
    let (ada, eve) = (process.newcomer("ada").await, process.newcomer("eve").await);
    let key = add(&process, &ada, "key").await;
    let one = titled(&process, &ada, "one", sequential()).await;
    let two = titled(&process, &ada, "two", sequential()).await;
    let (ada, eve) = (ada.id(), eve.id());
    let expected = used(&process, key, [one, two], ada).await;

    let between = |from: u64, to: u64| {
        let inside = |cell: &&Cell| (40_000 + from..=40_000 + to).contains(&cell.1);
        expected.iter().filter(inside).copied().collect::<Vec<_>>()
    };
    let all = shown(&process, ada, noon(0), Timestamp(noon(2).0 + 1)).await;
    assert_eq!(all, expected);
    let touched = shown(&process, ada, noon(1), Timestamp(noon(1).0 + 1)).await;
    assert_eq!(touched, between(1, 1), "the day that is touched, whole");
    let until_midnight = shown(&process, ada, noon(1), Timestamp(noon(2).0 - DAY / 2)).await;
    assert_eq!(until_midnight, between(1, 1), "its end is left out");
    assert_eq!(shown(&process, ada, noon(1), noon(1)).await, [], "no time");
    let others = shown(&process, eve, Timestamp(0), Timestamp(u64::MAX)).await;
    assert_eq!(others, [], "nobody else's");

    mended(&process, ada, one, &expected).await;
    stop.cancel();
    keeping.await.unwrap();
    process.stop().await;
    world.close().await;
}
