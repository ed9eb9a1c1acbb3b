//! Measures how many appends per second a store reaches, beside bare inserts of the same rows.

use crate::error::BenchError;
use crate::figures::{Range, Sample, Spread, number, part, rate};
use crate::load;
use crate::trial::{Bare, Ground, Trial};
use claviger::system::environment::Environment;
use serde::Serialize;
use std::time::Duration;

/// The parameters of a measurement.
#[derive(Clone, Debug)]
pub struct AppendBench {
    /// The numbers of writers to measure.
    pub writers: Vec<usize>,
    /// How long each measurement of the store takes.
    pub time: Duration,
    /// How often everything is measured. In each round the baselines follow the measurement of the
    /// store.
    pub rounds: usize,
    /// How many processes open the store.
    pub processes: usize,
}

/// The results for one number of writers. Rates are appends per second.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// The number of writers.
    pub writers: usize,
    /// Appends to the store.
    pub appends_per_s: Range,
    /// Mean appends per transaction.
    pub mean_batch: f64,
    /// Most appends in one transaction.
    pub largest_batch: usize,
    /// Conflicts with another process's transaction, in all rounds.
    pub conflicts: u64,
    /// How long a writer waits for an append.
    pub latency: Spread,
    /// Bare inserts of the same rows.
    pub bare_per_s: Range,
    /// The store's rate relative to the bare one, round by round.
    pub ratio: Range,
    /// The same rows, each in a transaction that increments a counter; `None` where the store has
    /// no such baseline.
    pub counter: Option<CounterMeasured>,
}

/// The results of one transaction per append.
#[derive(Clone, Debug, Serialize)]
pub struct CounterMeasured {
    /// Appends per second.
    pub appends_per_s: Range,
    /// Transactions that conflicted and were restarted, in all rounds.
    pub conflicts: u64,
    /// How long a writer waits for an append.
    pub latency: Spread,
    /// How many times as fast the store is, round by round.
    pub store_is_times: Range,
}

struct Round {
    store: Sample,
    batches: Vec<usize>,
    bare: Bare,
    counter: Option<Sample>,
}

/// Measures, and calls `told` after each round.
///
/// # Errors
/// [`BenchError`]; its message states the remedy.
pub async fn measure(
    ground: &dyn Ground,
    bench: &AppendBench,
    env: &Environment,
    told: impl Fn(usize, usize),
) -> Result<Vec<Measured>, BenchError> {
    let mut rounds: Vec<Vec<Round>> = bench.writers.iter().map(|_| Vec::new()).collect();
    // Round by round, so that other load on the machine affects all numbers of writers, the store
    // and the baseline alike.
    for round in 1..=bench.rounds {
        for (writers, done) in bench.writers.iter().zip(&mut rounds) {
            let trial = ground.trial(bench.processes).await?;
            let went = one_round(&*trial, *writers, bench.time, env).await;
            trial.remove().await?;
            done.push(went?);
            told(round, *writers);
        }
    }
    Ok(bench
        .writers
        .iter()
        .zip(rounds)
        .map(|(writers, rounds)| summary(*writers, &rounds))
        .collect())
}

async fn one_round(
    trial: &dyn Trial,
    writers: usize,
    time: Duration,
    env: &Environment,
) -> Result<Round, BenchError> {
    let mut store = load::run(&trial.stores(), writers, time, env).await?;
    store.conflicts = trial.conflicts();
    let bare = trial.bare().await?;
    if bare.appends != store.latencies.len() {
        return Err(BenchError::Baseline(format!(
            "found {} of {} appends",
            bare.appends,
            store.latencies.len()
        )));
    }
    let counter = trial.counter(writers, time).await?;
    Ok(Round { store, batches: trial.batches(), bare, counter })
}

fn summary(writers: usize, rounds: &[Round]) -> Measured {
    let batches: Vec<usize> =
        rounds.iter().flat_map(|round| round.batches.iter().copied()).collect();
    let bare_rate = |round: &Round| rate(round.bare.appends, round.bare.took);
    let all = |samples: Vec<&Sample>| {
        Spread::of(samples.iter().flat_map(|sample| sample.latencies.iter().copied()).collect())
    };
    let counters: Vec<(&Round, &Sample)> = rounds
        .iter()
        .filter_map(|round| round.counter.as_ref().map(|counter| (round, counter)))
        .collect();
    let counter = (!counters.is_empty()).then(|| CounterMeasured {
        appends_per_s: Range::of(counters.iter().map(|(_, counter)| counter.rate())),
        conflicts: counters.iter().map(|(_, counter)| counter.conflicts).sum(),
        latency: all(counters.iter().map(|(_, counter)| *counter).collect()),
        store_is_times: Range::of(
            counters.iter().map(|(round, counter)| part(round.store.rate(), counter.rate())),
        ),
    });
    Measured {
        writers,
        appends_per_s: Range::of(rounds.iter().map(|round| round.store.rate())),
        mean_batch: part(number(batches.iter().sum()), number(batches.len())),
        largest_batch: batches.iter().copied().max().unwrap_or_default(),
        conflicts: rounds.iter().map(|round| round.store.conflicts).sum(),
        latency: all(rounds.iter().map(|round| &round.store).collect()),
        bare_per_s: Range::of(rounds.iter().map(bare_rate)),
        ratio: Range::of(rounds.iter().map(|round| part(round.store.rate(), bare_rate(round)))),
        counter,
    }
}
