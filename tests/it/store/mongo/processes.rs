//! Real processes that are stopped: `SIGSTOP`, others go on, `SIGCONT`.

use super::super::sqlite::append;
use super::gate::Gate;
use super::harness::MongoHarness;
use crate::harness::dice::Dice;
use crate::harness::mongo::server;
use crate::harness::stores::mongo_config;
use claviger_domain::id::EventId;
use claviger_projections::ports::Log;
use claviger_store::mongo::{MongoConfig, MongoStore};
use claviger_suite::FaultHooks;
use futures::future::{join, join_all};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, HashMap};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_util::task::TaskTracker;

const URI: &str = "CLAVIGER_TEST_STOPPED_URI";
const LEASE: Duration = Duration::from_secs(1);

fn config(uri: &str) -> MongoConfig {
    MongoConfig { lease: LEASE, ..mongo_config(uri.parse().unwrap()) }
}

/// The process that is stopped: appends on command, and parks inside a transaction on command. Does
/// nothing when it isn't started by a test below.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child_that_is_stopped() {
    let Some(uri) = std::env::var_os(URI) else { return };
    let gate = Arc::new(Gate::default());
    let config = MongoConfig { faults: Arc::clone(&gate) as _, ..config(uri.to_str().unwrap()) };
    let store = Arc::new(MongoStore::open(&config).await.unwrap());
    let tracker = TaskTracker::new();
    println!("\nready");
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await.unwrap() {
        match order.split_once(' ') {
            Some(("append", n)) => {
                let (store, append) = (Arc::clone(&store), append(n.parse().unwrap()));
                tracker.spawn(async move {
                    let id = append.events[0].id;
                    let position = store.append(append).await.unwrap().position;
                    println!("answered {id} {position}");
                });
            }
            Some(("park", n)) => {
                gate.park();
                let (store, append, parked) =
                    (Arc::clone(&store), append(n.parse().unwrap()), Arc::clone(&gate));
                tracker.spawn(async move {
                    parked.parked().await;
                    println!("parked");
                });
                tracker.spawn(async move {
                    let id = append.events[0].id;
                    let position = store.append(append).await.unwrap().position;
                    println!("answered {id} {position}");
                });
            }
            Some(("release", _)) => gate.release(),
            _ => panic!("{order}"),
        }
    }
    tracker.close();
    tracker.wait().await;
    store.close().await;
}

struct Stopped {
    child: Child,
    pid: Pid,
    orders: Option<ChildStdin>,
    said: Lines<BufReader<ChildStdout>>,
    answered: HashMap<EventId, u64>,
}

impl Stopped {
    async fn start(uri: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "store::mongo::processes::the_child_that_is_stopped", "--nocapture"])
            .env(URI, uri);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        let orders = child.stdin.take();
        let mut stopped = Self { child, pid, orders, said, answered: HashMap::new() };
        stopped.says("ready").await;
        stopped
    }

    async fn order(&mut self, order: &str) {
        self.orders.as_mut().unwrap().write_all(format!("{order}\n").as_bytes()).await.unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    async fn line(&mut self) -> Option<String> {
        let line = self.said.next_line().await.unwrap()?;
        if let Some(answer) = line.strip_prefix("answered ") {
            let (id, position) = answer.split_once(' ').unwrap();
            let before =
                self.answered.insert(EventId(id.parse().unwrap()), position.parse().unwrap());
            assert_eq!(before, None, "answered twice");
        }
        Some(line)
    }

    async fn says(&mut self, word: &str) {
        while self.line().await.expect("it goes on") != word {}
    }

    /// Waits for this many answers.
    async fn answers(&mut self, count: usize) {
        while self.answered.len() < count {
            self.line().await.expect("it goes on");
        }
    }

    /// Lets it finish its commands, and end.
    async fn end(mut self) -> HashMap<EventId, u64> {
        drop(self.orders.take());
        while self.line().await.is_some() {}
        assert!(self.child.wait().await.unwrap().success());
        self.answered
    }
}

