//! The flusher, step by step: the test decides when its store returns.

use claviger_domain::id::{RunId, StepId, UserId};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::flusher::*;
use claviger_projections::ports::*;
use claviger_projections::run_feed::{DeltaItem, from_json};
use futures::FutureExt as _;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use tokio::sync::oneshot;
use uuid::Uuid;

type Asked = (Vec<DeltaRow>, oneshot::Sender<Result<(), FlushError>>);

/// A store whose answers are given by the test.
#[derive(Default)]
struct Script(Mutex<VecDeque<Asked>>);

impl Deltas for Script {
    fn flush(&self, rows: Vec<DeltaRow>) -> BoxFuture<'_, Result<(), FlushError>> {
        let (reply, answer) = oneshot::channel();
        self.0.lock().unwrap().push_back((rows, reply));
        Box::pin(async { answer.await.unwrap() })
    }

    fn deltas(
        &self,
        _: RunId,
        _: (u64, u64),
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<DeltaRow>, StoreError>> {
        unreachable!("a flusher never reads rows")
    }

    fn count_deltas(&self, _: RunId, _: u64) -> BoxFuture<'_, Result<u64, StoreError>> {
        unreachable!("a flusher never counts stored rows")
    }

    fn expire_deltas(&self, _: UserId, _: RunId) -> BoxFuture<'_, Result<u64, StoreError>> {
        unreachable!("a flusher never deletes rows")
    }
}

/// Seals with a different number each time, as nonces are.
#[derive(Default)]
struct Seal(Mutex<u8>);

