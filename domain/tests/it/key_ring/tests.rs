use super::*;
use crate::given::{key, later, test};
use claviger_domain::key_ring::{
    FinishKeyTest, KeyRingError, KeyRingEvent, OpenTest, StartKeyTest, TestStarted, Tested,
};
use claviger_domain::key_test::{KeyTestLevel, KeyTestStatus, KeyVerdict, Verdict};

#[test]
fn test_names_the_secret_version_before_the_secret_is_opened() {
    let ring = ring([added(1), secret_replaced(1, 7, 2)])
        .when(start_test(1, 1))
        .then([test_started(1, 1, 2)]);
    assert_eq!(
        ring.open_tests[&test(1)],
        OpenTest {
            key: key(1),
            secret_version: 2,
            level: KeyTestLevel::Full,
            model: Some(MODEL.to_owned())
        }
    );
}

#[test]
fn test_without_a_model_stores_none() {
    let command = StartKeyTest { level: KeyTestLevel::Authentic, model: None, ..start_test(1, 1) };
    let facts = TestStarted {
        key: key(1),
        test: test(1),
        level: KeyTestLevel::Authentic,
        model: None,
        secret_version: 1,
        timeout_ms: TIMEOUT_MS,
    };
    ring([added(1)]).when(command).then([KeyRingEvent::KeyTestStarted(facts)]);
}

#[test]
fn inactive_and_expired_keys_can_be_tested() {
    ring([added(1), deactivated(1)]).when(start_test(1, 1)).then([test_started(1, 1, 1)]);
    ring([added_expiring(1, Some(later())), expired(1, later())])
        .when(start_test(1, 1))
        .then([test_started(1, 1, 1)]);
}

#[test]
fn unknown_and_deleted_keys_cannot_be_tested() {
    ring([added(2)]).when(start_test(1, 1)).refused(KeyRingError::NotFound);
    ring([added(1), deleted(1)]).when(start_test(1, 1)).refused(KeyRingError::NotFound);
}

#[test]
fn two_tests_of_one_key_run_side_by_side() {
    let ring = ring([added(1), test_started(1, 1, 1)])
        .when(start_test(1, 2))
        .then([test_started(1, 2, 1)]);
    assert_eq!(ring.open_tests.len(), 2);
}

#[test]
fn id_of_an_open_test_is_not_taken_twice() {
    let history = || [added(1), added(2), test_started(1, 1, 1)];
    ring(history()).when(start_test(2, 1)).refused(KeyRingError::IdInUse);
    ring(history()).when(start_test(1, 1)).refused(KeyRingError::IdInUse);
}

#[test]
fn test_is_closed_with_its_verdict() {
    let ring = ring([added(1), test_started(1, 1, 1)]).when(finish_test(1)).then([tested(1, 1, 1)]);
    assert!(ring.open_tests.is_empty());
}

#[test]
fn closing_one_test_leaves_the_others_open() {
    let history = [added(1), test_started(1, 1, 1), test_started(1, 2, 1)];
    let ring = ring(history).when(finish_test(2)).then([tested(1, 2, 1)]);
    assert_eq!(ring.open_tests.keys().copied().collect::<Vec<_>>(), [test(1)]);
}

#[test]
fn verdict_names_the_secret_that_was_tried_not_the_one_that_came_meanwhile() {
    ring([added(1), test_started(1, 1, 1), secret_replaced(1, 7, 2)])
        .when(finish_test(1))
        .then([tested(1, 1, 1)]);
}

#[test]
fn unknown_test_is_not_closed() {
    ring([added(1)]).when(finish_test(1)).nothing();
    ring([]).when(finish_test(1)).nothing();
}

#[test]
fn closed_test_is_not_closed_again() {
    ring([added(1), test_started(1, 1, 1), tested(1, 1, 1)]).when(finish_test(1)).nothing();
}

#[test]
fn test_whose_key_was_deleted_is_still_closed() {
    let ring = ring([added(1), test_started(1, 1, 1), deleted(1)])
        .when(finish_test(1))
        .then([tested(1, 1, 1)]);
    assert!(ring.open_tests.is_empty());
    assert!(ring.keys.is_empty());
}

#[test]
fn tests_and_their_results_do_not_raise_the_keys_version() {
    let history = [added(1), test_started(1, 1, 1), tested(1, 1, 1), test_started(1, 2, 1)];
    let ring = ring(history).when(finish_test(2)).then([tested(1, 2, 1)]);
    assert_eq!(ring.version, 5);
    assert_eq!(ring.keys[&key(1)].version, 1);
}

#[test]
fn failed_test_leaves_the_key_active_and_default() {
    let failed = KeyVerdict {
        status: KeyTestStatus::Failed,
        authentic: Verdict::No,
        upstream_status: Some(401),
        ..verdict()
    };
    let command = FinishKeyTest { verdict: failed.clone(), ..finish_test(1) };
    let facts = Tested {
        key: key(1),
        test: test(1),
        level: KeyTestLevel::Full,
        model: Some(MODEL.to_owned()),
        secret_version: 1,
        verdict: failed,
    };
    let ring = ring([added(1), made_default(1, 1, None), test_started(1, 1, 1)])
        .when(command)
        .then([KeyRingEvent::KeyTested(facts, Some(notes()))]);
    assert!(ring.keys[&key(1)].is_active);
    assert_eq!(ring.defaults.len(), 1);
}
