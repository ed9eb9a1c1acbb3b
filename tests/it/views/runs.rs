//! Rows of runs: found by verify and replay where they differ from the log, repaired in place, and
//! listed, on both stores.

use super::world::{add, claimed, completed, damage, debate, ended, goes_on, sequential, titled};
use crate::harness::environment::{NOW, fresh};
use crate::harness::events::actor;
use crate::harness::person::User;
use crate::harness::process::Process;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::bus::AccountRequest;
use claviger::views::registry::{self, View};
use claviger_application::RunFilter;
use claviger_domain::account::EraseAccount;
use claviger_domain::actor::{Actor, Via};
use claviger_domain::id::{CorrelationId, RunId, UserId};
use claviger_domain::orchestration::Pattern;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{OPEN_RUNS, Page, RUNS, RowChange, ViewRow};
use claviger_projections::runs::RunState;
use uuid::Uuid;

async fn problems(process: &Process) -> Vec<String> {
    process.verified().await.problems
}

/// Replays a view: whose rows differed.
async fn replayed(process: &Process, view: &View, check: bool) -> Vec<String> {
    let report = process.replay(check).run(view).await.unwrap();
    assert_eq!(report.failed_count, 0, "{report:?}");
    report.differing
}

/// Three runs of a user: one that is done, one that an engine works on, one that no engine has
/// claimed yet.
async fn three(process: &Process, owner: &User) -> [RunId; 3] {
    let key = add(process, owner, "key").await;
    let done = titled(process, owner, "the first", sequential()).await;
    let running = titled(process, owner, "the second", debate()).await;
    let queued = titled(process, owner, "the third", sequential()).await;
    let events = vec![claimed(done), completed(done, key, 5), ended(done)];
    goes_on(&*process.store, owner.id(), done, NOW, events).await;
    goes_on(&*process.store, owner.id(), running, NOW, vec![claimed(running)]).await;
    [done, running, queued]
}

async fn row(process: &Process, view: &'static str, owner: UserId, run: RunId) -> ViewRow {
    process.store.row(view, owner, run.0).await.unwrap().unwrap()
}

