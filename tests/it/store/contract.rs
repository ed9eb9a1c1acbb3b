//! The contract, on whole stores and on broken ones.

use super::harness::SqliteHarness;
use super::how::How;
use claviger_suite::{Case, Outcome, cases};
use std::collections::HashSet;
use std::time::Duration;

/// A case that waits for something that never comes has failed, too.
async fn run(case: &Case, harness: &SqliteHarness, limit_s: u64) -> Outcome {
    let ended = tokio::time::timeout(Duration::from_secs(limit_s), (case.run)(harness));
    ended.await.unwrap_or_else(|_| Err(claviger_suite::Failure("it never ended".to_owned())))
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let names: HashSet<_> = cases().map(|case| case.name).collect();
    assert_eq!(names.len(), cases().count());
    assert!(names.len() >= 45, "the contract has shrunk to {} cases", names.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_the_contract() {
    let mut failed = Vec::new();
    for case in cases() {
        if let Err(failure) = run(case, &SqliteHarness::default(), 60).await {
            failed.push(format!("{}: {failure}", case.name));
        }
    }
    assert!(failed.is_empty(), "{} cases failed:\n{}", failed.len(), failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_store_fails_the_cases_about_it() {
    for how in How::ALL {
        for name in how.caught_by() {
            let case =
                cases().find(|case| case.name == *name).unwrap_or_else(|| panic!("no case {name}"));
            let outcome = run(case, &SqliteHarness::broken(*how), 5).await;
            assert!(outcome.is_err(), "a store with {how:?} passes {name}");
        }
    }
}
