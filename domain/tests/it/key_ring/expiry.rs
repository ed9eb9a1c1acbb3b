use super::*;
use crate::given::{HOUR_MS, NOW, fold, key, later};
use claviger_domain::key_ring::{ClearReason, KeyRing, KeyRingError, SetDefault, SetExpiry};
use claviger_domain::timestamp::Timestamp;

fn much_later() -> Timestamp {
    later().plus_ms(HOUR_MS)
}

#[test]
fn expiry_is_set_moved_and_taken_back() {
    ring([added(1)]).when(set_expiry(1, Some(later()))).then([expiry_set(1, Some(later()))]);
    let history = || [added_expiring(1, Some(later()))];
    ring(history())
        .when(set_expiry(1, Some(much_later())))
        .then([expiry_set(1, Some(much_later()))]);
    let ring = ring(history()).when(set_expiry(1, None)).then([expiry_set(1, None)]);
    assert_eq!(ring.keys[&key(1)].expires_at, None);
    assert_eq!(ring.keys[&key(1)].version, 2);
}

#[test]
fn same_expiry_is_nothing_new_even_when_it_has_passed() {
    ring([added(1)]).when(set_expiry(1, None)).nothing();
    let history = [added_expiring(1, Some(later()))];
    ring(history).when(SetExpiry { now: much_later(), ..set_expiry(1, Some(later())) }).nothing();
}

#[test]
fn expiry_in_the_past_is_refused() {
    let past = Timestamp(NOW.0 - 1);
    ring([added(1)])
        .when(set_expiry(1, Some(past)))
        .refused(KeyRingError::ExpiryInPast { at: past });
}

#[test]
fn expiry_at_this_very_moment_is_refused_and_a_moment_later_is_taken() {
    ring([added(1)]).when(set_expiry(1, Some(NOW))).refused(KeyRingError::ExpiryInPast { at: NOW });
    let soon = NOW.plus_ms(1);
    ring([added(1)]).when(set_expiry(1, Some(soon))).then([expiry_set(1, Some(soon))]);
}

#[test]
fn expiry_of_an_unknown_key_is_refused() {
    ring([]).when(set_expiry(1, Some(later()))).refused(KeyRingError::NotFound);
}

#[test]
fn expiry_of_a_key_changed_meanwhile_is_refused() {
    let history = || [added(1), renamed(1, "other")];
    ring(history())
        .when(SetExpiry { expected: Some(1), ..set_expiry(1, Some(later())) })
        .refused(KeyRingError::VersionMismatch { expected: 1, actual: 2 });
    ring(history())
        .when(SetExpiry { expected: Some(2), ..set_expiry(1, Some(later())) })
        .then([expiry_set(1, Some(later()))]);
}

#[test]
fn key_is_expired_from_its_very_moment_on() {
    let ring: KeyRing = fold([added_expiring(1, Some(later()))]);
    let key = &ring.keys[&key(1)];
    assert!(!key.is_expired(Timestamp(later().0 - 1)));
    assert!(key.is_expired(later()));
    assert!(key.is_expired(much_later()));
}

#[test]
fn recording_the_expiry_clears_every_default_of_the_key_in_the_same_commit() {
    let history = [
        added_expiring(1, Some(later())),
        added(2),
        made_default(1, 1, None),
        made_default(1, 2, None),
        made_default(2, 3, None),
    ];
    let ring = ring(history).when(record_expiry(1, later())).then([
        cleared(1, 1, ClearReason::Expired),
        cleared(1, 2, ClearReason::Expired),
        expired(1, later()),
    ]);
    assert_eq!(ring.defaults.values().copied().collect::<Vec<_>>(), [key(2)]);
    assert!(ring.keys[&key(1)].is_active, "expiry leaves isActive alone");
    assert_eq!(ring.keys[&key(1)].version, 8);
}

#[test]
fn expiry_is_recorded_once() {
    let history = [added_expiring(1, Some(later())), expired(1, later())];
    ring(history).when(record_expiry(1, much_later())).nothing();
}

#[test]
fn expiry_that_lies_ahead_is_not_recorded() {
    ring([added_expiring(1, Some(later()))])
        .when(record_expiry(1, Timestamp(later().0 - 1)))
        .nothing();
}

#[test]
fn key_without_expiry_and_unknown_key_have_nothing_to_record() {
    ring([added(1)]).when(record_expiry(1, much_later())).nothing();
    ring([added(1)]).when(record_expiry(2, much_later())).nothing();
    ring([added_expiring(1, Some(later())), deleted(1)])
        .when(record_expiry(1, much_later()))
        .nothing();
}

#[test]
fn expiry_moved_by_a_race_is_not_recorded_by_a_late_timer() {
    let history = [added_expiring(1, Some(later())), expiry_set(1, Some(much_later()))];
    ring(history).when(record_expiry(1, later())).nothing();
}

#[test]
fn expiry_of_an_inactive_key_is_recorded() {
    ring([added_expiring(1, Some(later())), deactivated(1)])
        .when(record_expiry(1, later()))
        .then([expired(1, later())]);
}

#[test]
fn later_expiry_revives_an_expired_key_without_its_defaults() {
    let history = [
        added_expiring(1, Some(later())),
        made_default(1, 1, None),
        cleared(1, 1, ClearReason::Expired),
        expired(1, later()),
    ];
    let now = later().plus_ms(1);
    let revive = SetExpiry { now, ..set_expiry(1, Some(much_later())) };
    let state =
        ring(history.clone()).when(revive.clone()).then([expiry_set(1, Some(much_later()))]);
    assert!(state.defaults.is_empty());
    assert!(!state.keys[&key(1)].is_expired(now));
    let revived = history.into_iter().chain([expiry_set(1, Some(much_later()))]);
    ring(revived).when(SetDefault { now, ..set_default(1, 1) }).then([made_default(1, 1, None)]);
}

#[test]
fn reviving_a_key_before_any_timer_saw_it_expire_records_the_expiry_first() {
    let history = || [added_expiring(1, Some(later())), made_default(1, 1, None)];
    for expires_at in [Some(much_later()), None] {
        let ring =
            ring(history()).when(SetExpiry { now: later(), ..set_expiry(1, expires_at) }).then([
                cleared(1, 1, ClearReason::Expired),
                expired(1, later()),
                expiry_set(1, expires_at),
            ]);
        assert!(ring.defaults.is_empty());
        assert!(!ring.keys[&key(1)].expiry_recorded);
    }
}

#[test]
fn refused_expiry_records_nothing() {
    let history = [added_expiring(1, Some(later())), made_default(1, 1, None)];
    ring(history)
        .when(SetExpiry { now: much_later(), ..set_expiry(1, Some(NOW)) })
        .refused(KeyRingError::ExpiryInPast { at: NOW });
}

#[test]
fn second_expiry_is_recorded_too() {
    let history =
        [added_expiring(1, Some(later())), expired(1, later()), expiry_set(1, Some(much_later()))];
    ring(history).when(record_expiry(1, much_later())).then([expired(1, much_later())]);
}

#[test]
fn expiry_moved_ahead_of_time_keeps_the_defaults() {
    let history = [added_expiring(1, Some(later())), made_default(1, 1, None)];
    let ring = ring(history)
        .when(set_expiry(1, Some(much_later())))
        .then([expiry_set(1, Some(much_later()))]);
    assert_eq!(ring.defaults.len(), 1);
}
