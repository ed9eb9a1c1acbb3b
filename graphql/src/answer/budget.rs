//! The budget itself. It also shares the thread: an operation that has worked through its part of a
//! poll lets the other tasks run.

use crate::error::top_level;
use async_graphql::{Pos, Response, ServerError};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use futures::lock::{Mutex as Turns, MutexGuard as Turn};
use std::any::Any;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

/// Most bytes of an answer.
const MOST: usize = 8 * 1024 * 1024;

/// Most bytes of the objects that one answer reads.
const MOST_READ: usize = 64 * 1024 * 1024;

/// The bytes that an operation may work through before it lets other tasks of its thread run: a
/// millisecond or so.
const PART: usize = 512 * 1024;

/// Counted for each object that is read, besides its own bytes: a read costs more than its result.
const READ: usize = 8 * 1024;

/// What the operations of one HTTP request, or one message of a subscription, may use together.
/// Clones share the counts.
#[derive(Clone, Debug)]
pub struct AnswerBudget(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    most: usize,
    /// Bytes of the operations that are finished.
    settled: AtomicUsize,
    /// Bytes of the operation that is being executed.
    charged: AtomicUsize,
    read: AtomicUsize,
    /// Set by the first charge that does not fit. Later operations are refused.
    is_exceeded: AtomicBool,
    /// What did not fit.
    refusal: Mutex<Option<Failure>>,
    /// Left of the current poll's part.
    part: AtomicUsize,
    held: Mutex<Option<Held>>,
    /// Large objects are read one after another, so that at most one is read in vain.
    reading: Turns<()>,
}

