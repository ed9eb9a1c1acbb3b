//! Measures runs.

use super::follow::{Follower, Told};
use super::upstream::MARK;
use crate::error::BenchError;
use crate::figures::{Spread, number, part};
use crate::load;
use crate::person::Person;
use crate::subject::{self, Scratch, Subject};
use crate::trial::Ground;
use claviger::system::environment::Environment;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// The parameters of a measurement.
#[derive(Clone, Debug)]
pub struct RunBench {
    /// This program.
    pub program: PathBuf,
    /// The program that serves the baselines: `claviger-bench` itself.
    pub parts: PathBuf,
    /// The directory in which the server's store is created and removed.
    pub dir: PathBuf,
    /// The store's name there.
    pub name: String,
    /// Runs one after the other.
    pub runs: usize,
    /// Concurrent streaming runs.
    pub streams: usize,
    /// How long each of those streams.
    pub time: Duration,
    /// How often the server is killed.
    pub kills: usize,
}

/// Milliseconds between two pieces of a streaming run.
const PACE_MS: u64 = 50;

/// The results.
#[derive(Clone, Debug, Serialize)]
pub struct RunMeasured {
    /// One durable commit, by a single writer.
    pub commit: Spread,
    /// A run of three steps, from the request to the last event, where the upstream responds at
    /// once.
    pub three_steps: Spread,
    /// Its median, in commits.
    pub three_steps_in_commits: f64,
    /// From the request to the first text, at the upstream itself.
    pub direct_first_text: Spread,
    /// From the request for a run to the first text at a subscriber.
    pub first_text: Spread,
    /// What the server adds at the median, in commits.
    pub added_in_commits: f64,
    /// What it adds at the 99th percentile, in milliseconds.
    pub added_p99_ms: f64,
    /// From the upstream's write of a piece to its subscriber, with many concurrent streams.
    pub delay: Spread,
    /// Pieces received.
    pub pieces: usize,
    /// The server's memory per streaming run with its subscriber, in KiB.
    pub kib_per_run: f64,
    /// From the start of a server killed in the middle of a run until that run continues.
    pub going_on: Spread,
}

/// A server, its upstream, and a user with a key.
struct Scene {
    upstream: Subject,
    server: Subject,
    follower: Follower,
    token: String,
}

