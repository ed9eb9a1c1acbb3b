//! Random schedules: subscribers come late, read slowly, leave and come back by their cursor, while
//! upstream cuts streams and the process is dropped and started again. In every schedule, each
//! subscriber gets the complete text of every step.
//!
//! `CLAVIGER_TEST_SCHEDULES=1000` runs that many; `CLAVIGER_TEST_SEED` changes their course.

use super::subscriber::Subscriber;
use crate::harness::dice::{Dice, number, seed};
use crate::harness::environment::without_waits;
use crate::harness::person::User;
use crate::harness::process::Process;
use crate::harness::runs::{agents, line, stands_still, task};
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Ending, Reply};
use claviger_domain::id::RunId;
use claviger_domain::orchestration::{ControlRequest, Draft, OnFailure, Phase, StepState};
use claviger_projections::run_feed::{Body, FeedCursor, FeedMessage};
use futures::StreamExt as _;
use futures::future::join_all;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{RwLock, watch};

/// Runs that go on at once, and share what becomes of their process.
const AT_ONCE: usize = 20;

/// Subscribers of each.
const SUBSCRIBERS: usize = 3;

/// How many schedules by default, on each store: a takeover on MongoDB waits for a lease.
const USUAL: [usize; 2] = [2 * AT_ONCE, 6];

/// How the upstream answers, and which runs are started.
trait Chance {
    fn act(&mut self) -> Act;
    fn draft(&mut self) -> Draft;
}

impl Chance for Dice {
    fn act(&mut self) -> Act {
        let letters: Vec<char> = "ab ñé✓“漢字𝄞\n\"\\".chars().collect();
        let text: String =
            (0..40 + self.below(300)).map(|_| letters[self.below(letters.len())]).collect();
        let ending = match self.below(10) {
            0 => Ending::CutAfter(self.below(12)),
            1 => Ending::CutAtByte(self.below(3_000)),
            2 => Ending::ErrorAfter(self.below(12)),
            _ => Ending::Whole,
        };
        Act::Reply(Reply {
            chunk_chars: 1 + self.below(16),
            chunk_delay: Some(Duration::from_micros(200 * self.below(12) as u64)),
            split_bytes: [0, 0, 7, 33][self.below(4)],
            ending,
            ..Reply::text(text)
        })
    }

    fn draft(&mut self) -> Draft {
        match self.below(3) {
            0 => Draft::Sequential {
                task: task("Count."),
                agents: agents(["Ann", "Ben"]),
                sequence: None,
            },
            1 => Draft::Debate {
                topic: "Tabs?".to_owned(),
                agents: agents(["Pro", "Con"]),
                participants: None,
                rounds: 1,
            },
            _ => Draft::Parallel {
                task: "Name a colour.".to_owned(),
                agents: agents(["One", "Two", "Three"]),
                agent_names: None,
                aggregator: None,
                on_failure: OnFailure::Continue,
            },
        }
    }
}

/// A process that comes and goes, and those who are connected to it.
struct Ground {
    process: RwLock<Option<Process>>,
    /// Counts up when all must leave.
    leave: watch::Sender<u64>,
    /// Messages received by all subscribers.
    told: watch::Sender<usize>,
}

impl Ground {
    /// Drops the process in the middle of everything, and starts it again.
    async fn restart(&self, world: &World) {
        self.leave.send_modify(|times| *times += 1);
        let mut process = self.process.write().await;
        process.take().unwrap().vanish().await;
        *process = Some(world.process().await);
    }
}

