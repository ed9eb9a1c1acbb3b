//! Usage of a run's calls, by run and day.

use super::given::*;
use claviger_domain::orchestration::{Cost, FailureClass, Next, Pattern, Usage};
use claviger_domain::stream::StreamName;
use claviger_projections::follower::{FollowedView as _, Rows, Touch};
use claviger_projections::ports::{PoisonReason, StoredEvent, ViewRow};
use claviger_projections::usage::{UsageFacts, UsageView, day_of, start_of};
use std::collections::BTreeSet;
use uuid::Uuid;

fn rows(events: Vec<StoredEvent>) -> Vec<ViewRow> {
    let count = events.len() as u64;
    let folded = folded(&UsageView, events, &Rows::new());
    assert_eq!((folded.to, folded.poison), (Some(count), None));
    folded.changes.put
}

/// A cell in short form: key, calls, input and cost.
type Short = (Option<Uuid>, u64, u64, Option<u64>);

/// A row in short form: run, day and cells.
fn short(row: &ViewRow) -> (Uuid, u64, Vec<Short>) {
    let facts = UsageView::read(row).unwrap();
    assert_eq!(facts.pattern, Pattern::Parallel);
    let cell = |cell: &claviger_projections::usage::Cell| {
        (cell.key.map(|key| key.0), cell.calls, cell.usage.input, cell.cost.0)
    };
    (facts.run.0, facts.day, facts.cells.iter().map(cell).collect())
}

#[test]
fn calls_of_a_run_add_up_by_day_credential_and_model() {
    let call = |n, at, key, used, cost| {
        of_run(user(1), run(n), at, &completed(run(n), credential(key), used, Cost(cost)))
    };
    let failed = failed(run(1), credential(Some(key(1))), FailureClass::Cancelled, Next::GiveUp);
    let tomorrow = NOON.plus_ms(DAY);
    let events = vec![
        of_run(user(1), run(1), NOON, &requested(run(1), None)),
        call(1, NOON, Some(key(1)), 10, Some(100)),
        call(1, NOON, None, 20, Some(200)),
        call(1, NOON, Some(key(1)), 30, Some(300)),
        of_run(user(1), run(1), NOON, &failed),
        call(1, tomorrow, Some(key(1)), 40, Some(400)),
        call(2, NOON, Some(key(1)), 50, Some(500)),
        call(2, NOON, Some(key(1)), 50, None),
        call(2, NOON, Some(key(1)), 50, Some(500)),
    ];
    let today = day_of(NOON);
    let rows = rows(events);
    let mut found: Vec<_> = rows.iter().map(short).collect();
    found.sort();
    let (one, two) = (run(1).0, run(2).0);
    let expected = [
        (one, today, vec![(Some(key(1).0), 3, 47, Some(470)), (None, 1, 20, Some(200))]),
        (one, today + 1, vec![(Some(key(1).0), 1, 40, Some(400))]),
        // One unknown cost makes the sum unknown, even if later costs are known.
        (two, today, vec![(Some(key(1).0), 3, 150, None)]),
    ];
    assert_eq!(found, expected);
    for row in &rows {
        let facts = UsageView::read(row).unwrap();
        assert_eq!(
            (row.owner, row.sort, row.stream),
            (user(1), start_of(facts.day).0, StreamName::Run(facts.run.0))
        );
        assert_eq!((row.id, &row.content), (UsageFacts::id(facts.run, facts.day), &None));
    }
}

#[test]
fn a_call_counts_on_the_day_it_ended() {
    let midnight = start_of(day_of(NOON) + 1);
    let call =
        |at| of_run(user(1), run(1), at, &completed(run(1), credential(None), 1, Cost::default()));
    let events = vec![call(claviger_domain::timestamp::Timestamp(midnight.0 - 1)), call(midnight)];
    let mut days: Vec<_> = rows(events).iter().map(|row| short(row).1).collect();
    days.sort_unstable();
    assert_eq!(days, [day_of(NOON), day_of(NOON) + 1]);
}

#[test]
fn a_row_accumulates_from_its_previous_state() {
    let call = |used| {
        of_run(user(1), run(1), NOON, &completed(run(1), credential(None), used, Cost(Some(1))))
    };
    let before: Rows =
        rows(vec![call(1)]).into_iter().map(|row| ((row.owner, row.id), row)).collect();
    let folded = folded(&UsageView, vec![call(2)], &before);
    let row = folded.changes.put.first().unwrap();
    assert_eq!(
        UsageView::read(row).unwrap().cells.first().unwrap().usage,
        Usage { output: 2, ..usage(3) }
    );
}

#[test]
fn row_ids_differ_by_run_and_day() {
    // Runs with consecutive ids, on consecutive days.
    let ids: BTreeSet<_> =
        (0..64).flat_map(|n| (0..64).map(move |day| UsageFacts::id(run(n), day))).collect();
    assert_eq!(ids.len(), 64 * 64);
    let id = UsageFacts::id(claviger_domain::id::RunId(Uuid::from_u128(1)), 2).to_string();
    assert_eq!(id, "5dfadd0e-5091-0f56-1636-c47335ecf831", "stored rows are found under it");
}

#[test]
fn erasure_removes_the_rows_of_its_user_only() {
    let call = |owner| {
        of_run(owner, run(1), NOON, &completed(run(1), credential(None), 1, Cost::default()))
    };
    let folded =
        folded(&UsageView, vec![call(user(1)), call(user(2)), erased(user(1))], &Rows::new());
    assert_eq!(folded.changes.wiped, [user(1)]);
    assert_eq!(folded.changes.put.iter().map(|row| row.owner).collect::<Vec<_>>(), [user(2)]);
}

#[test]
fn other_events_touch_no_row_and_an_undecodable_event_stops_its_row() {
    for event in [requested(run(1), None), claimed(run(1), 1)] {
        assert_eq!(
            UsageView.touch(&of_run(user(1), run(1), NOON, &event)),
            Touch::Nothing,
            "{event:?}"
        );
    }
    assert_eq!(UsageView.touch(&of_ring(user(1), NOON, &added(1))), Touch::Nothing);
    let id = UsageFacts::id(run(1), day_of(NOON));
    let bad =
        stored(user(1), StreamName::Run(run(1).0), NOON, ("StepCompleted", b"{}", Some(run(1).0)));
    let poison = folded(&UsageView, vec![bad], &Rows::new()).poison.unwrap();
    assert_eq!((poison.owner, poison.id, poison.reason), (user(1), id, PoisonReason::UnknownEvent));

    let call =
        of_run(user(1), run(1), NOON, &completed(run(1), credential(None), 1, Cost::default()));
    let row = rows(vec![call.clone()]).remove(0);
    let foreign = UsageFacts { run: run(2), ..UsageView::read(&row).unwrap() };
    for facts in [b"{".to_vec(), serde_json::to_vec(&foreign).unwrap()] {
        let before = Rows::from([((user(1), id), ViewRow { facts, ..row.clone() })]);
        let poison = folded(&UsageView, vec![call.clone()], &before).poison.unwrap();
        assert_eq!(poison.reason, PoisonReason::UnreadableRow);
    }
}
