//! `kill -9` in the middle of streams, again and again: every run ends as if nothing had happened,
//! and no finished step is called again.
//!
//! `CLAVIGER_TEST_KILLS=100` kills a hundred times on SQLite and a fifth of that on MongoDB.

use super::farm::{Farm, Run, Times, Watcher, pattern};
use crate::harness::dice::{Dice, number, seed};
use crate::harness::program::Server;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger_domain::id::RunId;
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Runs at once.
const RUNS: usize = 4;

/// How many kills by default, on SQLite and on MongoDB.
const KILLS: (u64, u64) = (6, 2);

/// Most pieces of text that watchers receive before a server is killed.
const MOST_HEARD: usize = 150;

/// A piece of text every so often.
const PACE: Duration = Duration::from_millis(5);

struct Course {
    farm: Farm,
    dice: Dice,
    url: watch::Sender<String>,
    heard: Arc<watch::Sender<u64>>,
    watching: FuturesUnordered<JoinHandle<RunId>>,
    asked: u64,
    kills: u64,
    /// How many kills there had been before each run, and then during it.
    lives: BTreeMap<RunId, u64>,
    done: Vec<(RunId, u64)>,
    going_on: Times,
    listening: Times,
}

impl Course {
    async fn new(kind: StoreKind) -> Self {
        let world = World::paced_apart(kind, PACE, |_| {}).await;
        Self {
            farm: Farm::open(world).await,
            dice: Dice::new(seed()),
            url: watch::Sender::new(String::new()),
            heard: Arc::new(watch::Sender::new(0)),
            watching: FuturesUnordered::new(),
            asked: 0,
            kills: 0,
            lives: BTreeMap::new(),
            done: Vec::new(),
            going_on: Times::default(),
            listening: Times::default(),
        }
    }

    /// There are always a few runs under way, each watched.
    async fn fill(&mut self, server: &Server) {
        while self.watching.len() < RUNS {
            self.asked += 1;
            let run: Run = self.farm.start(server, pattern(self.asked)).await;
            self.lives.insert(run.run, self.kills);
            let watcher =
                Watcher::new(run, &self.farm.user, self.url.subscribe(), Arc::clone(&self.heard));
            self.watching.push(TaskTracker::new().spawn(watcher.watch()));
        }
    }

    fn ended(&mut self, run: RunId) {
        self.done.push((run, self.kills - self.lives[&run]));
    }

    fn serve(&mut self) -> Server {
        let began = Instant::now();
        let server = self.farm.serve();
        self.listening.note(began);
        self.url.send_replace(server.url().to_owned());
        server
    }

    /// Load, until watchers have received this much.
    async fn load(&mut self, server: &Server) {
        let heard_at = *self.heard.borrow() + 1 + self.dice.below(MOST_HEARD) as u64;
        let mut heard = self.heard.subscribe();
        loop {
            self.fill(server).await;
            tokio::select! {
                reached = heard.wait_for(|heard| *heard >= heard_at) => return drop(reached.unwrap()),
                Some(run) = self.watching.next() => self.ended(run.unwrap()),
            }
        }
    }

    /// Until a call is made again, or every watcher has seen its run's end.
    async fn goes_on(&mut self, calls: u64, since: Instant) {
        let counts = self.farm.world.simulator().counts().clone();
        let called = counts.wait(|counts| counts.total() > calls);
        tokio::pin!(called);
        loop {
            tokio::select! {
                () = &mut called => return self.going_on.note(since),
                ended = self.watching.next() => match ended {
                    Some(run) => self.ended(run.unwrap()),
                    None => return,
                },
            }
        }
    }

    async fn kill(&mut self, mut server: Server) -> Server {
        server.kill();
        self.kills += 1;
        let calls = self.farm.world.simulator().counts().total();
        let server = self.serve();
        self.goes_on(calls, Instant::now()).await;
        server
    }
}

async fn killed_again_and_again(kind: StoreKind, kills: u64, patience: Option<Duration>) {
    let (began, mut course) = (Instant::now(), Course::new(kind).await);
    let mut server = course.serve();
    for _ in 0..kills {
        course.load(&server).await;
        server = course.kill(server).await;
    }
    while let Some(run) = course.watching.next().await {
        course.ended(run.unwrap());
    }
    server.stop().await;
    let lost = course.farm.lost_leases();
    let done: Vec<_> = course.done.iter().map(|(run, kills)| (*run, kills + lost)).collect();
    let repeated = course.farm.check(&done).await;
    println!(
        "{kind:?}: {kills} kills in {:.1} s, {} runs, {repeated} calls cut and made anew, {lost} leases lost, {} pieces heard; from the start to listening \
         {:?} in the middle and {:?} at most, from there to the first call {:?} and {:?}",
        began.elapsed().as_secs_f64(),
        course.done.len(),
        *course.heard.borrow(),
        course.listening.middle(),
        course.listening.most(),
        course.going_on.middle(),
        course.going_on.most(),
    );
    assert_eq!(course.done.len() as u64, course.asked, "every run has its end");
    assert!(repeated > 0, "kills come in the middle of streams");
    // A few measure how busy the machine is; only many are asserted.
    if let Some(patience) = patience {
        assert!(course.going_on.middle() <= patience, "{:?}", course.going_on.middle());
    }
    course.farm.world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_outlive_killed_servers_on_sqlite_and_no_finished_step_is_called_again() {
    let long = number("CLAVIGER_TEST_KILLS");
    killed_again_and_again(
        StoreKind::Sqlite,
        long.unwrap_or(KILLS.0),
        long.map(|_| Duration::from_secs(1)),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_outlive_killed_servers_on_mongodb_and_no_finished_step_is_called_again() {
    if !StoreKind::available().await.contains(&StoreKind::MongoDb) {
        return;
    }
    let long = number("CLAVIGER_TEST_KILLS");
    let kills = long.map_or(KILLS.1, |kills| kills.div_ceil(5));
    // The lease of a second, and two more.
    killed_again_and_again(StoreKind::MongoDb, kills, long.map(|_| Duration::from_secs(3))).await;
}
