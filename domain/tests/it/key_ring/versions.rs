//! Which events raise whose version, as one table; and the codes of the refusals.

use super::*;
use crate::given::{NOW, fold, key, later};
use claviger_domain::code::ErrorCode;
use claviger_domain::event::Payload;
use claviger_domain::key_ring::{ClearReason, KeyRing, KeyRingError, KeyRingEvent};
use cqrs_es::Aggregate;

#[test]
fn only_name_state_default_expiry_and_secret_raise_a_keys_version() {
    let history = [
        added_expiring(1, Some(later())),
        added(2),
        made_default(1, 1, None),
        test_started(1, 1, 1),
    ];
    let before: KeyRing = fold(history);
    let table: [(KeyRingEvent, [bool; 2]); 12] = [
        (added(3), [false, false]),
        (renamed(1, "other"), [true, false]),
        (test_started(1, 2, 1), [false, false]),
        (tested(1, 1, 1), [false, false]),
        (made_default(2, 1, Some(key(1))), [true, true]),
        (made_default(2, 2, None), [false, true]),
        (cleared(1, 1, ClearReason::Requested), [true, false]),
        (activated(1), [true, false]),
        (deactivated(1), [true, false]),
        (secret_replaced(1, 7, 2), [true, false]),
        (expiry_set(1, None), [true, false]),
        (expired(1, later()), [true, false]),
    ];
    for (event, raised) in table {
        let mut after = before.clone();
        after.apply(event.clone());
        assert_eq!(after.version, before.version + 1);
        for (n, raised) in [(1, raised[0]), (2, raised[1])] {
            let expected = if raised { after.version } else { before.keys[&key(n)].version };
            assert_eq!(after.keys[&key(n)].version, expected, "key {n} after {event:?}");
        }
    }
}

#[test]
fn every_refusal_has_its_code() {
    let table = [
        (KeyRingError::NotFound, ErrorCode::NotFound),
        (KeyRingError::VersionMismatch { expected: 1, actual: 2 }, ErrorCode::Conflict),
        (KeyRingError::NoDefaultToCompare { expected: 1 }, ErrorCode::Conflict),
        (KeyRingError::Inactive, ErrorCode::Conflict),
        (KeyRingError::Expired { at: NOW }, ErrorCode::Conflict),
        (KeyRingError::Duplicate { existing: key(1) }, ErrorCode::Duplicate),
        (KeyRingError::TooMany { max: 5 }, ErrorCode::LimitExceeded),
        (KeyRingError::ExpiryInPast { at: NOW }, ErrorCode::Validation),
        (KeyRingError::IdInUse, ErrorCode::Internal),
    ];
    for (error, code) in table {
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.to_string().ends_with('.'), "{error}");
    }
}

#[test]
fn state_survives_being_written_as_json() {
    let ring: KeyRing = fold([
        added_expiring(1, Some(later())),
        added(2),
        made_default(1, 1, None),
        test_started(2, 1, 1),
    ]);
    let json = serde_json::to_string(&ring).unwrap();
    assert_eq!(serde_json::from_str::<KeyRing>(&json).unwrap(), ring);
}

#[test]
fn fold_needs_no_content() {
    let with: KeyRing =
        fold([added(1), renamed(1, "work"), made_default(1, 1, None), secret_replaced(1, 7, 2)]);
    let erased = [added(1), renamed(1, "work"), made_default(1, 1, None), secret_replaced(1, 7, 2)];
    assert_eq!(fold::<KeyRing>(erased.iter().map(erase)), with);
}

/// The event as it reads after its owner's key was destroyed.
fn erase(event: &KeyRingEvent) -> KeyRingEvent {
    let parts = event.parts().unwrap();
    KeyRingEvent::decode(parts.kind, parts.schema, &parts.facts, None).unwrap()
}
