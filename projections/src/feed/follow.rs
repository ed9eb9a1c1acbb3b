//! The feed put to work: a stream that reads and listens as its driver says.

use super::driver::{Batch, Driver, Next};
use super::hub::{Registration, Told};
use crate::ports::BoxFuture;
use claviger_domain::failure::Failure;
use futures::stream::{Stream, unfold};

/// Where a feed's items are read from when the hub isn't enough.
pub trait Source<T>: Send + Sync {
    /// Items after a cursor. Waits where the store doesn't answer; an error is one that waiting doesn't mend.
    fn read(&self, after: u64) -> BoxFuture<'_, Result<Batch<u64, T>, Failure>>;
}

struct Following<S, T> {
    source: S,
    driver: Driver<u64, T>,
    listener: Registration<T>,
}

/// Every item after the driver's cursor, once and in order, without end. `listener` must have been registered before the driver's
/// cursor was looked up. Nothing runs ahead of whoever polls: a slow reader holds at most one batch, and what it missed is read
/// later.
pub fn follow<S, T>(
    source: S,
    driver: Driver<u64, T>,
    listener: Registration<T>,
) -> impl Stream<Item = Result<(u64, T), Failure>> + Send + 'static
where
    S: Source<T> + 'static,
    T: Clone + Send + Sync + 'static,
{
    // Boxed: a stream that is unfolded holds its state twice.
    let following = Box::new(Following { source, driver, listener });
    unfold(Some(following), |following| async {
        let mut following = following?;
        match following.step().await {
            Ok(item) => Some((Ok(item), Some(following))),
            Err(failure) => Some((Err(failure), None)),
        }
    })
}

impl<S: Source<T>, T: Clone> Following<S, T> {
    async fn step(&mut self) -> Result<(u64, T), Failure> {
        loop {
            match self.driver.wants() {
                Next::Emit(cursor, item) => return Ok((cursor, item)),
                Next::Read(after) => {
                    let batch = self.source.read(after).await?;
                    self.driver.read(batch);
                }
                Next::Wait => match self.listener.told().await {
                    Told::Span(span) => self.driver.told(&span),
                    Told::Lagged => self.driver.lagged(),
                },
            }
        }
    }
}
