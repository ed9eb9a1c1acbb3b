use super::*;
use crate::given::{HOUR_MS, fold, key, later, print, tag};
use claviger_domain::key_ring::{
    ActivateKey, ClearReason, DeactivateKey, DeleteKey, KeyRing, KeyRingError, RenameKey,
};

#[test]
fn key_is_renamed() {
    let ring = ring([added(1)]).when(rename(1, "work")).then([renamed(1, "work")]);
    assert_eq!(ring.keys[&key(1)].version, 2);
}

#[test]
fn inactive_and_expired_keys_can_be_renamed() {
    ring([added(1), deactivated(1)]).when(rename(1, "work")).then([renamed(1, "work")]);
    ring([added_expiring(1, Some(later())), expired(1, later())])
        .when(rename(1, "work"))
        .then([renamed(1, "work")]);
}

#[test]
fn two_keys_may_have_one_name() {
    ring([added(1), added(2), renamed(1, "work")])
        .when(rename(2, "work"))
        .then([renamed(2, "work")]);
}

#[test]
fn key_changed_meanwhile_is_not_renamed() {
    let history = || [added(1), renamed(1, "home")];
    ring(history())
        .when(RenameKey { expected: Some(1), ..rename(1, "work") })
        .refused(KeyRingError::VersionMismatch { expected: 1, actual: 2 });
    ring(history())
        .when(RenameKey { expected: Some(2), ..rename(1, "work") })
        .then([renamed(1, "work")]);
}

#[test]
fn unknown_key_is_neither_renamed_nor_activated_nor_deactivated_nor_deleted() {
    ring([added(2)]).when(rename(1, "work")).refused(KeyRingError::NotFound);
    ring([added(2)]).when(activate(1)).refused(KeyRingError::NotFound);
    ring([added(2)]).when(deactivate(1)).refused(KeyRingError::NotFound);
    ring([added(2)]).when(delete(1)).refused(KeyRingError::NotFound);
}

#[test]
fn unknown_key_answers_not_found_whatever_version_is_expected() {
    ring([]).when(DeleteKey { expected: Some(1), ..delete(1) }).refused(KeyRingError::NotFound);
    ring([]).when(ActivateKey { expected: Some(0), ..activate(1) }).refused(KeyRingError::NotFound);
}

#[test]
fn deactivated_key_loses_its_defaults_in_the_same_commit_and_nothing_is_promoted() {
    let history = [
        added(1),
        added(2),
        made_default(1, 1, None),
        made_default(1, 3, None),
        made_default(2, 2, None),
    ];
    let ring = ring(history).when(deactivate(1)).then([
        cleared(1, 1, ClearReason::Deactivated),
        cleared(1, 3, ClearReason::Deactivated),
        deactivated(1),
    ]);
    assert_eq!(ring.defaults.into_iter().collect::<Vec<_>>(), [(tag(2), key(2))]);
    assert!(!ring.keys[&key(1)].is_active);
    assert_eq!(ring.keys[&key(1)].version, 8);
}

#[test]
fn key_without_defaults_is_just_deactivated() {
    ring([added(1), added(2), made_default(2, 1, None)]).when(deactivate(1)).then([deactivated(1)]);
}

#[test]
fn inactive_key_deactivated_again_is_nothing_new() {
    ring([added(1), deactivated(1)]).when(deactivate(1)).nothing();
}

#[test]
fn key_changed_meanwhile_is_not_deactivated() {
    ring([added(1), renamed(1, "home")])
        .when(DeactivateKey { expected: Some(1), ..deactivate(1) })
        .refused(KeyRingError::VersionMismatch { expected: 1, actual: 2 });
    ring([added(1)])
        .when(DeactivateKey { expected: Some(1), ..deactivate(1) })
        .then([deactivated(1)]);
}

#[test]
fn stale_version_is_refused_even_where_nothing_would_change() {
    ring([added(1), deactivated(1)])
        .when(DeactivateKey { expected: Some(1), ..deactivate(1) })
        .refused(KeyRingError::VersionMismatch { expected: 1, actual: 2 });
    ring([added(1), renamed(1, "home")])
        .when(ActivateKey { expected: Some(1), ..activate(1) })
        .refused(KeyRingError::VersionMismatch { expected: 1, actual: 2 });
}

#[test]
fn activated_key_does_not_get_its_defaults_back() {
    let history = [
        added(1),
        made_default(1, 1, None),
        cleared(1, 1, ClearReason::Deactivated),
        deactivated(1),
    ];
    let ring = ring(history).when(activate(1)).then([activated(1)]);
    assert!(ring.keys[&key(1)].is_active);
    assert!(ring.defaults.is_empty());
    assert_eq!(ring.keys[&key(1)].version, 5);
}

#[test]
fn active_key_activated_again_is_nothing_new() {
    ring([added(1)]).when(activate(1)).nothing();
}

#[test]
fn key_of_the_version_the_caller_saw_is_activated() {
    ring([added(1), deactivated(1)])
        .when(ActivateKey { expected: Some(2), ..activate(1) })
        .then([activated(1)]);
}

#[test]
fn expired_key_can_be_activated_but_stays_expired() {
    let ring = ring([added_expiring(1, Some(later())), expired(1, later()), deactivated(1)])
        .when(activate(1))
        .then([activated(1)]);
    assert!(ring.keys[&key(1)].is_expired(later().plus_ms(HOUR_MS)));
}

#[test]
fn deleted_key_loses_its_defaults_in_the_same_commit_and_nothing_is_promoted() {
    let history = [added(1), added(2), made_default(1, 1, None), made_default(1, 2, None)];
    let ring = ring(history).when(delete(1)).then([
        cleared(1, 1, ClearReason::Deleted),
        cleared(1, 2, ClearReason::Deleted),
        deleted(1),
    ]);
    assert!(ring.defaults.is_empty());
    assert_eq!(ring.keys.keys().copied().collect::<Vec<_>>(), [key(2)]);
    assert_eq!(ring.holder_of(&print(1)), None);
}

#[test]
fn inactive_and_expired_keys_can_be_deleted() {
    ring([added(1), deactivated(1)]).when(delete(1)).then([deleted(1)]);
    ring([added_expiring(1, Some(later())), expired(1, later())])
        .when(delete(1))
        .then([deleted(1)]);
}

#[test]
fn key_deleted_again_is_not_found() {
    ring([added(1), deleted(1)]).when(delete(1)).refused(KeyRingError::NotFound);
}

#[test]
fn key_changed_meanwhile_is_not_deleted() {
    ring([added(1), renamed(1, "home")])
        .when(DeleteKey { expected: Some(1), ..delete(1) })
        .refused(KeyRingError::VersionMismatch { expected: 1, actual: 2 });
    ring([added(1), renamed(1, "home")])
        .when(DeleteKey { expected: Some(2), ..delete(1) })
        .then([deleted(1)]);
}

#[test]
fn events_of_a_deleted_key_that_come_late_change_nothing_but_the_version() {
    let before: KeyRing = fold([added(1), deleted(1)]);
    let after: KeyRing = fold([added(1), deleted(1), renamed(1, "late"), activated(1)]);
    assert_eq!(after.version, 4);
    assert_eq!((before.keys, before.defaults), (after.keys, after.defaults));
}
