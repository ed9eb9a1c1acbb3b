//! Measures subscriptions.

use super::crowd::{Crowd, Manners, connect_to_publish, stalled};
use super::side::{Publisher, at_once, of_server, one_by_one};
use crate::error::BenchError;
use crate::figures::{Range, Spread, number, part};
use crate::person::Person;
use crate::subject::{self, Cores, Scratch, Subject};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// Subscribers that come and go before memory is measured: what the first ones allocate isn't the
/// cost of each.
const FIRST: usize = 100;

/// The parameters of a measurement.
#[derive(Clone, Debug)]
pub struct LiveBench {
    /// This program.
    pub program: PathBuf,
    /// The program that serves the baselines: `claviger-bench` itself.
    pub parts: PathBuf,
    /// The directory in which the server's store is created and removed.
    pub dir: PathBuf,
    /// The store's name there.
    pub name: String,
    /// The number of subscribers.
    pub subscriptions: usize,
    /// Events published one after the other, and then as many at once.
    pub events: usize,
    /// Subscribers that read nothing.
    pub stalled: usize,
    /// How often everything is measured, server and baseline in turn.
    pub rounds: usize,
    /// How long sockets are idle before their memory is measured.
    pub settle: Duration,
    /// The cores of server and clients.
    pub cores: Cores,
}

/// The results. Each range is over the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct LiveMeasured {
    /// The number of subscribers.
    pub subscriptions: usize,
    /// The server's memory without subscribers.
    pub idle_kib: Range,
    /// Memory of each idle subscriber.
    pub kib_each: Range,
    /// Memory of each bare socket.
    pub bare_kib_each: Range,
    /// From the request for an event to its arrival, over all subscribers and events.
    pub waits: Spread,
    /// The same over bare sockets.
    pub bare_waits: Spread,
    /// The 99th percentile relative to the bare one, round by round.
    pub p99_is_times: Range,
    /// Readers that accept no data.
    pub stalled: usize,
    /// What the other subscribers waited beside them.
    pub waits_beside_stalled: Spread,
    /// Their 99th percentile relative to the one without stalled readers, round by round.
    pub stalled_cost: Range,
    /// Memory of each stalled reader.
    pub kib_each_stalled: Range,
    /// Deliveries per second.
    pub deliveries_per_s: Range,
    /// The same over bare sockets.
    pub bare_deliveries_per_s: Range,
    /// The first relative to the second, round by round.
    pub deliveries_ratio: Range,
}

/// One round of the server or of the baseline.
#[derive(Default)]
struct Round {
    idle_kib: u64,
    kib_each: f64,
    waits: Vec<Duration>,
    beside_stalled: Vec<Duration>,
    kib_each_stalled: f64,
    deliveries: f64,
}

/// Measures, and calls `told` after each round.
///
/// # Errors
/// [`BenchError`]; its message states the remedy.
pub async fn measure(bench: &LiveBench, told: impl Fn(usize)) -> Result<LiveMeasured, BenchError> {
    bench.cores.settle();
    let scratch = Scratch::beneath(&bench.dir, &bench.name);
    let first = start(bench, &scratch).await?;
    let person = Person::register(first.address(), 1).await?;
    // A new process each round: the memory used to create the account isn't memory of
    // subscriptions.
    first.stop().await?;
    let mut rounds = Vec::new();
    for round in 1..=bench.rounds {
        rounds
            .push((of_the_server(bench, &scratch, &person).await?, of_bare_sockets(bench).await?));
        told(round);
    }
    Ok(summary(bench, &rounds))
}

async fn start(bench: &LiveBench, scratch: &Scratch) -> Result<Subject, BenchError> {
    let seats = (bench.subscriptions + bench.stalled + 100).to_string();
    let variables = [
        ("CLAVIGER_STREAMS_PER_USER", seats.as_str()),
        // Keeps stalled readers connected while they are measured.
        ("CLAVIGER_STALL_MS", "600000"),
        ("CLAVIGER_KEY_COMMANDS_PER_MINUTE", "0"),
    ];
    Subject::start(subject::serve(&bench.program, scratch.path(), &variables), bench.cores.server)
        .await
}