async fn subscribe(ground: &Ground, user: &User, run: RunId, mut dice: Dice) -> Subscriber {
    let mut client = Subscriber::default();
    let mut begins_at_the_beginning = dice.below(2) == 0;
    let late = *ground.told.borrow() + [0, 0, 20, 200][dice.below(4)];
    let comes = async { ground.told.subscribe().wait_for(|told| *told >= late).await.map(drop) };
    // A subscriber that waits for messages to others mustn't wait for ever.
    let _ = tokio::time::timeout(Duration::from_millis(300), comes).await;
    while !client.is_over {
        let mut leave = ground.leave.subscribe();
        let place = ground.process.read().await;
        let process = place.as_ref().unwrap();
        let after = match client.cursors.len() {
            0 => std::mem::take(&mut begins_at_the_beginning).then(FeedCursor::default),
            count if dice.below(5) == 0 => Some(client.cursors[dice.below(count)]),
            _ => client.cursors.last().copied(),
        };
        client.connects(after);
        let mut messages = process.messages(user, run, after).await;
        let most = if dice.below(2) == 0 { 12 } else { 200 };
        let stays = 1 + dice.below(most);
        let is_slow = dice.below(3) == 0;
        for _ in 0..stays {
            let message = tokio::select! {
                message = messages.next() => message,
                _ = leave.changed() => break,
            };
            let Some(message) = message else { break };
            let message = message.unwrap();
            if stands_still(&message.body) {
                // After answers that cannot be used. Whoever else sees it asks, too, and it may go
                // on already.
                drop(process.ask(user, run, ControlRequest::Resume).await);
            }
            client.take(message);
            ground.told.send_modify(|told| *told += 1);
            if is_slow && dice.below(4) == 0 {
                tokio::time::sleep(Duration::from_micros(300 * dice.below(12) as u64)).await;
            }
        }
    }
    client
}

/// `count` runs at once; how many steps completed, attempts began, and texts added up.
async fn schedule(
    world: &World,
    ground: &Ground,
    user: &User,
    (count, restarts): (usize, usize),
    mut dice: Dice,
) -> [usize; 3] {
    let secret = key(Scenario::Good, 1);
    while world.simulator().script().left(&secret) < count * 12 {
        world.simulator().script().push(&secret, dice.act());
    }
    let mut runs = Vec::new();
    for _ in 0..count {
        runs.push(
            ground.process.read().await.as_ref().unwrap().start_run(user, dice.draft()).await,
        );
    }
    let subscribers: Vec<_> = runs
        .iter()
        .flat_map(|run| [*run; SUBSCRIBERS])
        .map(|run| (run, Dice::new(dice.next())))
        .collect();
    let subscribed =
        join_all(subscribers.into_iter().map(|(run, dice)| subscribe(ground, user, run, dice)));
    let until: Vec<_> = (0..restarts).map(|_| 1 + dice.below(count * SUBSCRIBERS * 9)).collect();
    let restarting = async {
        for messages in until {
            let from = *ground.told.borrow();
            let _ = ground.told.subscribe().wait_for(|told| *told >= from + messages).await;
            ground.restart(world).await;
        }
        std::future::pending::<()>().await;
    };
    let clients = tokio::select! {
        clients = subscribed => clients,
        () = restarting => Vec::new(),
    };
    let process = ground.process.read().await;
    let mut figures = [0, 0, clients.iter().map(|client| client.added_up).sum()];
    assert!(clients.iter().all(|client| client.gaps == 0), "nothing is gone before its time");
    for run in runs {
        let run = process.as_ref().unwrap().detail(user, run).await.view.run;
        assert!(
            run.phase == Phase::Completed
                || run.steps.iter().any(|step| matches!(step.state, StepState::Failed(_)))
        );
        figures[0] += run.steps.iter().filter(|step| step.is_completed()).count();
        figures[1] +=
            run.steps.iter().map(|step| usize::try_from(step.attempts).unwrap()).sum::<usize>();
    }
    figures
}

