//! Measures queries.

use super::load::{self, KEYS};
use crate::error::BenchError;
use crate::figures::{Range, Sample, Spread, number, part};
use crate::http::post_to;
use crate::person::Person;
use crate::subject::{self, Cores, Scratch, Subject};
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The parameters of a measurement.
#[derive(Clone, Debug)]
pub struct QueryBench {
    /// This program.
    pub program: PathBuf,
    /// The program that serves the baselines: `claviger-bench` itself.
    pub parts: PathBuf,
    /// The directory in which the server's store is created and removed.
    pub dir: PathBuf,
    /// The store's name there.
    pub name: String,
    /// The user's keys.
    pub keys: usize,
    /// Concurrent connections.
    pub connections: usize,
    /// How long each measurement takes.
    pub time: Duration,
    /// How often everything is measured, server and baseline in turn.
    pub rounds: usize,
    /// The cores of server and clients.
    pub cores: Cores,
}

/// The results of one query. Each range is over the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct QueryMeasured {
    /// The query's name.
    pub query: &'static str,
    /// Responses per second.
    pub per_s: Range,
    /// The handler's.
    pub bare_per_s: Range,
    /// The first relative to the second, round by round.
    pub ratio: Range,
    /// What a client waits.
    pub waits: Spread,
    /// The same at the handler.
    pub bare_waits: Spread,
    /// Processor time per response, in microseconds.
    pub cpu_us: Range,
    /// The handler's.
    pub bare_cpu_us: Range,
}

struct Round {
    server: (Sample, f64),
    bare: (Sample, f64),
}

/// Each query: its name, the document, the handler's path.
const QUERIES: [(&str, &str, &str); 2] =
    [("hello", "{ __typename }", "/hello"), ("keys", KEYS, "/keys")];

/// Measures, and calls `told` after each round.
///
/// # Errors
/// [`BenchError`]; its message states the remedy.
pub async fn measure(
    bench: &QueryBench,
    told: impl Fn(usize),
) -> Result<Vec<QueryMeasured>, BenchError> {
    bench.cores.settle();
    let scratch = Scratch::beneath(&bench.dir, &bench.name);
    let variables = [("CLAVIGER_KEY_COMMANDS_PER_MINUTE", "0"), ("CLAVIGER_MAX_KEYS", "1000")];
    let server = Subject::start(
        subject::serve(&bench.program, scratch.path(), &variables),
        bench.cores.server,
    )
    .await?;
    let person = Person::register(server.address(), bench.keys).await?;
    let mut part = subject::part(&bench.parts, "keys");
    part.arg("--data-dir").arg(scratch.path());
    let bare = Subject::start(part, bench.cores.server).await?;
    let mut rounds: Vec<Vec<Round>> = QUERIES.iter().map(|_| Vec::new()).collect();
    for round in 1..=bench.rounds {
        for ((_, document, path), done) in QUERIES.iter().zip(&mut rounds) {
            let request = |path: &str| -> Arc<[u8]> {
                post_to(path, Some(&person.token), &json!({ "query": document }).to_string()).into()
            };
            let server = one(bench, &server, &request("/graphql")).await?;
            done.push(Round { server, bare: one(bench, &bare, &request(path)).await? });
        }
        told(round);
    }
    drop(bare);
    server.stop().await?;
    Ok(QUERIES.iter().zip(&rounds).map(|((query, ..), rounds)| summary(query, rounds)).collect())
}

/// The sample, and the processor time per response in microseconds.
async fn one(
    bench: &QueryBench,
    subject: &Subject,
    request: &Arc<[u8]>,
) -> Result<(Sample, f64), BenchError> {
    let before = subject.worked()?;
    let sample = load::run(subject.address(), request, bench.connections, bench.time).await?;
    let worked = subject.worked()?.saturating_sub(before);
    let each = part(worked.as_secs_f64() * 1e6, number(sample.latencies.len()));
    Ok((sample, each))
}

fn summary(query: &'static str, rounds: &[Round]) -> QueryMeasured {
    let all = |sample: fn(&Round) -> &Sample| {
        Spread::of(
            rounds.iter().flat_map(|round| sample(round).latencies.iter().copied()).collect(),
        )
    };
    QueryMeasured {
        query,
        per_s: Range::of(rounds.iter().map(|round| round.server.0.rate())),
        bare_per_s: Range::of(rounds.iter().map(|round| round.bare.0.rate())),
        ratio: Range::of(
            rounds.iter().map(|round| part(round.server.0.rate(), round.bare.0.rate())),
        ),
        waits: all(|round| &round.server.0),
        bare_waits: all(|round| &round.bare.0),
        cpu_us: Range::of(rounds.iter().map(|round| round.server.1)),
        bare_cpu_us: Range::of(rounds.iter().map(|round| round.bare.1)),
    }
}
