use super::*;
use crate::given::{HOUR_MS, key, later, tag};
use claviger_domain::key_ring::{ClearDefault, ClearReason, KeyRingError, SetDefault};
use claviger_domain::timestamp::Timestamp;

#[test]
fn key_becomes_the_default_of_an_empty_context() {
    let ring = ring([added(1)]).when(set_default(1, 1)).then([made_default(1, 1, None)]);
    assert_eq!(ring.defaults[&tag(1)], key(1));
    assert_eq!(ring.keys[&key(1)].version, 2);
}

#[test]
fn new_default_names_the_previous_one_and_raises_both_versions() {
    let ring = ring([added(1), added(2), made_default(1, 1, None)])
        .when(set_default(2, 1))
        .then([made_default(2, 1, Some(key(1)))]);
    assert_eq!(ring.keys[&key(1)].version, 4);
    assert_eq!(ring.keys[&key(2)].version, 4);
    assert_eq!(ring.defaults.len(), 1);
}

#[test]
fn one_key_may_be_the_default_of_several_contexts() {
    let ring = ring([added(1), made_default(1, 1, None)])
        .when(set_default(1, 2))
        .then([made_default(1, 2, None)]);
    assert_eq!(ring.default_tags(key(1)).collect::<Vec<_>>(), [tag(1), tag(2)]);
}

#[test]
fn contexts_do_not_share_a_default() {
    let ring = ring([added(1), added(2), made_default(1, 1, None)])
        .when(set_default(2, 2))
        .then([made_default(2, 2, None)]);
    assert_eq!((ring.defaults[&tag(1)], ring.defaults[&tag(2)]), (key(1), key(2)));
    assert_eq!(ring.keys[&key(1)].version, 3);
}

#[test]
fn present_default_made_default_again_is_nothing_new() {
    ring([added(1), made_default(1, 1, None)]).when(set_default(1, 1)).nothing();
}

#[test]
fn inactive_key_cannot_become_default() {
    ring([added(1), deactivated(1)]).when(set_default(1, 1)).refused(KeyRingError::Inactive);
    let taken = [added(1), deactivated(1), added(2), made_default(2, 1, None)];
    ring(taken).when(set_default(1, 1)).refused(KeyRingError::Inactive);
}

#[test]
fn reactivated_key_can_become_default() {
    ring([added(1), deactivated(1), activated(1)])
        .when(set_default(1, 1))
        .then([made_default(1, 1, None)]);
}

#[test]
fn expired_key_cannot_become_default_whether_recorded_or_not() {
    let late = later().plus_ms(HOUR_MS);
    let command = SetDefault { now: late, ..set_default(1, 1) };
    let history = [added_expiring(1, Some(later())), expired(1, later())];
    ring([history[0].clone()]).when(command.clone()).refused(KeyRingError::Expired { at: later() });
    ring(history).when(command).refused(KeyRingError::Expired { at: later() });
}

#[test]
fn key_that_expires_at_this_very_moment_cannot_become_default() {
    let history = [added_expiring(1, Some(later()))];
    ring(history)
        .when(SetDefault { now: later(), ..set_default(1, 1) })
        .refused(KeyRingError::Expired { at: later() });
}

#[test]
fn key_that_expires_a_moment_later_can_become_default() {
    let history = [added_expiring(1, Some(later()))];
    let now = Timestamp(later().0 - 1);
    ring(history).when(SetDefault { now, ..set_default(1, 1) }).then([made_default(1, 1, None)]);
}

#[test]
fn unknown_and_deleted_keys_answer_alike() {
    ring([added(2)]).when(set_default(1, 1)).refused(KeyRingError::NotFound);
    ring([added(1), deleted(1)]).when(set_default(1, 1)).refused(KeyRingError::NotFound);
}

#[test]
fn default_of_the_version_the_caller_saw_is_set() {
    ring([added(1)])
        .when(SetDefault { expected: Some(1), ..set_default(1, 1) })
        .then([made_default(1, 1, None)]);
}

#[test]
fn default_of_a_key_changed_meanwhile_is_refused() {
    ring([added(1), renamed(1, "other")])
        .when(SetDefault { expected: Some(1), ..set_default(1, 1) })
        .refused(KeyRingError::VersionMismatch { expected: 1, actual: 2 });
}

#[test]
fn default_is_cleared_on_request_and_nobody_takes_its_place() {
    let ring = ring([added(1), added(2), made_default(1, 1, None)])
        .when(clear_default(1))
        .then([cleared_on_request(1, 1)]);
    assert!(ring.defaults.is_empty());
    assert_eq!(ring.keys[&key(1)].version, 4);
    assert_eq!(ring.keys[&key(2)].version, 2);
}

#[test]
fn clearing_one_context_leaves_the_others() {
    let ring = ring([added(1), made_default(1, 1, None), made_default(1, 2, None)])
        .when(clear_default(2))
        .then([cleared_on_request(1, 2)]);
    assert_eq!(ring.default_tags(key(1)).collect::<Vec<_>>(), [tag(1)]);
}

#[test]
fn clearing_a_context_without_default_is_nothing_new() {
    ring([added(1)]).when(clear_default(1)).nothing();
    ring([]).when(clear_default(1)).nothing();
}

#[test]
fn clearing_compares_the_version_of_the_present_default() {
    let history = || [added(1), made_default(1, 1, None)];
    ring(history())
        .when(ClearDefault { expected: Some(2), ..clear_default(1) })
        .then([cleared_on_request(1, 1)]);
    ring(history())
        .when(ClearDefault { expected: Some(1), ..clear_default(1) })
        .refused(KeyRingError::VersionMismatch { expected: 1, actual: 2 });
}

#[test]
fn clearing_cannot_compare_a_version_where_there_is_no_default() {
    ring([added(1)])
        .when(ClearDefault { expected: Some(1), ..clear_default(1) })
        .refused(KeyRingError::NoDefaultToCompare { expected: 1 });
}

#[test]
fn expired_default_that_no_timer_saw_can_be_replaced_and_is_named() {
    let history = [added_expiring(1, Some(later())), made_default(1, 1, None), added(2)];
    let now = later().plus_ms(1);
    ring(history).when(SetDefault { now, ..set_default(2, 1) }).then([made_default(
        2,
        1,
        Some(key(1)),
    )]);
}

#[test]
fn cleared_default_is_not_promoted_when_the_others_change() {
    let history = [
        added(1),
        added(2),
        made_default(1, 1, None),
        cleared(1, 1, ClearReason::Deactivated),
        deactivated(1),
    ];
    let ring = ring(history).when(activate(1)).then([activated(1)]);
    assert!(ring.defaults.is_empty());
}
