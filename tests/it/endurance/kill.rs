//! `kill -9` under load, again and again, on one data directory.

use super::model::{Key, Model, Step};
use super::orders::Payload;
use crate::harness::client::Client;
use crate::harness::dice::{Dice, number, seed};
use crate::harness::program::{Home, Server};
use crate::harness::upstream::NO_UPSTREAM;
use futures::future::{join, join_all};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const CLIENTS: u64 = 8;
const KILLS: u64 = 5;
/// Most answers before the server is killed.
const MOST_ANSWERS: usize = 60;
const KEYS: &str =
    "{ viewer { keys(first: 100) { totalCount nodes { id name isActive defaultFor } } } }";

/// What the whole course came to.
#[derive(Default)]
struct Tally {
    answers: u64,
    unanswered: u64,
    replayed: u64,
    slowest_start: Duration,
    peak_memory_kib: u64,
}

struct Course {
    home: Home,
    account: Client,
    clients: Vec<Model>,
    /// Every event that was acknowledged, by its position.
    events: BTreeMap<u64, String>,
    /// Up to where the history was compared.
    compared: u64,
    tally: Tally,
}

impl Course {
    fn note(&mut self, payload: &Payload) {
        for (position, id) in payload.events() {
            assert_eq!(
                self.events.insert(position, id),
                None,
                "two commits at position {position}"
            );
        }
    }

    /// Load until the kill; the steps that got no answer, by client.
    async fn load(&mut self, server: &mut Server, kill_after: usize) -> Vec<Option<Step>> {
        let answers = watch::Sender::new(0_usize);
        let accounts: Vec<Client> = self.clients.iter().map(|_| self.account.apart()).collect();
        let loads = self.clients.iter_mut().zip(&accounts).map(|(client, account)| {
            let answers = &answers;
            async move {
                let mut payloads = Vec::new();
                loop {
                    let step = client.next();
                    let Some(payload) = account.try_command(&step.order).await else {
                        return (payloads, Some(step));
                    };
                    let payload = payload.done();
                    client.settle(step, &payload);
                    payloads.push(payload);
                    answers.send_modify(|count| *count += 1);
                }
            }
        });
        let killer = async {
            answers.subscribe().wait_for(|count| *count >= kill_after).await.unwrap();
            self.tally.peak_memory_kib = self.tally.peak_memory_kib.max(server.peak_memory_kib());
            server.kill();
        };
        let (ended, ()) = join(join_all(loads), killer).await;
        let mut pending = Vec::new();
        for (payloads, step) in ended {
            for payload in &payloads {
                self.note(payload);
            }
            self.tally.answers += payloads.len() as u64;
            pending.push(step);
        }
        pending
    }

    /// Starts on what the killed one left, at once.
    async fn restart(&mut self) -> Server {
        let began = Instant::now();
        let server = self.home.serve(NO_UPSTREAM);
        self.account = self.account.at(server.url());
        self.account.ask("{ viewer { id } }", json!({})).await;
        self.tally.slowest_start = self.tally.slowest_start.max(began.elapsed());
        server
    }

    /// Repeats what got no answer, with the same idempotency keys.
    async fn repeat(&mut self, pending: Vec<Option<Step>>) {
        for (n, step) in pending.into_iter().enumerate() {
            let Some(step) = step else { continue };
            let payload = self.account.command(&step.order).await.done();
            self.tally.unanswered += 1;
            self.tally.replayed += u64::from(payload.replayed());
            let again = self.account.command(&step.order).await.done();
            assert_eq!(again.events(), payload.events(), "a second repeat commits nothing more");
            self.clients[n].settle(step, &payload);
            self.note(&payload);
        }
    }

    /// The history is what was acknowledged, no more and no less; the keys are those of the model.
    async fn compare(&mut self) {
        let found = self.account.history_above(self.compared).await;
        let acknowledged =
            self.events.range(self.compared + 1..).map(|(position, id)| (*position, id.clone()));
        assert_eq!(found, acknowledged.collect::<Vec<_>>());
        self.compared = found.last().map_or(self.compared, |(position, _)| *position);

        let data = self.account.ask(KEYS, json!({})).await;
        let nodes = data["viewer"]["keys"]["nodes"].as_array().unwrap();
        let keys: BTreeMap<String, Key> = nodes.iter().map(Key::read).collect();
        let expected: BTreeMap<String, Key> =
            self.clients.iter().flat_map(|client| client.keys().clone()).collect();
        assert_eq!(keys, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_it_acknowledged_and_does_nothing_twice() {
    let kills = number("CLAVIGER_TEST_KILLS").unwrap_or(KILLS);
    let (began, mut dice, home) = (Instant::now(), Dice::new(seed()), Home::new());
    let mut server = home.serve(NO_UPSTREAM);
    let account = Client::register(server.url(), "ada").await;
    let events: BTreeMap<u64, String> = account.history_above(0).await.into_iter().collect();
    let clients = (0..CLIENTS).map(|n| Model::new(n, seed())).collect();
    let mut course =
        Course { home, account, clients, events, compared: 0, tally: Tally::default() };
    for _ in 0..kills {
        let kill_after = 1 + dice.below(MOST_ANSWERS);
        let pending = course.load(&mut server, kill_after).await;
        server = course.restart().await;
        course.repeat(pending).await;
        course.compare().await;
        // Half of the time what is verified is what a kill left, else what an orderly end did.
        if dice.below(2) == 0 {
            server.kill();
        } else {
            server.stop().await;
        }
        assert_eq!(course.home.verified()["events"], course.events.len() as u64);
        server = course.restart().await;
    }
    server.stop().await;
    course.compared = 0;
    server = course.restart().await;
    course.compare().await;
    server.stop().await;
    let Tally { answers, unanswered, replayed, slowest_start, peak_memory_kib } = course.tally;
    println!(
        "{kills} kills in {:.1} s: {answers} answers, {unanswered} commands without one, of which {replayed} had been done; \
         {} events; slowest start to first answer {slowest_start:?}; the server had {peak_memory_kib} KiB at most",
        began.elapsed().as_secs_f64(),
        course.events.len(),
    );
}
