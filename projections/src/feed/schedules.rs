//! Feeds under random schedules, against an oracle: in any order of commits, of the reader's turns,
//! and of slow and disconnected clients, each client gets every event of its user exactly once and
//! in order.

use super::{Batch, Driver, Hub, Source, Topic, follow};
use crate::ports::BoxFuture;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use futures::FutureExt;
use futures::stream::{BoxStream, StreamExt};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// A small random generator (Steele and others, `SplitMix64`): the schedule depends only on its
/// seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }
}

type Feed = BoxStream<'static, Result<(u64, u64), Failure>>;

/// The owner of each position, from 1.
type Log = Arc<Mutex<Vec<u128>>>;

fn head(log: &Log) -> u64 {
    log.lock().unwrap().len() as u64
}

fn owned(log: &Log, owner: u128, after: u64, to: u64) -> Vec<(u64, u64)> {
    let log = log.lock().unwrap();
    let positions =
        (after + 1..=to).filter(|position| log[usize::try_from(*position).unwrap() - 1] == owner);
    positions.map(|position| (position, position)).collect()
}

/// Reads at most three items at a time, and yields between looking at the head, reading, and
/// answering.
struct Slow {
    log: Log,
    owner: u128,
}

async fn others_go_on() {
    let mut is_first = true;
    std::future::poll_fn(|_| {
        if std::mem::take(&mut is_first) {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
}

impl Source<u64> for Slow {
    fn read(&self, after: u64) -> BoxFuture<'_, Result<Batch<u64, u64>, Failure>> {
        Box::pin(async move {
            let head_before = head(&self.log);
            others_go_on().await;
            let mut items = owned(&self.log, self.owner, after, head(&self.log));
            items.truncate(3);
            others_go_on().await;
            let last = items.last().map_or(after, |(position, _)| *position);
            let more = items.len() == 3;
            Ok(Batch { items, covered: if more { last } else { last.max(head_before) }, more })
        })
    }
}

struct Client {
    owner: u128,
    start: u64,
    got: Vec<u64>,
    feed: Feed,
}

fn topic(owner: u128) -> Topic {
    Topic::Owner(UserId(Uuid::from_u128(owner)))
}

fn connect(log: &Log, hub: &Arc<Hub<u64>>, owner: u128, after: Option<u64>) -> (u64, Feed) {
    let listener = hub.register(topic(owner));
    let now = head(log);
    let (start, driver) =
        after.map_or((now, Driver::from_now(now)), |after| (after, Driver::after(after)));
    (start, follow(Slow { log: Arc::clone(log), owner }, driver, listener).boxed())
}

impl Client {
    /// Takes one item, or advances by one step.
    fn poll(&mut self) -> bool {
        let Some(item) = self.feed.next().now_or_never() else { return false };
        self.got.push(item.unwrap().unwrap().0);
        true
    }
}

/// The process's reader: sometimes it cannot open what it read, sometimes it takes few events at a
/// time, and listeners register in between.
fn publish(log: &Log, hub: &Hub<u64>, dice: &mut Dice) {
    let from = hub.position();
    let to = (from + 1 + dice.roll(4)).min(head(log));
    if to <= from {
        return;
    }
    let touched: Vec<_> = (0..3)
        .map(|owner| (owner, owned(log, owner, from, to)))
        .filter(|(_, items)| !items.is_empty())
        .collect();
    let listened = hub.listened(touched.iter().map(|(owner, _)| topic(*owner)));
    let told = touched.into_iter().map(|(owner, items)| {
        let can_open = listened.contains(&topic(owner)) && dice.roll(5) > 0;
        (topic(owner), can_open.then_some(items))
    });
    hub.publish(to, told.collect::<Vec<_>>());
}

fn play(seed: u64) {
    let mut dice = Dice(seed);
    let log: Log = Arc::default();
    let hub = Hub::new(0);
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..400 {
        match dice.roll(12) {
            0..=3 => log.lock().unwrap().push(u128::from(dice.roll(3))),
            4..=6 => publish(&log, &hub, &mut dice),
            7 if clients.len() < 6 => {
                let owner = u128::from(dice.roll(3));
                let after = (dice.roll(2) == 0).then(|| dice.roll(head(&log) + 1));
                let (start, feed) = connect(&log, &hub, owner, after);
                clients.push(Client { owner, start, got: Vec::new(), feed });
            }
            // Disconnects a client and reconnects it with its last cursor.
            8 if !clients.is_empty() => {
                let which = usize::try_from(dice.roll(clients.len() as u64)).unwrap();
                let client = &mut clients[which];
                let last = client.got.last().copied().unwrap_or(client.start);
                client.feed = connect(&log, &hub, client.owner, Some(last)).1;
            }
            // Polls one client. Clients that are not chosen for a long time are the slow ones.
            _ if !clients.is_empty() => {
                let which = usize::try_from(dice.roll(clients.len() as u64)).unwrap();
                clients[which].poll();
            }
            _ => {}
        }
    }
    while hub.position() < head(&log) {
        publish(&log, &hub, &mut dice);
    }
    for client in &mut clients {
        let mut idle = 0;
        while idle < 8 {
            idle = if client.poll() { 0 } else { idle + 1 };
        }
        let expected: Vec<u64> = owned(&log, client.owner, client.start, head(&log))
            .into_iter()
            .map(|(position, _)| position)
            .collect();
        assert_eq!(client.got, expected, "seed {seed}");
    }
}

#[test]
fn nothing_is_lost_or_duplicated_under_any_schedule() {
    for seed in 0..2_000 {
        play(seed);
    }
}
