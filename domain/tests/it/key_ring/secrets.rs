use super::*;
use crate::given::{key, later, print, tag};
use claviger_domain::key_ring::{KeyRingError, ReplaceSecret};

#[test]
fn replaced_secret_counts_up_and_keeps_id_and_defaults() {
    let ring = ring([added(1), made_default(1, 1, None)])
        .when(replace_secret(1, 7))
        .then([secret_replaced(1, 7, 2)]);
    let state = &ring.keys[&key(1)];
    assert_eq!((state.secret_version, state.version, state.fingerprint), (2, 3, print(7)));
    assert_eq!(ring.defaults[&tag(1)], key(1));
}

#[test]
fn each_replacement_has_the_next_secret_version() {
    ring([added(1), secret_replaced(1, 7, 2)])
        .when(replace_secret(1, 8))
        .then([secret_replaced(1, 8, 3)]);
}

#[test]
fn own_secret_again_is_nothing_new() {
    ring([added(1)]).when(replace_secret(1, 1)).nothing();
    ring([added(1), secret_replaced(1, 7, 2)]).when(replace_secret(1, 7)).nothing();
}

#[test]
fn own_secret_of_before_is_a_new_version() {
    ring([added(1), secret_replaced(1, 7, 2)])
        .when(replace_secret(1, 1))
        .then([secret_replaced(1, 1, 3)]);
}

#[test]
fn secret_of_another_key_is_a_duplicate_and_names_it() {
    ring([added(1), added(2)])
        .when(replace_secret(1, 2))
        .refused(KeyRingError::Duplicate { existing: key(2) });
}

#[test]
fn secret_of_a_deleted_key_is_free() {
    ring([added(1), added(2), deleted(2)])
        .when(replace_secret(1, 2))
        .then([secret_replaced(1, 2, 2)]);
}

#[test]
fn inactive_and_expired_keys_can_get_another_secret_and_stay_as_they_are() {
    let state = ring([added(1), deactivated(1)])
        .when(replace_secret(1, 7))
        .then([secret_replaced(1, 7, 2)]);
    assert!(!state.keys[&key(1)].is_active);
    let history = [added_expiring(1, Some(later())), expired(1, later())];
    let state = ring(history).when(replace_secret(1, 7)).then([secret_replaced(1, 7, 2)]);
    assert!(state.keys[&key(1)].is_expired(later()));
}

#[test]
fn secret_of_an_unknown_key_is_not_replaced() {
    ring([added(2)]).when(replace_secret(1, 7)).refused(KeyRingError::NotFound);
}

#[test]
fn secret_of_a_key_changed_meanwhile_is_not_replaced() {
    let history = || [added(1), renamed(1, "home")];
    ring(history())
        .when(ReplaceSecret { expected: Some(1), ..replace_secret(1, 7) })
        .refused(KeyRingError::VersionMismatch { expected: 1, actual: 2 });
    ring(history())
        .when(ReplaceSecret { expected: Some(2), ..replace_secret(1, 7) })
        .then([secret_replaced(1, 7, 2)]);
}

#[test]
fn stale_version_is_named_before_the_duplicate() {
    ring([added(1), added(2), renamed(1, "home")])
        .when(ReplaceSecret { expected: Some(1), ..replace_secret(1, 2) })
        .refused(KeyRingError::VersionMismatch { expected: 1, actual: 3 });
}
