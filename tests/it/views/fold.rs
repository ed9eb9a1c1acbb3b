//! The view of activity and the fold of batches, as tables.

use super::build::{added, deleted, key, passed, ring, tested, user};
use crate::harness::environment::NOW;
use crate::harness::events::stored;
use claviger_domain::key_test::{KeyTestStatus, KeyVerdict, Verdict};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::activity::{
    ActivityView, Call, CallEnd, CallFault, KEPT_DAYS, KeyActivity,
};
use claviger_projections::follower::{Folded, Rows, fold, touched};
use claviger_projections::ports::{PoisonReason, Quarantined, StoredEvent, ViewChanges, ViewRow};
use std::collections::BTreeSet;

fn failed(change: impl FnOnce(&mut KeyVerdict)) -> KeyVerdict {
    let mut verdict = KeyVerdict { status: KeyTestStatus::Failed, ..passed() };
    change(&mut verdict);
    verdict
}

#[test]
fn a_verdict_leads_to_the_fault_of_its_call() {
    let unclear = |status| KeyVerdict {
        status: KeyTestStatus::Inconclusive,
        upstream_status: status,
        ..passed()
    };
    let table = [
        (passed(), None),
        (failed(|verdict| verdict.authentic = Verdict::No), Some(CallFault::KeyRefused)),
        (failed(|verdict| verdict.has_credit = Verdict::No), Some(CallFault::NoCredit)),
        (failed(|verdict| verdict.model_allowed = Verdict::No), Some(CallFault::ModelRefused)),
        (unclear(Some(429)), Some(CallFault::RateLimited)),
        (
            KeyVerdict { rate_limited_until: Some(NOW), ..unclear(None) },
            Some(CallFault::RateLimited),
        ),
        // Something between this server and Anthropic limited the rate.
        (
            KeyVerdict { authentic: Verdict::Unknown, ..unclear(Some(429)) },
            Some(CallFault::Upstream),
        ),
        // The key's organisation is disabled.
        (failed(|verdict| verdict.has_credit = Verdict::Unknown), Some(CallFault::KeyRefused)),
        (unclear(Some(529)), Some(CallFault::Upstream)),
        (unclear(None), Some(CallFault::NoAnswer)),
    ];
    for (verdict, fault) in table {
        assert_eq!(CallFault::of_verdict(&verdict), fault, "{verdict:?}");
    }
}

#[test]
fn calls_leave_the_last_of_everything_and_a_count_by_day() {
    let day = 24 * 3600 * 1000;
    let failed = |fault, rate_limited_until| CallEnd::Failed { fault, rate_limited_until };
    let limited = Call { at: NOW, end: failed(CallFault::RateLimited, Some(NOW.plus_ms(9))) };
    let lost = Call { at: NOW.plus_ms(1), end: failed(CallFault::NoAnswer, None) };
    let unheard = Call { at: NOW.plus_ms(2), end: CallEnd::Unheard };
    let well = Call { at: NOW.plus_ms(day), end: CallEnd::Well };
    let mut activity = KeyActivity::new(NOW);
    assert_eq!(activity.last_call_at, None);
    activity.call(&limited);
    activity.call(&lost);
    assert_eq!((activity.last_call_at, activity.last_success_at), (Some(lost.at), None));
    assert_eq!(
        activity.last_fault.map(|fault| (fault.at, fault.fault)),
        Some((lost.at, CallFault::NoAnswer))
    );
    assert_eq!(
        activity.rate_limited_until,
        Some(NOW.plus_ms(9)),
        "no answer says nothing about the limit"
    );
    activity.call(&unheard);
    assert_eq!(
        (activity.last_call_at, activity.last_success_at),
        (Some(unheard.at), None),
        "who heard nothing had no success"
    );
    assert_eq!(activity.last_fault.map(|fault| fault.at), Some(lost.at), "and no fault");
    assert_eq!(activity.rate_limited_until, Some(NOW.plus_ms(9)));
    assert_eq!(activity.last_used_at, None, "none of these was a run's");
    activity.used(&well);
    assert_eq!(activity.last_used_at, Some(well.at));
    assert_eq!((activity.last_success_at, activity.rate_limited_until), (Some(well.at), None));
    assert!(activity.last_fault.is_some());
    let today = NOW.0 / day;
    assert_eq!(
        activity.days.iter().map(|(day, of)| (*day, of.calls)).collect::<Vec<_>>(),
        [(today, 3), (today + 1, 1)]
    );
    assert_eq!(KeyActivity::start_of(today).to_string(), "2026-11-23T00:00:00.000Z");
    for n in 0..KEPT_DAYS as u64 * 2 {
        activity.call(&Call { at: Timestamp(NOW.0 + n * day), end: CallEnd::Well });
    }
    assert_eq!(activity.days.len(), KEPT_DAYS);
    assert_eq!(
        activity.days.last_key_value().map(|(day, _)| *day),
        Some(today + KEPT_DAYS as u64 * 2 - 1)
    );
}

fn folded(events: &[StoredEvent]) -> Folded {
    fold(&ActivityView, events, &Rows::new(), &BTreeSet::new(), &|_| false)
}

