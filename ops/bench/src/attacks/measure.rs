//! Measures the attacks.

use super::arsenal::{self, Attack};
use super::attacker;
use crate::error::BenchError;
use crate::figures::{Range, Sample, Spread, part};
use crate::http::post;
use crate::person::Person;
use crate::query::{KEYS, run_load};
use crate::subject::{self, Cores, Scratch, Subject};
use serde::Serialize;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The parameters of a measurement.
#[derive(Clone, Debug)]
pub struct AttackBench {
    /// This program.
    pub program: PathBuf,
    /// The program that serves the baselines: `claviger-bench` itself.
    pub parts: PathBuf,
    /// The directory in which the server's store is created and removed.
    pub dir: PathBuf,
    /// The store's name there.
    pub name: String,
    /// Keys that the other clients list.
    pub keys: usize,
    /// Connections of other clients, each sending the next request as soon as it has a response.
    pub connections: usize,
    /// How long an attack runs before the measurement; it continues during the measurement.
    pub lead: Duration,
    /// How long each measurement takes.
    pub time: Duration,
    /// How often everything is measured, attack and baseline in turn.
    pub rounds: usize,
    /// Measures the attacks whose names contain this; all if it is empty.
    pub only: String,
    /// The cores of server and clients.
    pub cores: Cores,
}

/// The results of one attack. Each range is over the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct AttackMeasured {
    /// The attack's name.
    pub attack: &'static str,
    /// Connections per second that the attacker managed to start.
    pub begun_per_s: Range,
    /// What other clients waited while the attack hit a server that accepts and closes.
    pub aside: Spread,
    /// What they waited while it hit their own server.
    pub attacked: Spread,
    /// The 99th percentile of the second relative to the first, round by round.
    pub p99_is_times: Range,
    /// The other clients' responses per second, relative to those with the attack aside, round by
    /// round.
    pub rate: Range,
    /// The server's memory before the attack.
    pub before_kib: u64,
    /// The server's memory after the attack.
    pub after_kib: u64,
}

/// The attacked server, the baseline server, and the other clients' request.
struct Field {
    server: Subject,
    nothing: Subject,
    others: Arc<[u8]>,
}

/// Measures, and calls `told` after each attack.
///
/// # Errors
/// [`BenchError`]; its message states the remedy.
pub async fn measure(
    bench: &AttackBench,
    told: impl Fn(&AttackMeasured),
) -> Result<Vec<AttackMeasured>, BenchError> {
    bench.cores.settle();
    let scratch = Scratch::beneath(&bench.dir, &bench.name);
    let server =
        Subject::start(subject::serve(&bench.program, scratch.path(), &[]), bench.cores.server)
            .await?;
    let nothing =
        Subject::start(subject::part(&bench.parts, "nothing"), bench.cores.server).await?;
    let person = Person::register(server.address(), bench.keys).await?;
    let others = post(Some(&person.token), &json!({ "query": KEYS }).to_string()).into();
    let field = Field { server, nothing, others };
    // Grows buffers and caches to their full size first: growth from here on is caused by the
    // attack.
    run_load(field.server.address(), &field.others, bench.connections, bench.time).await?;
    let mut measured = Vec::new();
    for attack in arsenal::all().into_iter().filter(|attack| attack.name.contains(&bench.only)) {
        let of_attack = one_attack(bench, &field, &attack).await?;
        told(&of_attack);
        measured.push(of_attack);
    }
    let Field { server, .. } = field;
    server.stop().await?;
    Ok(measured)
}

async fn one_attack(
    bench: &AttackBench,
    field: &Field,
    attack: &Attack,
) -> Result<AttackMeasured, BenchError> {
    let before_kib = field.server.memory_kib()?;
    let (mut aside, mut attacked, mut begun) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        aside.push(beside(bench, field, attack, field.nothing.address()).await?.0);
        let (sample, begun_per_s) = beside(bench, field, attack, field.server.address()).await?;
        attacked.push(sample);
        begun.push(begun_per_s);
    }
    let after_kib = field.server.memory_kib()?;
    let all = |samples: &[Sample]| {
        Spread::of(samples.iter().flat_map(|sample| sample.latencies.iter().copied()).collect())
    };
    let p99 = |sample: &Sample| Spread::of(sample.latencies.clone()).p99_ms;
    let pairs = || attacked.iter().zip(&aside);
    Ok(AttackMeasured {
        attack: attack.name,
        begun_per_s: Range::of(begun),
        aside: all(&aside),
        attacked: all(&attacked),
        p99_is_times: Range::of(pairs().map(|(attacked, aside)| part(p99(attacked), p99(aside)))),
        rate: Range::of(pairs().map(|(attacked, aside)| part(attacked.rate(), aside.rate()))),
        before_kib,
        after_kib,
    })
}

/// The other clients' sample while the attack hits `at`, and the connections per second that the
/// attacker starts.
async fn beside(
    bench: &AttackBench,
    field: &Field,
    attack: &Attack,
    at: SocketAddr,
) -> Result<(Sample, f64), BenchError> {
    let stop = CancellationToken::new();
    let attacking = TaskTracker::new().spawn(attacker::run(at, attack.clone(), stop.clone()));
    tokio::time::sleep(bench.lead).await;
    let sample =
        run_load(field.server.address(), &field.others, bench.connections, bench.time).await;
    stop.cancel();
    let begun = attacking.await.map_err(|_| BenchError::Lost)?;
    let took = (bench.lead + bench.time).as_secs_f64();
    Ok((sample?, part(crate::figures::number(begun), took)))
}