/// Connects all subscribers. Measures the memory of each, after all have received one event and
/// then none for a while.
async fn gathered(
    bench: &LiveBench,
    subject: &Subject,
    manners: &mut Manners,
    publisher: &mut Publisher,
) -> Result<(Crowd, u64, f64), BenchError> {
    let first = Crowd::gather(manners, FIRST).await?;
    one_by_one(publisher, &first, 1).await?;
    drop(first);
    tokio::time::sleep(bench.settle).await;
    manners.after = publisher.cursor().await?;
    let idle = subject.memory_kib()?;
    let crowd = Crowd::gather(manners, bench.subscriptions).await?;
    // Open sockets may not have subscribed yet: the first event reaches all of them, and isn't
    // counted.
    one_by_one(publisher, &crowd, 1).await?;
    tokio::time::sleep(bench.settle).await;
    let held = subject.memory_kib()?.saturating_sub(idle);
    Ok((crowd, idle, kib(held, bench.subscriptions)))
}

async fn of_the_server(
    bench: &LiveBench,
    scratch: &Scratch,
    person: &Person,
) -> Result<Round, BenchError> {
    let subject = start(bench, scratch).await?;
    let (mut manners, mut publisher) = of_server(subject.address(), person).await?;
    let (crowd, idle_kib, kib_each) =
        gathered(bench, &subject, &mut manners, &mut publisher).await?;
    let mut waits = one_by_one(&mut publisher, &crowd, bench.events).await?;
    let deliveries = at_once(&mut publisher, &crowd, bench.events).await?;
    let before = subject.memory_kib()?;
    let deaf = stalled(&manners, bench.stalled).await?;
    tokio::time::sleep(bench.settle).await;
    let kib_each_stalled = kib(subject.memory_kib()?.saturating_sub(before), bench.stalled);
    let beside_stalled = one_by_one(&mut publisher, &crowd, bench.events).await?;
    drop(deaf);
    tokio::time::sleep(bench.settle).await;
    // Before and after: sockets are pinged from time to time, which isn't caused by the stalled
    // readers.
    waits.extend(one_by_one(&mut publisher, &crowd, bench.events).await?);
    drop((crowd, publisher));
    subject.stop().await?;
    Ok(Round { idle_kib, kib_each, waits, beside_stalled, kib_each_stalled, deliveries })
}

async fn of_bare_sockets(bench: &LiveBench) -> Result<Round, BenchError> {
    let subject = Subject::start(subject::part(&bench.parts, "feed"), bench.cores.server).await?;
    let mut manners =
        Manners { address: subject.address(), token: String::new(), after: String::new() };
    let mut publisher = Publisher::Bare(Box::new(connect_to_publish(subject.address()).await?));
    let (crowd, idle_kib, kib_each) =
        gathered(bench, &subject, &mut manners, &mut publisher).await?;
    let waits = one_by_one(&mut publisher, &crowd, bench.events).await?;
    let deliveries = at_once(&mut publisher, &crowd, bench.events).await?;
    Ok(Round { idle_kib, kib_each, waits, deliveries, ..Round::default() })
}

fn kib(held: u64, by: usize) -> f64 {
    part(number(usize::try_from(held).unwrap_or(usize::MAX)), number(by))
}

fn summary(bench: &LiveBench, rounds: &[(Round, Round)]) -> LiveMeasured {
    let of = |figure: fn(&Round) -> f64| Range::of(rounds.iter().map(|(server, _)| figure(server)));
    let of_bare =
        |figure: fn(&Round) -> f64| Range::of(rounds.iter().map(|(_, bare)| figure(bare)));
    let p99 = |waits: &[Duration]| Spread::of(waits.to_vec()).p99_ms;
    let all = |waits: fn(&(Round, Round)) -> &[Duration]| {
        Spread::of(rounds.iter().flat_map(waits).copied().collect())
    };
    LiveMeasured {
        subscriptions: bench.subscriptions,
        idle_kib: of(|round| kib(round.idle_kib, 1)),
        kib_each: of(|round| round.kib_each),
        bare_kib_each: of_bare(|round| round.kib_each),
        waits: all(|(server, _)| &server.waits),
        bare_waits: all(|(_, bare)| &bare.waits),
        p99_is_times: Range::of(
            rounds.iter().map(|(server, bare)| part(p99(&server.waits), p99(&bare.waits))),
        ),
        stalled: bench.stalled,
        waits_beside_stalled: all(|(server, _)| &server.beside_stalled),
        stalled_cost: Range::of(
            rounds.iter().map(|(server, _)| part(p99(&server.beside_stalled), p99(&server.waits))),
        ),
        kib_each_stalled: of(|round| round.kib_each_stalled),
        deliveries_per_s: of(|round| round.deliveries),
        bare_deliveries_per_s: of_bare(|round| round.deliveries),
        deliveries_ratio: Range::of(
            rounds.iter().map(|(server, bare)| part(server.deliveries, bare.deliveries)),
        ),
    }
}