impl SealText for Seal {
    fn seal(&self, _: DeltaPlace, json: &[u8]) -> Result<Vec<u8>, FlushFailure> {
        let mut nonce = self.0.lock().unwrap();
        *nonce += 1;
        Ok([&[*nonce], json].concat())
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl FlushListener for Heard {
    fn flushed(&self, flushed: Flushed) {
        let items: Vec<_> =
            flushed.row.items.iter().map(|item| format!("{}@{}", item.text, item.offset)).collect();
        let said = format!(
            "{}:{}.{} {}",
            flushed.run.0.as_u128(),
            flushed.row.v,
            flushed.row.d,
            items.join(" ")
        );
        self.0.lock().unwrap().push(said);
    }

    fn failed(&self, run: RunId, failure: FlushFailure) {
        self.0.lock().unwrap().push(format!("{}: {failure}", run.0.as_u128()));
    }
}

struct Stage {
    store: Arc<Script>,
    heard: Arc<Heard>,
    handle: FlushHandle,
    task: BoxFuture<'static, ()>,
}

fn run(n: u128) -> RunId {
    RunId(Uuid::from_u128(n))
}

impl Stage {
    /// Two runs whose last events have version 3.
    fn new() -> Self {
        let (store, heard) = (Arc::<Script>::default(), Arc::<Heard>::default());
        let (flusher, handle) = Flusher::new(FlusherParts {
            store: Arc::clone(&store) as _,
            listener: Arc::clone(&heard) as _,
            now: Arc::new(|| Timestamp(1)),
            pause: Arc::new(|_| Box::pin(std::future::ready(()))),
        });
        for n in [1, 2] {
            let seal = Arc::<Seal>::default();
            handle.begin(RunOwner { run: run(n), owner: UserId(Uuid::nil()), v: 3, seal });
        }
        Self { store, heard, handle, task: Box::pin(flusher.run()) }
    }

    fn write(&self, n: u128, offset: u64, text: &str) {
        let item = DeltaItem {
            step: StepId(Uuid::from_u128(9)),
            attempt: 1,
            offset,
            text: text.to_owned(),
        };
        assert!(self.handle.write(run(n), item).now_or_never().is_some(), "there is room");
    }

    /// Runs the flusher until it waits.
    fn go(&mut self) {
        assert!(self.task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    /// The flush in flight, as (run, v, d, pieces).
    fn in_flight(&self) -> Vec<(u128, u64, u64, usize)> {
        let asked = self.store.0.lock().unwrap();
        assert!(asked.len() <= 1, "one flush is in flight");
        let row = |row: &DeltaRow| {
            (
                row.place.run.0.as_u128(),
                row.place.v,
                row.place.d,
                from_json(&row.sealed[1..]).unwrap().len(),
            )
        };
        asked.front().map(|(rows, _)| rows.iter().map(row).collect()).unwrap_or_default()
    }

    /// Answers the flush in flight and runs the flusher; returns the rows of the flush.
    fn answer(&mut self, answer: Result<(), FlushError>) -> Vec<DeltaRow> {
        let (rows, reply) = self.store.0.lock().unwrap().pop_front().expect("a flush is in flight");
        reply.send(answer).unwrap();
        self.go();
        rows
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.0.lock().unwrap())
    }
}

/// The future's result, if it is ready.
fn poll<T>(future: &mut BoxFuture<'_, T>) -> Option<T> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(answer) => Some(answer),
        std::task::Poll::Pending => None,
    }
}

/// Requests that a gate is closed.
fn close(stage: &mut Stage, n: u128) -> BoxFuture<'static, Result<u64, FlushFailure>> {
    let handle = stage.handle.clone();
    let mut closing: BoxFuture<'static, _> = Box::pin(async move { handle.close(run(n)).await });
    assert_eq!(poll(&mut closing), None);
    closing
}

#[test]
fn one_flush_is_in_flight_and_the_rest_goes_into_the_next() {
    let mut stage = Stage::new();
    stage.write(1, 0, "a");
    stage.go();
    assert_eq!(stage.in_flight(), [(1, 3, 1, 1)], "the first piece waits for nothing");
    stage.write(1, 1, "b");
    stage.write(2, 0, "x");
    stage.write(1, 2, "c");
    stage.go();
    assert_eq!(stage.heard(), Vec::<String>::new(), "durable before visible");
    stage.answer(Ok(()));
    assert_eq!(stage.heard(), ["1:3.1 a@0"]);
    assert_eq!(stage.in_flight(), [(1, 3, 2, 1), (2, 3, 1, 1)], "one row per run, pieces merged");
    stage.answer(Ok(()));
    assert_eq!(stage.heard(), ["1:3.2 bc@1", "2:3.1 x@0"]);
    assert_eq!(stage.in_flight(), []);
}

#[test]
fn a_closing_gate_flushes_earlier_text_and_holds_later_text() {
    let mut stage = Stage::new();
    stage.write(1, 0, "a");
    stage.go();
    stage.write(1, 1, "b");
    let mut closing = close(&mut stage, 1);
    stage.write(1, 2, "later");
    stage.write(2, 0, "x");
    stage.answer(Ok(()));
    assert_eq!(poll(&mut closing), None, "an earlier piece is not durable yet");
    stage.answer(Ok(()));
    assert_eq!(poll(&mut closing), Some(Ok(2)), "prev_d");
    assert_eq!(stage.in_flight(), [], "nothing of a closed run is flushed");
    stage.write(2, 1, "y");
    stage.go();
    assert_eq!(stage.in_flight(), [(2, 3, 2, 1)], "other runs go on");
    stage.answer(Ok(()));
    stage.handle.open(run(1), 4);
    stage.go();
    assert_eq!(stage.in_flight(), [(1, 4, 1, 1)], "the count restarts after the event");
}

#[test]
fn after_a_failed_append_the_row_count_continues() {
    let mut stage = Stage::new();
    stage.write(1, 0, "a");
    stage.go();
    stage.answer(Ok(()));
    let mut closing = close(&mut stage, 1);
    stage.go();
    assert_eq!(poll(&mut closing), Some(Ok(1)));
    stage.handle.open(run(1), 3);
    stage.write(1, 1, "b");
    stage.go();
    assert_eq!(stage.in_flight(), [(1, 3, 2, 1)]);
    stage.answer(Ok(()));
    let mut closing = close(&mut stage, 1);
    stage.go();
    assert_eq!(poll(&mut closing), Some(Ok(2)));
}

#[test]
fn a_flush_of_unknown_outcome_is_repeated_with_the_same_bytes() {
    let mut stage = Stage::new();
    stage.write(1, 0, "a");
    stage.go();
    let unknown = || Err(FlushError::Store(StoreError::Unavailable("gone".to_owned())));
    let first = stage.answer(unknown());
    stage.write(1, 1, "b");
    let second = stage.answer(unknown());
    let third = stage.answer(Ok(()));
    assert!(first == second && second == third);
    assert_eq!(stage.heard(), ["1:3.1 a@0"]);
    assert_eq!(stage.in_flight(), [(1, 3, 2, 1)]);
}

#[test]
fn a_run_owned_by_another_process_fails_alone() {
    let mut stage = Stage::new();
    stage.write(1, 0, "a");
    stage.write(2, 0, "x");
    let mut closing = close(&mut stage, 1);
    stage.go();
    stage.answer(Err(FlushError::Taken(vec![DeltaPlace { run: run(1), v: 3, d: 1 }])));
    assert_eq!(poll(&mut closing), Some(Err(FlushFailure::Lost)));
    assert_eq!(stage.heard(), ["2:3.1 x@0", "1: another process writes for this run"]);
    stage.write(1, 1, "b");
    let mut again = close(&mut stage, 1);
    stage.go();
    assert_eq!(poll(&mut again), Some(Err(FlushFailure::NotOpen)));
    assert_eq!(stage.in_flight(), []);
}

#[test]
fn a_closed_store_fails_every_run_of_the_flush() {
    let mut stage = Stage::new();
    stage.write(1, 0, "a");
    let mut closing = close(&mut stage, 1);
    stage.go();
    stage.answer(Err(FlushError::Store(StoreError::Closed)));
    assert_eq!(poll(&mut closing), Some(Err(FlushFailure::Store)));
    assert_eq!(stage.heard(), ["1: the store accepts no more text"]);
}
