//! Sixty-four clients of one user change ten keys at random, while observers look on.

use super::orders::{Order, Payload};
use crate::harness::client::Client;
use crate::harness::dice::{Dice, number, seed};
use crate::harness::program::Home;
use crate::harness::upstream::NO_UPSTREAM;
use claviger::simulator::keys::{Scenario, key};
use futures::future::{join, join_all};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(super) const CLIENTS: u64 = 64;
const OPERATIONS: usize = 20;
const OBSERVERS: usize = 4;
const CONTEXTS: [&str; 3] = ["default", "work", "play"];

pub(super) const LOOK: &str = "{ viewer { keys(first: 20) { nodes { id isActive defaultFor } } \
    default: defaultKey { id isActive defaultFor } work: defaultKey(context: \"work\") { id isActive defaultFor } \
    play: defaultKey(context: \"play\") { id isActive defaultFor } } }";

/// What one client was answered.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) events: Vec<(u64, String)>,
    pub(super) operations: u64,
    pub(super) conflicts: u64,
    without_effect: u64,
}

pub(super) fn order(dice: &mut Dice, keys: &[String]) -> Order {
    let (id, context) = (dice.pick(keys), dice.pick(&CONTEXTS));
    match dice.below(5) {
        0 | 1 => Order::new("setDefaultKey", json!({"id": id, "context": context})),
        2 => Order::new("clearDefaultKey", json!({"context": context})),
        3 => Order::new("activateKey", json!({"id": id})),
        _ => Order::new("deactivateKey", json!({"id": id})),
    }
}

pub(super) async fn client(
    account: Client,
    keys: &[String],
    n: u64,
    goes_on: impl Fn(u64) -> bool,
) -> Tally {
    let (mut dice, mut tally) = (Dice::new(seed() ^ (n << 32)), Tally::default());
    while goes_on(tally.operations) {
        let payload: Payload = account.command(&order(&mut dice, keys)).await;
        tally.operations += 1;
        match payload.refusal() {
            // An inactive key can't become a default.
            Some("CONFLICT") => tally.conflicts += 1,
            Some(_) => panic!("{payload:?}"),
            None => {
                let events = payload.events();
                tally.without_effect += u64::from(events.is_empty());
                tally.events.extend(events);
            }
        }
    }
    tally
}

/// At most one default a context, and never an inactive one.
pub(super) fn check(state: &Value) {
    let viewer = &state["viewer"];
    let nodes = viewer["keys"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 10);
    let mut holders: BTreeMap<&str, &str> = BTreeMap::new();
    for node in nodes {
        for context in node["defaultFor"].as_array().unwrap() {
            assert_eq!(node["isActive"], true, "an inactive default: {state}");
            let before = holders.insert(context.as_str().unwrap(), node["id"].as_str().unwrap());
            assert_eq!(before, None, "two defaults of {context}: {state}");
        }
    }
    for context in CONTEXTS {
        let default = &viewer[context];
        assert!(
            default.is_null() || default["isActive"] == true,
            "the default of {context} is inactive: {state}"
        );
        let holds = default.is_null()
            || default["defaultFor"].as_array().unwrap().iter().any(|held| held == context);
        assert!(holds, "the default of {context} doesn't know it: {state}");
    }
}

pub(super) async fn observer(account: Client, ended: &AtomicBool) -> u64 {
    let mut looks = 0;
    while !ended.load(Ordering::Relaxed) {
        check(&account.ask(LOOK, json!({})).await);
        looks += 1;
    }
    looks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clients_never_make_two_defaults_or_an_inactive_one() {
    let home = Home::new();
    let server = home.serve(NO_UPSTREAM);
    let account = Client::register(server.url(), "ada").await;
    let mut keys = Vec::new();
    for n in 0..10 {
        keys.push(account.add(&format!("key {n}"), &key(Scenario::Good, n)).await);
    }
    let mut expected: BTreeSet<(u64, String)> =
        account.history_above(0).await.into_iter().collect();
    let setup = expected.len();

    let (began, ended) = (Instant::now(), AtomicBool::new(false));
    let patience = number("CLAVIGER_TEST_SECONDS").map(Duration::from_secs);
    let goes_on = |operations| match patience {
        Some(patience) => began.elapsed() < patience,
        None => operations < OPERATIONS as u64,
    };
    let clients = async {
        let tallies =
            join_all((0..CLIENTS).map(|n| client(account.apart(), &keys, n, goes_on))).await;
        ended.store(true, Ordering::Relaxed);
        tallies
    };
    let observers = join_all((0..OBSERVERS).map(|_| observer(account.apart(), &ended)));
    let (tallies, looks) = join(clients, observers).await;
    let took = began.elapsed();
    check(&account.ask(LOOK, json!({})).await);
    let memory = server.peak_memory_kib();
    server.stop().await;

    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    let (operations, committed) =
        (sum(|tally| tally.operations), sum(|tally| tally.events.len() as u64));
    expected.extend(tallies.iter().flat_map(|tally| tally.events.iter().cloned()));
    assert_eq!(expected.len() as u64, setup as u64 + committed, "an event was answered twice");
    let positions: Vec<u64> = expected.iter().map(|(position, _)| *position).collect();
    assert_eq!(
        positions,
        (1..=positions.len() as u64).collect::<Vec<_>>(),
        "positions have no gap"
    );
    let report = home.verified();
    assert_eq!(report["events"], positions.len() as u64);
    assert!(sum(|tally| tally.conflicts) > 0 && looks.iter().all(|looks| *looks > 0));
    println!(
        "{operations} operations in {:.1} s: {committed} events, {} refused as conflicts, {} without effect; {} looks; \
         the server had {memory} KiB at most",
        took.as_secs_f64(),
        sum(|tally| tally.conflicts),
        sum(|tally| tally.without_effect),
        looks.iter().sum::<u64>(),
    );
}
