use super::*;
use crate::given::{NOW, key, later, print};
use claviger_domain::key_ring::{AddKey, Added, KeyRingError, KeyRingEvent, Shown};
use claviger_domain::timestamp::Timestamp;

#[test]
fn new_key_is_active_with_secret_version_one_and_no_default() {
    let ring = ring([]).when(add(1)).then([added(1)]);
    let state = &ring.keys[&key(1)];
    assert!(state.is_active);
    assert_eq!((state.secret_version, state.version, state.expires_at), (1, 1, None));
    assert!(ring.defaults.is_empty());
}

#[test]
fn make_default_null_takes_a_context_that_has_none() {
    let ring = ring([])
        .when(AddKey { make_default: None, ..add(1) })
        .then([added(1), made_default(1, 1, None)]);
    assert_eq!(ring.keys[&key(1)].version, 2);
}

#[test]
fn make_default_null_leaves_a_context_that_has_one() {
    ring([added(1), made_default(1, 1, None)])
        .when(AddKey { make_default: None, ..add(2) })
        .then([added(2)]);
}

#[test]
fn make_default_null_looks_at_its_own_context_only() {
    ring([added(1), made_default(1, 2, None)])
        .when(AddKey { make_default: None, ..add(2) })
        .then([added(2), made_default(2, 1, None)]);
}

#[test]
fn make_default_true_replaces_the_previous_default_names_it_and_raises_its_version() {
    let ring = ring([added(1), made_default(1, 1, None)])
        .when(AddKey { make_default: Some(true), ..add(2) })
        .then([added(2), made_default(2, 1, Some(key(1)))]);
    assert_eq!(ring.keys[&key(1)].version, 4);
    assert_eq!(ring.keys[&key(2)].version, 4);
    assert_eq!(ring.defaults.values().copied().collect::<Vec<_>>(), [key(2)]);
}

#[test]
fn make_default_true_takes_a_context_that_has_none() {
    ring([])
        .when(AddKey { make_default: Some(true), ..add(1) })
        .then([added(1), made_default(1, 1, None)]);
}

#[test]
fn make_default_false_never_makes_a_default() {
    ring([]).when(AddKey { make_default: Some(false), ..add(1) }).then([added(1)]);
}

#[test]
fn secret_that_the_user_has_is_a_duplicate_and_names_the_key() {
    ring([added(1), added(2)])
        .when(AddKey { fingerprint: print(2), ..add(3) })
        .refused(KeyRingError::Duplicate { existing: key(2) });
}

#[test]
fn secret_of_an_inactive_key_is_a_duplicate_too() {
    ring([added(1), deactivated(1)])
        .when(AddKey { fingerprint: print(1), ..add(2) })
        .refused(KeyRingError::Duplicate { existing: key(1) });
}

#[test]
fn duplicate_is_named_even_when_no_more_keys_are_allowed() {
    ring([added(1)])
        .when(AddKey { fingerprint: print(1), max_keys: 1, ..add(2) })
        .refused(KeyRingError::Duplicate { existing: key(1) });
}

/// Key 2 with the secret that key 1 had.
fn add_first_secret_again() -> (AddKey, KeyRingEvent) {
    let event = KeyRingEvent::KeyAdded(
        Added { key: key(2), fingerprint: print(1), secret_version: 1, expires_at: None },
        Some(Shown { name: "key 2".to_owned(), preview: PREVIEW.to_owned() }),
    );
    (AddKey { fingerprint: print(1), ..add(2) }, event)
}

#[test]
fn secret_of_a_deleted_key_may_come_back_under_another_id() {
    let (command, event) = add_first_secret_again();
    let ring = ring([added(1), deleted(1)]).when(command).then([event]);
    assert_eq!(ring.holder_of(&print(1)), Some(key(2)));
}

#[test]
fn secret_that_was_replaced_may_come_back_under_another_id() {
    let (command, event) = add_first_secret_again();
    let ring = ring([added(1), secret_replaced(1, 7, 2)]).when(command).then([event]);
    assert_eq!(
        (ring.holder_of(&print(1)), ring.holder_of(&print(7))),
        (Some(key(2)), Some(key(1)))
    );
}

#[test]
fn more_keys_than_allowed_are_refused() {
    ring([added(1), added(2)])
        .when(AddKey { max_keys: 2, ..add(3) })
        .refused(KeyRingError::TooMany { max: 2 });
}

#[test]
fn last_allowed_key_is_taken() {
    ring([added(1), added(2)]).when(AddKey { max_keys: 3, ..add(3) }).then([added(3)]);
}

#[test]
fn deleted_keys_do_not_count_against_the_limit() {
    ring([added(1), added(2), deleted(1)]).when(AddKey { max_keys: 2, ..add(3) }).then([added(3)]);
}

#[test]
fn inactive_keys_count_against_the_limit() {
    ring([added(1), deactivated(1)])
        .when(AddKey { max_keys: 1, ..add(2) })
        .refused(KeyRingError::TooMany { max: 1 });
}

#[test]
fn key_id_in_use_is_refused() {
    ring([added(1)])
        .when(AddKey { fingerprint: print(9), ..add(1) })
        .refused(KeyRingError::IdInUse);
}

#[test]
fn expiry_in_the_past_is_refused() {
    let at = Timestamp(NOW.0 - 1);
    ring([])
        .when(AddKey { expires_at: Some(at), ..add(1) })
        .refused(KeyRingError::ExpiryInPast { at });
}

#[test]
fn expiry_at_this_very_moment_is_refused() {
    ring([])
        .when(AddKey { expires_at: Some(NOW), ..add(1) })
        .refused(KeyRingError::ExpiryInPast { at: NOW });
}

#[test]
fn expiry_in_the_future_is_kept_with_the_key() {
    let soon = Timestamp(NOW.0 + 1);
    for at in [soon, later()] {
        let ring = ring([])
            .when(AddKey { expires_at: Some(at), ..add(1) })
            .then([added_expiring(1, Some(at))]);
        assert_eq!(ring.keys[&key(1)].expires_at, Some(at));
        assert!(!ring.keys[&key(1)].expiry_recorded);
    }
}