fn calls(row: &ViewRow) -> u64 {
    ActivityView::read(row).unwrap().days.values().map(|day| day.calls).sum()
}

#[test]
fn a_batch_makes_one_row_a_key() {
    let events = ring(
        user(1),
        &[added(1), tested(1, passed()), added(2), tested(1, passed()), tested(9, passed())],
    );
    assert_eq!(touched(&ActivityView, &events).len(), 3);
    let folded = folded(&events);
    assert_eq!((folded.to, folded.poison), (Some(5), None));
    let rows: Vec<_> = folded
        .changes
        .put
        .iter()
        .map(|row| (row.owner, row.id, calls(row), row.content.is_some()))
        .collect();
    assert_eq!(
        rows,
        [(user(1), key(1).0, 2, false), (user(1), key(2).0, 0, false)],
        "a key that isn't there has no row"
    );
    assert_eq!((folded.changes.deleted, folded.changes.wiped), (vec![], vec![]));
}

#[test]
fn a_deleted_key_has_no_row_whatever_ends_later() {
    let first = folded(&ring(user(1), &[added(1), tested(1, passed())]));
    let before: Rows =
        first.changes.put.into_iter().map(|row| ((row.owner, row.id), row)).collect();
    let events = ring(user(1), &[deleted(1), tested(1, passed())]);
    let changes = fold(&ActivityView, &events, &before, &BTreeSet::new(), &|_| false).changes;
    assert_eq!(
        changes,
        ViewChanges { deleted: vec![(user(1), key(1).0)], ..ViewChanges::default() }
    );
}

#[test]
fn a_row_that_stays_the_same_is_not_written() {
    let first = folded(&ring(user(1), &[added(1)]));
    let before: Rows =
        first.changes.put.into_iter().map(|row| ((row.owner, row.id), row)).collect();
    let again =
        fold(&ActivityView, &ring(user(1), &[added(1)]), &before, &BTreeSet::new(), &|_| false);
    assert_eq!((again.to, again.changes), (Some(1), ViewChanges::default()));
}

#[test]
fn erasure_takes_all_rows_of_its_user_and_no_others() {
    let mut events = ring(user(1), &[added(1), tested(1, passed())]);
    events.push(ring(user(2), &[added(2)]).remove(0));
    events.push(stored(StreamName::Account(user(1)), 4, "AccountErased", b"{}", None));
    let changes = folded(&events).changes;
    assert_eq!(changes.wiped, [user(1)]);
    assert_eq!(changes.put.iter().map(|row| row.owner).collect::<Vec<_>>(), [user(2)]);
    assert_eq!(changes.deleted, []);
}

/// The event of a test, without facts.
fn poison(position: u64) -> StoredEvent {
    stored(StreamName::KeyRing(user(1)), position, "KeyTested", b"{}", Some(key(1).0))
}

#[test]
fn a_fold_stops_at_what_it_cannot_take_in_and_passes_it_once_it_is_given_up() {
    let mut events = ring(
        user(1),
        &[added(1), added(2), tested(1, passed()), tested(1, passed()), tested(2, passed())],
    );
    events[2] = poison(3);
    let bad = Quarantined {
        owner: user(1),
        id: key(1).0,
        position: 3,
        reason: PoisonReason::UnknownEvent,
    };
    let stopped = folded(&events);
    assert_eq!((stopped.to, stopped.poison), (Some(2), Some(bad)));
    assert_eq!((stopped.changes.put.len(), stopped.changes.quarantined.len()), (2, 0));

    let passed =
        fold(&ActivityView, &events, &Rows::new(), &BTreeSet::new(), &|position| position == 3);
    assert_eq!((passed.to, passed.poison), (Some(5), None));
    assert_eq!(passed.changes.quarantined, [bad]);
    assert_eq!(
        passed.changes.put.iter().map(calls).collect::<Vec<_>>(),
        [0, 1],
        "later events of the row are not folded"
    );

    let still = BTreeSet::from([(user(1), key(1).0)]);
    let later = fold(&ActivityView, &events, &Rows::new(), &still, &|_| false);
    assert_eq!((later.to, later.poison), (Some(5), None));
    assert_eq!(later.changes.put.iter().map(|row| row.id).collect::<Vec<_>>(), [key(2).0]);

    let nothing = folded(&events[2..]);
    assert_eq!((nothing.to, nothing.poison), (None, Some(bad)));
}

#[test]
fn a_row_that_cannot_be_read_is_said_to_be_so() {
    let row = ViewRow {
        facts: b"{".to_vec(),
        ..folded(&ring(user(1), &[added(1)])).changes.put.remove(0)
    };
    let before = Rows::from([((user(1), key(1).0), row)]);
    let folded = fold(
        &ActivityView,
        &ring(user(1), &[tested(1, passed())]),
        &before,
        &BTreeSet::new(),
        &|_| false,
    );
    assert_eq!(folded.poison.map(|poison| poison.reason), Some(PoisonReason::UnreadableRow));
}

#[test]
fn reasons_are_read_as_they_are_written() {
    for reason in PoisonReason::ALL {
        assert_eq!(PoisonReason::parse(reason.as_str()), Some(*reason));
    }
    assert_eq!(PoisonReason::parse("bored"), None);
}