async fn schedules(kind: StoreKind, count: usize) {
    // A lease that a busy machine keeps, and whose end a new process needn't wait for long.
    let mut world =
        World::paced_apart(kind, Duration::ZERO, |config| config.lease_ms = 3_000).await;
    world.env = without_waits().1;
    let process = world.process().await;
    let ada = process.user("ada", Scenario::Good).await;
    let ground = Ground {
        process: RwLock::new(Some(process)),
        leave: watch::Sender::new(0),
        told: watch::Sender::new(0),
    };
    let mut dice = Dice::new(seed());
    let (mut left, mut all) = (count, [0; 3]);
    while left > 0 {
        let now = left.min(AT_ONCE);
        left -= now;
        let restarts = if kind == StoreKind::Sqlite { 1 + dice.below(3) } else { 1 };
        let own = Dice::new(dice.next());
        let schedule = schedule(&world, &ground, &ada, (now, restarts), own);
        let figures = tokio::time::timeout(Duration::from_mins(2), schedule)
            .await
            .expect("a schedule doesn't end");
        for (sum, figure) in all.iter_mut().zip(figures) {
            *sum += figure;
        }
    }
    let [steps, attempts, added_up] = all;
    println!(
        "{kind:?}: {count} runs, {SUBSCRIBERS} subscribers each: {steps} steps done in {attempts} attempts; text added up \
         {added_up} times over {} messages and {} restarts",
        *ground.told.borrow(),
        *ground.leave.borrow()
    );
    assert!(attempts > steps && added_up > steps / 2, "the schedules prove nothing: {all:?}");
    ground.process.write().await.take().unwrap().vanish().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_adds_up_for_every_subscriber_whatever_the_schedule() {
    for kind in StoreKind::available().await {
        let usual = USUAL[usize::from(*kind == StoreKind::MongoDb)];
        let long = number("CLAVIGER_TEST_SCHEDULES").and_then(|count| usize::try_from(count).ok());
        let count =
            long.map_or(usual, |count| if *kind == StoreKind::Sqlite { count } else { count / 20 });
        schedules(*kind, count.max(1)).await;
    }
}

async fn all_of(
    process: &Process,
    user: &User,
    run: RunId,
    after: Option<FeedCursor>,
) -> Vec<FeedMessage> {
    process.messages(user, run, after).await.map(Result::unwrap).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_into_text_that_has_expired_is_answered_by_a_gap_with_the_full_texts() {
    for kind in StoreKind::available().await {
        let mut world = World::steady(*kind).await;
        let (clock, env) = without_waits();
        world.env = env;
        let process = world.process().await;
        let ada = process.user("ada", Scenario::Good).await;
        let run = process.start_run(&ada, line("Count.", ["Ann", "Ben"])).await;
        let before = all_of(&process, &ada, run, Some(FeedCursor::default())).await;
        let places: Vec<_> = before
            .iter()
            .filter(|one| matches!(one.body, Body::Delta(_)))
            .map(|one| one.cursor)
            .collect();
        // Not before their time.
        process.tick().await;
        let again = all_of(&process, &ada, run, Some(places[0])).await;
        assert!(
            before.ends_with(&again[again.len() - 1..])
                && again.iter().any(|one| matches!(one.body, Body::Delta(_)))
        );
        clock.advance_ms(25 * 3_600_000);
        process.tick().await;
        let replies: Vec<_> = process
            .detail(&ada, run)
            .await
            .view
            .run
            .steps
            .into_iter()
            .map(|step| step.reply.unwrap())
            .collect();
        let whole = all_of(&process, &ada, run, Some(FeedCursor::default())).await;
        // Behind the last piece of the first step, the second is all that is missing.
        for (after, missing) in [
            (FeedCursor::default(), &replies[..]),
            (places[0], &replies),
            (*places.last().unwrap(), &replies[1..]),
        ] {
            let after = all_of(&process, &ada, run, Some(after)).await;
            let mut texts = BTreeMap::new();
            for one in &after {
                match &one.body {
                    Body::Gap(full) => {
                        texts.extend(full.iter().map(|one| (one.step, one.text.clone())));
                    }
                    Body::Delta(_) => panic!("text is left"),
                    Body::Snapshot { .. }
                    | Body::Event { .. }
                    | Body::AttemptSuperseded { .. }
                    | Body::Terminal(_) => {}
                }
            }
            let texts: Vec<_> = texts.into_values().collect();
            assert!(
                texts.ends_with(missing),
                "a subscriber with part of a text receives all of it: {texts:?}"
            );
            assert_eq!(after.last(), whole.last(), "the end is the same for all");
        }
        let fresh = all_of(&process, &ada, run, None).await;
        let [Body::Snapshot { view, .. }, Body::Terminal(_)] = [&fresh[0].body, &fresh[1].body]
        else {
            panic!("{fresh:?}")
        };
        let texts: Vec<_> = view.run.steps.iter().map(|step| step.reply.clone().unwrap()).collect();
        assert_eq!(texts, replies, "the replies themselves don't expire");
        process.stop().await;
        world.close().await;
    }
}
