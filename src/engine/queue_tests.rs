use super::*;
use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

const MODEL: &str = "claude-haiku-4-5";
const OPUS: &str = "claude-opus-4-5";

/// A timer that a test moves. Whoever waits looks again when it is moved.
struct Still(watch::Sender<u64>);

impl Timer for Still {
    fn elapsed_ms(&self) -> u64 {
        *self.0.borrow()
    }

    fn until(&self, elapsed_ms: u64) -> BoxFuture<'static, ()> {
        let mut moved = self.0.subscribe();
        Box::pin(async move { drop(moved.wait_for(|now| *now >= elapsed_ms).await) })
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
    let timer = Arc::new(Still(watch::Sender::new(1_000)));
    let bounds = Bounds { per_lane, max_plan: 4, at_once };
    let queue = Queue::new(Arc::<Still>::clone(&timer), TaskTracker::new(), bounds);
    (timer, queue)
}

fn run(n: u128) -> RunId {
    RunId(Uuid::from_u128(n))
}

fn taken(queue: &Arc<Queue>, owner: UserId, lane: Lane) -> Option<Ticket> {
    queue.take(owner, (lane, MODEL), run(9)).try_recv().ok()
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
    let waiting = [1, 1, 2, 1, 2].map(|n| queue.take(ADA, (KEY, MODEL), run(n))).into();
    drop(held);
    assert_eq!(order(waiting), [0, 2, 1, 4, 3]);
}

#[tokio::test]
async fn owners_take_turns_then_their_keys_one_ticket_at_a_time() {
    let (_, queue) = queue(4, 1);
    let held = taken(&queue, ADA, KEY).unwrap();
    let waiting = [(ADA, KEY), (ADA, KEY), (ADA, OTHER), (ADA, OTHER), (BOB, BOBS), (BOB, BOBS)];
    let waiting =
        (1..).zip(waiting).map(|(n, (owner, lane))| queue.take(owner, (lane, MODEL), run(n)));
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
    let _more: Vec<_> = (0..9).map(|n| queue.take(ADA, (OTHER, MODEL), run(n))).collect();
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
    drop(queue.take(ADA, (KEY, MODEL), run(1)));
    let mut next = queue.take(ADA, (KEY, MODEL), run(2));
    drop(held);
    let ticket = next.try_recv().unwrap();
    let left = queue.take(ADA, (KEY, MODEL), run(3));
    drop(ticket);
    // A ticket was sent, and its receiver is dropped without taking it.
    drop(left);
    assert!(taken(&queue, ADA, KEY).is_some());
    assert!(queue.lock().owners.is_empty() && queue.lock().lanes.is_empty(), "nothing is kept");
}

fn rest(lane: Lane, model: &str, until_ms: u64) -> Rest {
    let model = model.to_owned();
    Rest { lane, version: Some(1), organization: None, model, until_ms }
}

#[tokio::test]
async fn a_key_that_rests_gets_no_ticket_and_others_do() {
    let (timer, queue) = queue(4, 10);
    queue.rest(&rest(KEY, MODEL, 1_001));
    let mut waiting = queue.take(ADA, (KEY, OPUS), run(1));
    assert!(taken(&queue, ADA, OTHER).is_some());
    assert!(waiting.try_recv().is_err());
    timer.0.send_replace(1_001);
    assert!(waiting.await.is_ok());
}

#[tokio::test]
async fn a_family_of_models_rests_for_its_organisation_and_other_models_are_called() {
    let (timer, queue) = queue(4, 10);
    queue.learn((OTHER, Some(1)), "org");
    queue.rest(&Rest { organization: Some("org".to_owned()), ..rest(KEY, OPUS, 1_001) });
    let waiting = [KEY, OTHER].map(|lane| queue.take(ADA, (lane, OPUS), run(1)));
    for lane in [KEY, OTHER, BOBS] {
        assert!(taken(&queue, ADA, lane).is_some(), "another model, in the same run too");
    }
    assert!(queue.take(ADA, (BOBS, OPUS), run(9)).try_recv().is_ok(), "another organisation");
    timer.0.send_replace(1_001);
    for waiting in waiting {
        assert!(waiting.await.is_ok());
    }
}

#[tokio::test]
async fn a_new_secret_ends_the_rest_at_once_and_a_limit_of_the_old_one_is_void() {
    let (_, queue) = queue(4, 10);
    queue.rest(&rest(KEY, MODEL, 1_000_000));
    let mut waiting = queue.take(ADA, (KEY, MODEL), run(1));
    queue.freshen(KEY, Some(2));
    assert!(waiting.try_recv().is_ok());
    queue.rest(&rest(KEY, MODEL, 1_000_000));
    assert!(taken(&queue, ADA, KEY).is_some());
}

#[tokio::test]
async fn a_queue_that_is_closed_waits_for_no_rest() {
    let (_, queue) = queue(4, 10);
    queue.rest(&rest(KEY, MODEL, 1_000_000));
    queue.close();
    queue.tracker.close();
    queue.tracker.wait().await;
}