/// The log is dense, and consists of the acknowledged events at their acknowledged positions.
async fn consists_of(store: &MongoStore, answered: HashMap<EventId, u64>) {
    let log = store.read(0, usize::MAX).await.unwrap();
    let found: BTreeMap<u64, EventId> =
        log.iter().map(|event| (event.envelope.position, event.envelope.id)).collect();
    let expected: BTreeMap<u64, EventId> =
        answered.into_iter().map(|(id, position)| (position, id)).collect();
    assert_eq!(found, expected);
    assert_eq!(
        found.keys().copied().collect::<Vec<_>>(),
        (1..=found.len() as u64).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_stopped_inside_its_transaction_stalls_the_others_for_its_lease_only() {
    let Some(server) = server().await else { return };
    let harness = MongoHarness::new(server);
    let uri = server.uri_text(&harness.database);
    let store = MongoStore::open(&config(&uri)).await.unwrap();
    let mut child = Stopped::start(&uri).await;
    child.order("park 0").await;
    child.says("parked").await;
    child.signal(Signal::STOP);

    let began = Instant::now();
    let mut answered = HashMap::new();
    for n in 1..=20 {
        let appended = store.append(append(n)).await.unwrap();
        answered.insert(append(n).events[0].id, appended.position);
        if n == 1 {
            println!(
                "the others stood still for {:.1} s, with a lease of {LEASE:?}",
                began.elapsed().as_secs_f64()
            );
        }
    }
    child.order("release 0").await;
    child.signal(Signal::CONT);
    child.answers(1).await;
    assert_eq!(child.answered.values().copied().collect::<Vec<_>>(), [21]);
    child.order("append 100").await;
    answered.extend(child.end().await);
    consists_of(&store, answered).await;
    store.close().await;
    drop(harness);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_skips_nothing_of_a_process_that_is_parked_before_its_commit() {
    let Some(server) = server().await else { return };
    let harness = MongoHarness::new(server);
    let uri = server.uri_text(&harness.database);
    let store = MongoStore::open(&config(&uri)).await.unwrap();
    let mut answered = HashMap::new();
    answered.insert(append(0).events[0].id, store.append(append(0)).await.unwrap().position);
    let mut child = Stopped::start(&uri).await;
    child.order("park 1").await;
    child.says("parked").await;

    // Its event is written and not committed. Others write; a reader goes on from what it has.
    let others = async { join_all((2..12).map(|n| store.append(append(n)))).await };
    let reader = async {
        for _ in 0..20 {
            assert_eq!(store.read(1, 100).await.unwrap(), [], "nothing may pass what is parked");
        }
        child.order("release 0").await;
        let (mut cursor, mut watch) = (1, store.watch());
        while cursor < 12 {
            for event in store.read(cursor, 3).await.unwrap() {
                cursor += 1;
                assert_eq!(event.envelope.position, cursor);
            }
            if cursor < 12 {
                watch.wait_for(|known| *known > cursor).await.unwrap();
            }
        }
    };
    let (others, ()) = join(others, reader).await;
    for (n, appended) in (2..12).zip(others) {
        answered.insert(append(n).events[0].id, appended.unwrap().position);
    }
    child.answers(1).await;
    assert_eq!(child.answered.values().copied().collect::<Vec<_>>(), [2]);
    answered.extend(child.end().await);
    consists_of(&store, answered).await;
    store.close().await;
    drop(harness);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_stopped_at_random_moments_under_load_loses_and_doubles_nothing() {
    let Some(server) = server().await else { return };
    let harness = MongoHarness::new(server);
    let uri = server.uri_text(&harness.database);
    let store = MongoStore::open(&config(&uri)).await.unwrap();
    let (mut child, mut dice) = (Stopped::start(&uri).await, Dice::new(11));
    let (mut answered, mut slowest) = (HashMap::new(), Duration::ZERO);
    for round in 0..4_u64 {
        for n in 0..60 {
            child.order(&format!("append {}", round * 1000 + n)).await;
        }
        let before = child.answered.len();
        child.answers(before + 1 + dice.below(40)).await;
        child.signal(Signal::STOP);
        // Until what it held is free, and its lease is over.
        for n in 0..20 {
            let (append, began) = (append(round * 1000 + 500 + n), Instant::now());
            let position = store.append(append.clone()).await.unwrap().position;
            slowest = slowest.max(began.elapsed());
            answered.insert(append.events[0].id, position);
        }
        child.signal(Signal::CONT);
        child.answers(60 * usize::try_from(round + 1).unwrap()).await;
    }
    println!(
        "the slowest append beside a stopped process took {:.1} s, with a lease of {LEASE:?}",
        slowest.as_secs_f64()
    );
    answered.extend(child.end().await);
    assert_eq!(answered.len(), 4 * 80);
    consists_of(&store, answered).await;
    store.close().await;
    drop(harness);
}
