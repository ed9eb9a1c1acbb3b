//! What calls of runs reveal about their keys.

use super::given::*;
use claviger_domain::orchestration::{Cost, FailureClass, Next, RunEvent};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::activity::{ActivityView, CallFault, KeyActivity};
use claviger_projections::follower::{FollowedView as _, Rows, Touch};
use claviger_projections::ports::{PoisonReason, StoredEvent};

const LATER: Timestamp = Timestamp(NOON.0 + 60_000);

/// The activity of the first key after an event of a run, one second after noon.
fn after(event: &RunEvent) -> KeyActivity {
    let events =
        vec![of_ring(user(1), NOON, &added(1)), of_run(user(1), run(1), NOON.plus_ms(1000), event)];
    let folded = folded(&ActivityView, events, &Rows::new());
    assert_eq!((folded.to, folded.poison), (Some(2), None));
    let [row] = folded.changes.put.as_slice() else { panic!("{:?}", folded.changes) };
    assert_eq!((row.owner, row.id, row.sort), (user(1), key(1).0, NOON.0));
    assert_eq!(
        row.stream,
        StreamName::KeyRing(user(1)),
        "the row belongs to its key, whoever called"
    );
    ActivityView::read(row).unwrap()
}

#[test]
fn a_completed_step_counts_as_a_success_of_its_key() {
    let activity = after(&completed(run(1), credential(Some(key(1))), 5, Cost::default()));
    let at = Some(NOON.plus_ms(1000));
    assert_eq!(
        (activity.last_call_at, activity.last_success_at, activity.last_fault),
        (at, at, None)
    );
    assert_eq!(activity.days.values().map(|day| day.calls).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_failed_attempt_counts_as_a_call_with_the_fault_of_its_class() {
    use FailureClass::*;
    let retry = Next::Retry { at: LATER };
    let table = [
        (Request, retry, Some(CallFault::Upstream), None, false),
        (Authentication, Next::GiveUp, Some(CallFault::KeyRefused), None, false),
        (TooLarge, Next::GiveUp, Some(CallFault::Upstream), None, false),
        (Disabled, Next::GiveUp, Some(CallFault::KeyRefused), None, false),
        (Between, retry, Some(CallFault::Upstream), None, false),
        (Credit, Next::GiveUp, Some(CallFault::NoCredit), None, false),
        (Permission, Next::GiveUp, Some(CallFault::ModelRefused), None, false),
        (RateLimit, retry, Some(CallFault::RateLimited), Some(LATER), false),
        (RateLimit, Next::GiveUp, Some(CallFault::RateLimited), None, false),
        (SpendLimit, Next::Pause, Some(CallFault::NoCredit), None, false),
        (Overloaded, retry, Some(CallFault::Upstream), None, false),
        (Connection, retry, Some(CallFault::NoAnswer), None, false),
        (Timeout, retry, Some(CallFault::NoAnswer), None, false),
        (Protocol, retry, Some(CallFault::Upstream), None, false),
        (InvalidOutput, retry, None, None, true),
        (Refusal, Next::GiveUp, None, None, true),
        (Interrupted, retry, None, None, false),
        (Restarted, retry, None, None, false),
        (Cancelled, Next::GiveUp, None, None, false),
    ];
    for (class, next, fault, until, is_success) in table {
        let activity = after(&failed(run(1), credential(Some(key(1))), class, next));
        assert_eq!(activity.last_fault.map(|fault| fault.fault), fault, "{class:?}");
        assert_eq!(activity.rate_limited_until, until, "{class:?}");
        assert_eq!(activity.last_success_at.is_some(), is_success, "{class:?}");
        assert_eq!(activity.last_call_at, Some(NOON.plus_ms(1000)), "{class:?}");
        assert_eq!(activity.days.values().map(|day| day.calls).sum::<u64>(), 1, "{class:?}");
    }
}

#[test]
fn the_operators_credentials_and_other_events_touch_no_row() {
    let events = [
        completed(run(1), credential(None), 5, Cost::default()),
        failed(run(1), credential(None), FailureClass::Credit, Next::GiveUp),
        requested(run(1), None),
        claimed(run(1), 1),
    ];
    for event in events {
        assert_eq!(
            ActivityView.touch(&of_run(user(1), run(1), NOON, &event)),
            Touch::Nothing,
            "{event:?}"
        );
    }
}

#[test]
fn a_key_deleted_during_a_call_has_no_row() {
    let call = completed(run(1), credential(Some(key(1))), 5, Cost::default());
    let call = |at| of_run(user(1), run(1), at, &call);
    let events = vec![
        of_ring(user(1), NOON, &added(1)),
        call(NOON),
        of_ring(user(1), NOON, &deleted(1)),
        call(LATER),
    ];
    let folded = folded(&ActivityView, events, &Rows::new());
    assert_eq!((folded.to, folded.poison, folded.changes.put), (Some(4), None, vec![]));
}

#[test]
fn erasure_removes_the_rows_and_calls_that_end_later_create_none() {
    let call = of_run(
        user(1),
        run(1),
        LATER,
        &completed(run(1), credential(Some(key(1))), 5, Cost::default()),
    );
    let events = vec![of_ring(user(1), NOON, &added(1)), erased(user(1)), call];
    let folded = folded(&ActivityView, events, &Rows::new());
    assert_eq!((folded.changes.wiped, folded.changes.put), (vec![user(1)], vec![]));
}

#[test]
fn an_undecodable_event_of_a_run_stops_the_row_of_its_key_and_is_never_skipped() {
    let unreadable = |facts: &[u8]| -> StoredEvent {
        stored(user(1), StreamName::Run(run(1).0), NOON, ("StepCompleted", facts, Some(run(1).0)))
    };
    let named = format!("{{\"credential\":{{\"source\":\"named_key\",\"key\":\"{}\"}}}}", key(1));
    for (facts, row) in [(named.as_bytes(), key(1).0), (b"{}", run(1).0)] {
        let event = unreadable(facts);
        assert_eq!(ActivityView.touch(&event), Touch::Row(user(1), row));
        let folded = folded(&ActivityView, vec![event], &Rows::new());
        assert_eq!(
            folded.poison.map(|poison| (poison.id, poison.reason)),
            Some((row, PoisonReason::UnknownEvent))
        );
    }
}