/// What the budget keeps until its last clone is dropped.
struct Held {
    _value: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl Default for AnswerBudget {
    /// The budget of one answer: 8 MiB.
    fn default() -> Self {
        Self::new(MOST)
    }
}

impl AnswerBudget {
    /// A budget of this many bytes of JSON.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Counts {
            most,
            settled: AtomicUsize::new(0),
            charged: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            is_exceeded: AtomicBool::new(false),
            refusal: Mutex::default(),
            part: AtomicUsize::new(PART),
            held: Mutex::default(),
            reading: Turns::default(),
        }))
    }

    /// The failure that every face reports for an answer that does not fit.
    pub fn refusal(&self) -> Failure {
        let known = self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.unwrap_or_else(|| {
            let most = self.0.most;
            let message = format!(
                "the answer is larger than the limit of {most} bytes: request fewer objects or fields, or split the request"
            );
            Failure::new(ErrorCode::LimitExceeded, message)
        })
    }

    /// Whether something did not fit.
    pub fn is_exceeded(&self) -> bool {
        self.0.is_exceeded.load(Relaxed)
    }

    /// Whether an answer is being made.
    pub fn is_at_work(&self) -> bool {
        self.0.charged.load(Relaxed) > 0
    }

    /// Fails once something did not fit: whatever is made after that is thrown away.
    pub(crate) fn open(&self) -> Result<(), Failure> {
        if self.is_exceeded() { Err(self.refusal()) } else { Ok(()) }
    }

    /// Takes bytes of the answer that is being made.
    pub(crate) fn charge(&self, bytes: usize) -> Result<(), Failure> {
        self.work(bytes);
        let charged = self.0.charged.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if charged.saturating_add(self.0.settled.load(Relaxed)) > self.0.most {
            self.0.is_exceeded.store(true, Relaxed);
        }
        self.open()
    }

    /// Waits for the operation's other reads of large objects. Fails if what they read was too much.
    pub(crate) async fn reading(&self) -> Result<Turn<'_, ()>, Failure> {
        let turn = self.0.reading.lock().await;
        self.open()?;
        Ok(turn)
    }

    /// Counts an object that was read from the store, or copied.
    pub(crate) fn read(&self, bytes: usize) -> Result<(), Failure> {
        self.work(bytes.saturating_add(READ));
        let read = self.0.read.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if read > MOST_READ {
            let message = format!(
                "the objects of this request hold more than {MOST_READ} bytes: request fewer at once"
            );
            let failure = Failure::new(ErrorCode::LimitExceeded, message);
            *self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
            self.0.is_exceeded.store(true, Relaxed);
        }
        self.open()
    }

    /// Replaces the charges of an operation by the length of its finished answer. `false` if that
    /// does not fit.
    pub fn settle(&self, bytes: usize) -> bool {
        self.0.charged.store(0, Relaxed);
        let settled = self.0.settled.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if settled > self.0.most {
            self.0.is_exceeded.store(true, Relaxed);
        }
        settled <= self.0.most
    }

    /// Begins the next message of a subscription, which has the whole budget again.
    pub(crate) fn restart(&self) {
        self.0.settled.store(0, Relaxed);
        self.0.charged.store(0, Relaxed);
        self.0.read.store(0, Relaxed);
        self.0.is_exceeded.store(false, Relaxed);
        *self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Keeps a value until the last clone of the budget is dropped: the slot of a user whose answer
    /// is still being sent. `make` runs only if nothing is kept yet.
    ///
    /// # Errors
    /// That of `make`.
    pub async fn hold<T: Any + Send + Sync, E>(
        &self,
        make: impl Future<Output = Result<T, E>>,
    ) -> Result<(), E> {
        if self.held().is_none() {
            let value = make.await?;
            *self.held() = Some(Held { _value: Box::new(value) });
        }
        Ok(())
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, bytes: usize) {
        let left = self.0.part.load(Relaxed);
        self.0.part.store(left.saturating_sub(bytes), Relaxed);
    }

    /// A new poll of the operation begins.
    pub(crate) fn refill(&self) {
        self.0.part.store(PART, Relaxed);
    }

    /// Waits for the next poll of the operation if this one has done its part. Fields that are
    /// resolved together all wait, so the thread is really free in between.
    pub(crate) async fn turn(&self) {
        poll_fn(|cx| {
            if self.0.part.load(Relaxed) > 0 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// The response of an operation. If it did not fit, a query has no data and one error; a
    /// mutation keeps what it did, and has the error once.
    pub(crate) fn checked(&self, mut response: Response, is_query: bool) -> Response {
        if !self.is_exceeded() {
            return response;
        }
        let refusal = self.refusal();
        if is_query {
            let error = top_level(&refusal).into_server_error(Pos::default());
            return Response::from_errors(vec![ServerError { locations: Vec::new(), ..error }]);
        }
        let mut is_first = true;
        response
            .errors
            .retain(|error| error.message != refusal.message || std::mem::take(&mut is_first));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn an_answer_fits_to_the_last_byte_and_not_one_further() {
        let budget = AnswerBudget::new(100);
        assert!(budget.charge(60).is_ok() && budget.charge(40).is_ok() && !budget.is_exceeded());
        assert_eq!(budget.charge(1), Err(budget.refusal()));
        assert!(budget.is_exceeded() && budget.open().is_err());
    }

    #[test]
    fn operations_of_a_request_share_the_bytes_and_messages_do_not() {
        let budget = AnswerBudget::new(100);
        assert!(budget.charge(90).is_ok(), "an estimate");
        assert!(budget.settle(70), "the real length");
        assert!(budget.charge(30).is_ok());
        assert!(budget.charge(1).is_err());
        budget.restart();
        assert!(budget.charge(100).is_ok());
    }

    #[test]
    fn work_stops_at_its_part_of_a_poll() {
        let budget = AnswerBudget::new(usize::MAX);
        assert!(budget.charge(PART - 1).is_ok());
        assert_eq!(budget.turn().now_or_never(), Some(()));
        assert!(budget.charge(1).is_ok());
        assert_eq!(budget.turn().now_or_never(), None, "until the next poll");
        budget.refill();
        assert_eq!(budget.turn().now_or_never(), Some(()));
    }

    #[test]
    fn objects_that_are_read_have_a_bound_of_their_own() {
        let budget = AnswerBudget::new(100);
        assert!(budget.read(MOST_READ).is_ok());
        assert!(budget.read(1).is_err_and(|failure| failure.code == ErrorCode::LimitExceeded));
    }
}
