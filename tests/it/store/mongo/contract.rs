//! The contract, on whole stores and on broken ones.

use super::harness::MongoHarness;
use crate::harness::mongo::{TestServer, server};
use crate::store::how::How;
use claviger_suite::{Case, Failure, Outcome, cases};
use futures::StreamExt;
use futures::stream;
use std::time::{Duration, Instant};

/// Cases that run at the same time, each on a database of its own.
const AT_ONCE: usize = 4;

/// Runs a case; one that takes too long has failed.
pub(super) async fn run(case: &Case, harness: MongoHarness, limit_s: u64) -> Outcome {
    let ended = tokio::time::timeout(Duration::from_secs(limit_s), (case.run)(&harness)).await;
    match ended {
        Ok(outcome) => {
            harness.finish().await;
            outcome
        }
        Err(_) => Err(Failure("it never ended".to_owned())),
    }
}

async fn timed(case: &Case, server: &'static TestServer) -> (&'static str, Outcome, Duration) {
    let began = Instant::now();
    let outcome = run(case, MongoHarness::new(server), 90).await;
    (case.name, outcome, began.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mongodb_keeps_the_contract() {
    let Some(server) = server().await else { return };
    let results: Vec<_> = stream::iter(cases())
        .map(|case| timed(case, server))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut slowest: Vec<_> = results.iter().map(|(name, _, took)| (*took, *name)).collect();
    slowest.sort_unstable_by(|a, b| b.cmp(a));
    for (took, name) in slowest.iter().take(8) {
        println!("{:>8.2} s  {name}", took.as_secs_f64());
    }
    let failed: Vec<_> = results
        .iter()
        .filter_map(|(name, outcome, _)| {
            outcome.as_ref().err().map(|failure| format!("{name}: {failure}"))
        })
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {} cases failed:\n{}",
        failed.len(),
        results.len(),
        failed.join("\n")
    );
    println!("{} cases passed", results.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_store_fails_the_cases_about_it_on_mongodb_too() {
    let Some(server) = server().await else { return };
    let all = How::ALL.iter().flat_map(|how| how.caught_by().iter().map(|name| (*how, *name)));
    let passed = stream::iter(all).map(|(how, name)| async move {
        let case =
            cases().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"));
        let outcome = run(case, MongoHarness::broken(server, how), 15).await;
        outcome.is_ok().then(|| format!("a store with {how:?} passes {name}"))
    });
    let passed: Vec<_> =
        passed.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
    assert!(passed.is_empty(), "{}", passed.join("\n"));
}