/// A wrong row, its view, and the run that is reported.
type Wrong = (RowChange, &'static View, RunId);

async fn wrong_rows(
    process: &Process,
    ada: UserId,
    [done, running, queued]: [RunId; 3],
) -> Vec<Wrong> {
    let (first, second) =
        (row(process, RUNS, ada, done).await, row(process, RUNS, ada, running).await);
    let open = row(process, OPEN_RUNS, ada, running).await;
    let stranger = RunId(fresh());
    let facts = |row: &ViewRow, from: &str, to: &str| {
        let facts = String::from_utf8(row.facts.clone()).unwrap();
        assert!(facts.contains(from), "{facts}");
        ViewRow { facts: facts.replace(from, to).into_bytes(), ..row.clone() }
    };
    let lost = |view, run: RunId| RowChange::DeleteView { view, owner: ada, id: run.0 };
    let put = RowChange::PutView;
    vec![
        (lost(RUNS, queued), &registry::RUNS, queued),
        (put(facts(&first, "completed", "running")), &registry::RUNS, done),
        (put(facts(&first, "\"calls\":1", "\"calls\":2")), &registry::RUNS, done),
        (put(ViewRow { facts: b"{".to_vec(), ..first.clone() }), &registry::RUNS, done),
        (put(ViewRow { content: second.content.clone(), ..first.clone() }), &registry::RUNS, done),
        (put(ViewRow { content: None, ..first.clone() }), &registry::RUNS, done),
        (put(ViewRow { sort: first.sort + 1, ..first.clone() }), &registry::RUNS, done),
        (
            put(ViewRow { stream: StreamName::Run(running.0), ..first.clone() }),
            &registry::RUNS,
            done,
        ),
        (put(ViewRow { id: stranger.0, ..first.clone() }), &registry::RUNS, stranger),
        (lost(OPEN_RUNS, running), &registry::OPEN_RUNS, running),
        (put(facts(&open, "false", "true")), &registry::OPEN_RUNS, running),
        (put(ViewRow { content: second.content, ..open.clone() }), &registry::OPEN_RUNS, running),
        (
            put(ViewRow { id: done.0, stream: StreamName::Run(done.0), ..open }),
            &registry::OPEN_RUNS,
            done,
        ),
    ]
}

fn said_of(view: &View, run: RunId) -> String {
    let what = if *view == registry::RUNS { "run" } else { "open run" };
    format!("the {what} {run} in the view does not agree with the log")
}

async fn wrong_rows_are_found_and_mended(kind: StoreKind) {
    let world = World::open(kind).await;
    let process = world.clerk().await;
    let (ada, bob) = (process.newcomer("ada").await, process.newcomer("bob").await);
    let runs = three(&process, &ada).await;
    three(&process, &bob).await;
    let ada = ada.id();
    let report = process.verified().await;
    assert_eq!((report.problems, report.runs), (vec![], 6));
    for (change, view, run) in wrong_rows(&process, ada, runs).await {
        let what = format!("{change:?}");
        damage(&*process.store, vec![change]).await;
        assert_eq!(problems(&process).await, [said_of(view, run)], "{what}");
        for other in [&registry::RUNS, &registry::OPEN_RUNS] {
            let differing = if other == view { vec![ada.to_string()] } else { vec![] };
            assert_eq!(replayed(&process, other, true).await, differing, "{what}");
        }
        assert_eq!(replayed(&process, view, false).await, [ada.to_string()], "{what}");
        assert_eq!(problems(&process).await, Vec::<String>::new(), "{what}");
    }
    process.stop().await;
    world.close().await;
}

#[tokio::test]
async fn wrong_rows_of_runs_are_found_and_mended() {
    Box::pin(wrong_rows_are_found_and_mended(StoreKind::Sqlite)).await;
}

#[tokio::test]
async fn wrong_rows_of_runs_are_found_and_mended_with_mongodb_too() {
    if StoreKind::available().await.contains(&StoreKind::MongoDb) {
        Box::pin(wrong_rows_are_found_and_mended(StoreKind::MongoDb)).await;
    }
}

#[tokio::test]
async fn an_erased_user_has_no_rows_of_runs_and_those_put_back_are_found() {
    let world = World::open(StoreKind::Sqlite).await;
    let process = world.clerk().await;
    let ada = process.newcomer("ada").await;
    let [_, running, _] = three(&process, &ada).await;
    let ada = ada.id();
    let rows =
        [row(&process, RUNS, ada, running).await, row(&process, OPEN_RUNS, ada, running).await];
    let actor = Actor { user: Some(ada), ..actor(Via::Cli) };
    let (correlation, command) = (CorrelationId(fresh()), EraseAccount.into());
    let erase = AccountRequest { owner: ada, actor, correlation, command, phc: None };
    process.bus.run_account_command(erase).await.unwrap();
    let report = process.verified().await;
    assert_eq!((report.problems, report.runs), (vec![], 0));
    damage(&*process.store, rows.map(RowChange::PutView).to_vec()).await;
    let both = [said_of(&registry::RUNS, running), said_of(&registry::OPEN_RUNS, running)];
    assert_eq!(problems(&process).await, both);
    for view in [&registry::RUNS, &registry::OPEN_RUNS] {
        assert_eq!(replayed(&process, view, false).await, [ada.to_string()]);
    }
    assert_eq!(problems(&process).await, Vec::<String>::new());
    process.stop().await;
    world.close().await;
}

#[tokio::test]
async fn runs_are_listed_newest_first_by_state_and_pattern_with_their_titles() {
    let world = World::open(StoreKind::Sqlite).await;
    let process = world.clerk().await;
    let (ada, eve) = (process.newcomer("ada").await, process.newcomer("eve").await);
    let [done, running, queued] = three(&process, &ada).await;
    let (ada, eve, ports) = (ada.id(), eve.id(), &process.ports);
    let all = |limit| Page { limit, ..Page::default() };
    let states = |states: &[RunState]| RunFilter { states: states.to_vec(), patterns: vec![] };
    let after = |row: ViewRow| Page { after: Some((row.sort, row.id)), ..all(10) };
    let last = |limit| Page { from_end: true, ..all(limit) };
    let behind = after(row(&process, RUNS, ada, queued).await);
    let sequential = RunFilter { states: vec![], patterns: vec![Pattern::Sequential] };
    let neither =
        RunFilter { states: vec![RunState::Running], patterns: vec![Pattern::Sequential] };
    let table = [
        (RunFilter::default(), all(10), vec![queued, running, done], 3, false),
        (RunFilter::default(), all(2), vec![queued, running], 3, true),
        (states(&[RunState::Queued, RunState::Completed]), all(1), vec![queued], 2, true),
        (states(&[RunState::Queued, RunState::Completed]), last(1), vec![done], 2, true),
        (states(&[RunState::Running]), all(10), vec![running], 1, false),
        (sequential.clone(), all(10), vec![queued, done], 2, false),
        (sequential, behind, vec![done], 2, false),
        (neither, all(10), vec![], 0, false),
    ];
    for (filter, page, expected, total, more) in table {
        let found = ports.run_reads.runs(ada, filter.clone(), page).await.unwrap();
        let ids: Vec<RunId> = found.runs.iter().map(|run| run.id).collect();
        assert_eq!((ids, found.total, found.more), (expected, total, more), "{filter:?} {page:?}");
        for run in found.runs {
            let title = if run.id == done {
                "the first"
            } else if run.id == running {
                "the second"
            } else {
                "the third"
            };
            assert_eq!(run.content.unwrap().title.as_deref(), Some(title));
        }
    }
    assert_eq!(
        ports.run_reads.runs(eve, states(&[RunState::Running]), all(10)).await.unwrap().total,
        0,
        "nobody else's"
    );
    assert_eq!(process.store.row(RUNS, eve, running.0).await.unwrap(), None);
    assert_ne!(running.0, Uuid::nil());
    process.stop().await;
    world.close().await;
}