/// Measures, and calls `told` after each part.
///
/// # Errors
/// [`BenchError`]; its message states the remedy.
pub async fn measure(
    ground: &dyn Ground,
    bench: &RunBench,
    env: &Environment,
    told: impl Fn(&'static str),
) -> Result<RunMeasured, BenchError> {
    let trial = ground.trial(1).await?;
    let commits = load::run(&trial.stores(), 1, Duration::from_secs(3), env).await;
    trial.remove().await?;
    let commit = Spread::of(commits?.latencies);
    told("commits");
    let scratch = Scratch::beneath(&bench.dir, &bench.name);
    let mut scene = Scene::open(bench, &scratch).await?;
    let three_steps = Spread::of(scene.runs(bench.runs).await?);
    told("runs of three steps");
    let (direct, first) = scene.first_texts(bench.runs).await?;
    told("first texts");
    let (delays, kib_per_run) = scene.streams(bench).await?;
    told("runs at once");
    let mut going_on = Vec::with_capacity(bench.kills);
    for _ in 0..bench.kills {
        going_on.push(scene.kill(bench, &scratch).await?);
    }
    told("kills");
    scene.server.stop().await?;
    let (direct_first_text, first_text) = (Spread::of(direct), Spread::of(first));
    Ok(RunMeasured {
        three_steps,
        three_steps_in_commits: part(three_steps.p50_ms, commit.p50_ms),
        direct_first_text,
        first_text,
        added_in_commits: part(first_text.p50_ms - direct_first_text.p50_ms, commit.p50_ms),
        added_p99_ms: first_text.p99_ms - direct_first_text.p99_ms,
        commit,
        pieces: delays.len(),
        delay: Spread::of(delays),
        kib_per_run,
        going_on: Spread::of(going_on),
    })
}

fn prompt(pieces: u64, pace_ms: u64) -> String {
    format!("{MARK}{pieces} {pace_ms}")
}

impl Scene {
    async fn open(bench: &RunBench, scratch: &Scratch) -> Result<Self, BenchError> {
        let upstream = Subject::start(subject::part(&bench.parts, "upstream"), None).await?;
        let server = serve(bench, scratch, &upstream).await?;
        let person = Person::register(server.address(), 1).await?;
        let follower = Follower::new(server.address(), &person.token)?;
        Ok(Self { upstream, server, follower, token: person.token })
    }

    /// Runs of three steps, one after the other.
    async fn runs(&self, count: usize) -> Result<Vec<Duration>, BenchError> {
        let mut events = self.follower.events("RunCompleted", None).await?;
        let mut took = Vec::with_capacity(count);
        for _ in 0..count {
            let asked = Instant::now();
            self.follower.start(3, &prompt(1, 0)).await?;
            events.until("RunCompleted").await?;
            took.push(asked.elapsed());
        }
        Ok(took)
    }

    /// How long the first text takes, from the upstream itself and through a run, in turn.
    async fn first_texts(
        &self,
        count: usize,
    ) -> Result<(Vec<Duration>, Vec<Duration>), BenchError> {
        let (mut direct, mut through) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let http = reqwest::Client::builder().no_proxy().http1_only().tcp_nodelay(true).build();
        let http = http.map_err(|_| BenchError::Subject("cannot create a client for it"))?;
        let url = format!("http://{}/v1/messages", self.upstream.address());
        for _ in 0..count {
            let asked = Instant::now();
            let answer = http.post(&url).body(prompt(1, 0)).send().await;
            let mut answer =
                answer.map_err(|_| BenchError::Subject("the upstream does not respond"))?;
            let mut heard = Vec::new();
            while let Some(bytes) = answer
                .chunk()
                .await
                .map_err(|_| BenchError::Subject("the upstream does not respond"))?
            {
                heard.extend_from_slice(&bytes);
                if direct.len() == through.len()
                    && String::from_utf8_lossy(&heard).contains("text_delta")
                {
                    direct.push(asked.elapsed());
                }
            }
            let asked = Instant::now();
            let run = self.follower.start(1, &prompt(1, 0)).await?;
            let mut feed = self.follower.follow(&run).await?;
            let mut first = None;
            while let Some(told) = feed.next().await? {
                match told {
                    // A run that ended before the subscription started sends all its text in the
                    // snapshot.
                    Told::Text(_) | Told::End => first = first.or(Some(asked.elapsed())),
                    Told::Event(_) => {}
                }
            }
            through.push(first.ok_or(BenchError::Subject("a run sends no text"))?);
        }
        Ok((direct, through))
    }

    /// Concurrent streaming runs, each with a subscriber: the delay of each piece, and the memory
    /// of each run.
    async fn streams(&self, bench: &RunBench) -> Result<(Vec<Duration>, f64), BenchError> {
        let before = self.server.memory_kib()?;
        let pieces = u64::try_from(bench.time.as_millis()).unwrap_or(u64::MAX) / PACE_MS;
        let tracker = TaskTracker::new();
        let mut following = Vec::with_capacity(bench.streams);
        for _ in 0..bench.streams {
            let run = self.follower.start(1, &prompt(pieces, PACE_MS)).await?;
            let follower = self.follower.clone();
            following.push(tracker.spawn(async move {
                let mut feed = follower.follow(&run).await?;
                let mut delays = Vec::new();
                while let Some(told) = feed.next().await? {
                    if let Told::Text(more) = told {
                        delays.extend(more);
                    }
                }
                Ok::<_, BenchError>(delays)
            }));
        }
        let during = self.server.memory_kib()?;
        let mut delays = Vec::new();
        for following in following {
            delays.extend(following.await.map_err(|_| BenchError::Lost)??);
        }
        let grown = u32::try_from(during.saturating_sub(before)).unwrap_or(u32::MAX);
        Ok((delays, part(f64::from(grown), number(bench.streams))))
    }

    /// Kills the server in the middle of a run. Returns how long after its restart the run
    /// continues.
    async fn kill(&mut self, bench: &RunBench, scratch: &Scratch) -> Result<Duration, BenchError> {
        let run = self.follower.start(1, &prompt(200, PACE_MS)).await?;
        let mut feed = self.follower.follow(&run).await?;
        while !matches!(feed.next().await?, Some(Told::Text(_))) {}
        let cursor = self.follower.cursor().await?;
        self.server.kill()?;
        let began = Instant::now();
        self.server = serve(bench, scratch, &self.upstream).await?;
        self.follower = Follower::new(self.server.address(), &self.token)?;
        let mut events = self.follower.events("StepAttemptStarted", Some(&cursor)).await?;
        let goes_on = timeout(Duration::from_secs(30), events.until("StepAttemptStarted")).await;
        goes_on.map_err(|_| BenchError::Subject("a run did not continue in time"))??;
        Ok(began.elapsed())
    }
}

async fn serve(
    bench: &RunBench,
    scratch: &Scratch,
    upstream: &Subject,
) -> Result<Subject, BenchError> {
    let url = format!("http://{}", upstream.address());
    let variables = [
        ("CLAVIGER_ANTHROPIC_BASE_URL", url.as_str()),
        ("CLAVIGER_CALLS_PER_KEY", "1000"),
        ("CLAVIGER_STREAMS_PER_USER", "10000"),
    ];
    Subject::start(subject::serve(&bench.program, scratch.path(), &variables), None).await
}
