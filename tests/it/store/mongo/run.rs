//! A long run of appends by two processes, with everything that can fail failing in turn, against
//! an account of what was acknowledged. `CLAVIGER_TEST_COMMANDS=2000` is the long form,
//! `CLAVIGER_TEST_SEED` changes the course.

use super::super::sqlite::append;
use super::failures::failures;
use super::gate::Gate;
use super::proxy::{Act, Proxy};
use crate::harness::dice::{Dice, number, seed};
use crate::harness::mongo::OwnServer;
use crate::harness::stores::mongo_config;
use claviger_domain::id::EventId;
use claviger_projections::ports::{Append, AppendError, Expected, Log, RecordChange, StoreError};
use claviger_store::mongo::{MongoConfig, MongoStore};
use claviger_suite::FaultHooks;
use futures::TryStreamExt;
use futures::future::{join, join_all};
use mongodb::Client;
use mongodb::bson::{Document, doc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Streams, each written by one worker.
const WORKERS: u64 = 6;
/// One in this many appends of a worker goes through the process that is spared.
const SPARED: u64 = 3;
const COMMANDS: u64 = 180;
const NAME: &str = "claviger-run";

/// What fails during a round.
#[derive(Clone, Debug)]
enum Trouble {
    /// The server refuses a command, drops the connection, or reports a write that was done as not
    /// confirmed.
    Server(&'static str, i32, Document),
    /// The connection fails at a request with this word.
    Wire(&'static str, Act),
    /// An append fails by itself.
    Append,
    /// This many transactions fail before their commit.
    BeforeCommit(usize),
    /// The answers of this many commits are lost.
    AnswerLost(usize),
    /// While a commit is on its way: the session is ended by another.
    Session,
    /// While a commit is on its way: all connections are cut.
    Connections,
    /// While a commit is on its way: the database is killed, and started again.
    Database,
}

/// All of it once. Bytes at which connections are cut come from the dice.
fn troubles(dice: &mut Dice) -> Vec<Trouble> {
    let mut all: Vec<_> = failures()
        .into_iter()
        .map(|(command, times, data)| Trouble::Server(command, times, data))
        .collect();
    for word in ["findAndModify", "insert", "update", "commitTransaction"] {
        all.push(Trouble::Wire(word, Act::CutRequest(dice.below(400))));
        all.push(Trouble::Wire(word, Act::CutReply(dice.below(200))));
    }
    all.push(Trouble::Wire("commitTransaction", Act::Swallow));
    all.push(Trouble::Wire("commitTransaction", Act::SwallowReply));
    all.push(Trouble::Wire("insert", Act::SwallowReply));
    all.extend([Trouble::Append, Trouble::BeforeCommit(2), Trouble::AnswerLost(2)]);
    all.extend([Trouble::Session, Trouble::Connections, Trouble::Database]);
    all
}

struct Run {
    server: OwnServer,
    proxy: Proxy,
    gate: Arc<Gate>,
    /// Where things fail.
    store: Arc<MongoStore>,
    /// Beside it, on connections of its own.
    spared: Arc<MongoStore>,
    admin: Client,
    /// What was acknowledged, by position.
    account: BTreeMap<u64, EventId>,
    /// Versions of the streams.
    versions: Vec<u64>,
    unavailable: u64,
    slowest: Duration,
}

impl Run {
    async fn start() -> Option<Self> {
        let server = OwnServer::start()?;
        let proxy = Proxy::start(&server.host()).await;
        let spared = mongo_config(server.uri());
        let spared = Arc::new(MongoStore::open(&spared).await.unwrap());
        let options =
            format!("directConnection=true&serverSelectionTimeoutMS=20000&appName={NAME}");
        let uri = format!("mongodb://{}/?{options}", proxy.address()).parse().unwrap();
        let gate = Arc::new(Gate::default());
        let faults = Arc::clone(&gate) as _;
        let answer_within = Duration::from_secs(2);
        let store = MongoConfig { faults, answer_within, ..mongo_config(uri) };
        let store = Arc::new(MongoStore::open(&store).await.unwrap());
        let admin = spared.database().client().clone();
        let versions = vec![0; usize::try_from(WORKERS).unwrap()];
        let (account, slowest) = (BTreeMap::new(), Duration::ZERO);
        Some(Self {
            server,
            proxy,
            gate,
            store,
            spared,
            admin,
            account,
            versions,
            unavailable: 0,
            slowest,
        })
    }

    /// The next append of a worker: the `n`th command of all.
    fn append(&self, worker: u64, n: u64) -> Append {
        let (base, version) = (append(worker), self.versions[usize::try_from(worker).unwrap()]);
        let expected = if version == 0 { Expected::NoStream } else { Expected::Exact(version) };
        let new = append(n);
        let record = RecordChange::Insert {
            request_hash: [1; 32],
            subject: None,
            open: false,
            expires_at: new.at,
        };
        Append { stream: base.stream, owner: base.owner, expected, record: Some(record), ..new }
    }

    async fn fail_commands(&self, command: &str, times: i32, mut data: Document) {
        data.extend(doc! { "failCommands": [command], "appName": NAME });
        let fail =
            doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
        self.admin.database("admin").run_command(fail).await.unwrap();
    }

    async fn begin(&self, trouble: &Trouble, appends: &[Append]) {
        match trouble {
            Trouble::Server(command, times, data) => {
                self.fail_commands(command, *times, data.clone()).await;
            }
            Trouble::Wire(word, act) => self.proxy.rule(word, 1, *act),
            Trouble::Append => self.gate.fail_statement(appends[0].events[0].id),
            Trouble::BeforeCommit(times) => self.gate.fail_commits(*times),
            Trouble::AnswerLost(times) => self.gate.lose_answers(*times),
            Trouble::Session | Trouble::Connections | Trouble::Database => {
                self.proxy.rule("commitTransaction", 1, Act::Delay(Duration::from_millis(100)));
            }
        }
    }

    /// What happens while a commit is on its way.
    async fn strike(&mut self, trouble: &Trouble, met: usize) {
        match trouble {
            Trouble::Session => {
                self.proxy.met(met).await;
                let processes = self.spared.database().collection::<Document>("processes");
                let lines: Vec<_> =
                    processes.find(doc! {}).await.unwrap().try_collect().await.unwrap();
                let lsids: Vec<_> =
                    lines.iter().map(|line| line.get_document("lsid").unwrap().clone()).collect();
                assert!(lsids.len() >= 2);
                self.admin
                    .database("admin")
                    .run_command(doc! { "killSessions": lsids })
                    .await
                    .unwrap();
            }
            Trouble::Connections => {
                self.proxy.met(met).await;
                self.proxy.cut_all();
            }
            Trouble::Database => {
                self.proxy.met(met).await;
                self.server.kill_and_restart();
            }
            Trouble::Server(..)
            | Trouble::Wire(..)
            | Trouble::Append
            | Trouble::BeforeCommit(_)
            | Trouble::AnswerLost(_) => {}
        }
    }

    /// A command of each worker, while this happens.
    async fn round(&mut self, first: u64, trouble: &Trouble) {
        let appends: Vec<Append> =
            (0..WORKERS).map(|worker| self.append(worker, first + worker)).collect();
        let met = self.proxy.times_met() + 1;
        self.begin(trouble, &appends).await;
        let (gate, store, spared) =
            (Arc::clone(&self.gate), Arc::clone(&self.store), Arc::clone(&self.spared));
        let workers = appends.iter().enumerate().map(|(worker, append)| {
            let is_spared = worker as u64 % SPARED == SPARED - 1;
            acknowledged(if is_spared { &spared } else { &store }, append, &gate)
        });
        let (answers, ()) = join(join_all(workers), self.strike(trouble, met)).await;
        self.admin
            .database("admin")
            .run_command(doc! { "configureFailPoint": "failCommand", "mode": "off" })
            .await
            .unwrap();
        self.proxy.forward();
        self.gate.mend();
        for (worker, (append, answer)) in appends.iter().zip(answers).enumerate() {
            let before = self.account.insert(answer.position, append.events[0].id);
            assert_eq!(before, None, "two commits at position {}", answer.position);
            self.versions[worker] += 1;
            self.unavailable += answer.unavailable;
            self.slowest = self.slowest.max(answer.took);
        }
    }

    /// The log is what was acknowledged: nothing lost, nothing doubled, no gap.
    async fn compare(&self, after: &Trouble) {
        for store in [&self.store, &self.spared] {
            // A read may be refused as long as things recover; what it returns must be right.
            let log = loop {
                match store.read(0, usize::MAX).await {
                    Ok(log) => break log,
                    Err(StoreError::Unavailable(_)) => {}
                    Err(other) => panic!("{other:?} after {after:?}"),
                }
            };
            let found: Vec<_> =
                log.iter().map(|event| (event.envelope.position, event.envelope.id)).collect();
            let expected: Vec<_> =
                self.account.iter().map(|(position, id)| (*position, *id)).collect();
            assert!(
                found == expected,
                "{} events, {} acknowledged, after {after:?}",
                found.len(),
                expected.len()
            );
            let positions: Vec<_> = self.account.keys().copied().collect();
            assert_eq!(
                positions,
                (1..=positions.len() as u64).collect::<Vec<_>>(),
                "positions have no gap"
            );
        }
    }
}

struct Acknowledged {
    position: u64,
    /// How often it was refused before: nothing of it may have been in then.
    unavailable: u64,
    took: Duration,
}

/// Asks until it is in, as a client would. An append that was refused and in nevertheless would not
/// fit its stream any more.
async fn acknowledged(store: &MongoStore, append: &Append, gate: &Gate) -> Acknowledged {
    let (began, mut unavailable) = (Instant::now(), 0);
    loop {
        match store.append(append.clone()).await {
            Ok(appended) => {
                return Acknowledged {
                    position: appended.position,
                    unavailable,
                    took: began.elapsed(),
                };
            }
            Err(AppendError::Store(StoreError::Unavailable(_))) => {
                unavailable += 1;
                // What failed by itself succeeds the next time.
                gate.mend();
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_in_turn_nothing_acknowledged_is_lost_or_doubled() {
    let Some(mut run) = Run::start().await else { return };
    let (began, mut dice) = (Instant::now(), Dice::new(seed()));
    let commands = number("CLAVIGER_TEST_COMMANDS").unwrap_or(COMMANDS);
    let (mut done, mut turn) = (0, Vec::new());
    while done < commands || !turn.is_empty() {
        if turn.is_empty() {
            turn = troubles(&mut dice);
        }
        let trouble = turn.swap_remove(dice.below(turn.len()));
        let asked = Instant::now();
        run.round(done, &trouble).await;
        done += WORKERS;
        if commands <= COMMANDS {
            println!("{:.1} s  {trouble:?}", asked.elapsed().as_secs_f64());
        }
        run.compare(&trouble).await;
    }
    println!(
        "{done} commands in {:.0} s: {} events, {} refusals as unavailable, 0 lost, 0 doubled, 0 gaps; the slowest took {:.1} s",
        began.elapsed().as_secs_f64(),
        run.account.len(),
        run.unavailable,
        run.slowest.as_secs_f64(),
    );
    run.store.close().await;
    run.spared.close().await;
}
