use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

struct Still(AtomicU64);
impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Uptime {
        Uptime(self.0.load(Ordering::SeqCst))
    }
}

const ADA: UserId = UserId(Uuid::from_u128(1));
const BOB: UserId = UserId(Uuid::from_u128(2));
const KEY: Lane = Lane::Key(KeyId(Uuid::from_u128(1)));
const OTHER: Lane = Lane::Key(KeyId(Uuid::from_u128(2)));
const BOBS: Lane = Lane::Key(KeyId(Uuid::from_u128(3)));
const SHARED: Lane = Lane::Operator(CredentialSource::MaxPlan);

type Turn = oneshot::Receiver<Ticket>;

fn queue(per_lane: usize, at_once: usize) -> (Arc<Still>, Arc<Queue>) {
    let clock = Arc::new(Still(AtomicU64::new(1_000)));
    let bounds = Bounds { per_lane, max_plan: 4, at_once };
    let queue = Queue::new(Arc::<Still>::clone(&clock), TaskTracker::new(), bounds);
    (clock, queue)
}

fn run(n: u128) -> RunId {
    RunId(Uuid::from_u128(n))
}

fn taken(queue: &Arc<Queue>, owner: UserId, lane: Lane) -> Option<Ticket> {
    queue.take(owner, lane, run(9)).try_recv().ok()
}

/// Which of them get a ticket, each once the one before has given its own back.
fn order(mut waiting: Vec<Turn>) -> Vec<usize> {
    let mut order = Vec::new();
    loop {
        let got: Vec<_> =
            (0..waiting.len()).filter_map(|n| Some((n, waiting[n].try_recv().ok()?))).collect();
        if got.is_empty() {
            return order;
        }
        assert_eq!(got.len(), 1, "one at a time");
        order.push(got[0].0);
    }
}

#[tokio::test]
async fn runs_take_turns_and_within_a_run_the_first_comes_first() {
    let (_, queue) = queue(1, 10);
    let held = taken(&queue, ADA, KEY).unwrap();
    assert!(taken(&queue, ADA, KEY).is_none(), "one call at once");
    let waiting = [1, 1, 2, 1, 2].map(|n| queue.take(ADA, KEY, run(n))).into();
    drop(held);
    assert_eq!(order(waiting), [0, 2, 1, 4, 3]);
}

#[tokio::test]
async fn owners_take_turns_then_their_keys_one_ticket_at_a_time() {
    let (_, queue) = queue(4, 1);
    let held = taken(&queue, ADA, KEY).unwrap();
    let waiting = [(ADA, KEY), (ADA, KEY), (ADA, OTHER), (ADA, OTHER), (BOB, BOBS), (BOB, BOBS)];
    let waiting = (1..).zip(waiting).map(|(n, (owner, lane))| queue.take(owner, lane, run(n)));
    let waiting = waiting.collect();
    drop(held);
    assert_eq!(order(waiting), [0, 4, 2, 5, 1, 3]);
}

#[tokio::test]
async fn whoever_comes_next_gets_a_ticket_however_many_another_owner_waits_for() {
    let (_, queue) = queue(8, 8);
    // Calls of one owner, with two keys, that never end.
    let mut hung: Vec<_> = [KEY, OTHER].map(|lane| taken(&queue, ADA, lane)).into();
    hung.extend((0..6).map(|_| taken(&queue, ADA, KEY)));
    assert_eq!(hung.iter().flatten().count(), 4, "half of all");
    let _more: Vec<_> = (0..9).map(|n| queue.take(ADA, OTHER, run(n))).collect();
    let (one, two) = (taken(&queue, BOB, BOBS), taken(&queue, BOB, BOBS));
    assert!(one.is_some() && two.is_some());
}

#[tokio::test]
async fn a_credential_of_the_operator_is_shared_by_owner_and_a_users_key_is_the_users() {
    let (_, queue) = queue(4, 100);
    let hung: Vec<_> = (0..4).map(|_| taken(&queue, ADA, SHARED)).collect();
    assert_eq!(hung.iter().flatten().count(), 2);
    assert!(taken(&queue, BOB, SHARED).is_some());
    let own: Vec<_> = (0..5).map(|_| taken(&queue, ADA, KEY)).collect();
    assert_eq!(own.iter().flatten().count(), 4);
}

#[tokio::test]
async fn max_plan_has_a_ticket_for_each_program_and_one_owner_gets_half_of_them() {
    let (_, queue) = queue(16, 100);
    let plan = Lane::Operator(CredentialSource::MaxPlan);
    let held: Vec<_> = (0..4).map(|_| taken(&queue, ADA, plan)).collect();
    assert_eq!(held.iter().flatten().count(), 2, "of four programs");
    let _other = taken(&queue, BOB, plan).unwrap();
}

#[tokio::test]
async fn a_receiver_that_leaves_blocks_no_other() {
    let (_, queue) = queue(1, 10);
    let held = taken(&queue, ADA, KEY).unwrap();
    drop(queue.take(ADA, KEY, run(1)));
    let mut next = queue.take(ADA, KEY, run(2));
    drop(held);
    let ticket = next.try_recv().unwrap();
    let left = queue.take(ADA, KEY, run(3));
    drop(ticket);
    // A ticket was sent, and its receiver is dropped without taking it.
    drop(left);
    assert!(taken(&queue, ADA, KEY).is_some());
    assert!(queue.lock().owners.is_empty() && queue.lock().lanes.is_empty(), "nothing is kept");
}

#[tokio::test]
async fn a_parked_credential_gets_no_ticket_and_others_do() {
    let (clock, queue) = queue(4, 10);
    queue.park(KEY, Timestamp(1_001));
    let waiting = queue.take(ADA, KEY, run(1));
    assert!(taken(&queue, ADA, OTHER).is_some());
    clock.0.store(1_001, Ordering::SeqCst);
    assert!(waiting.await.is_ok());
}
