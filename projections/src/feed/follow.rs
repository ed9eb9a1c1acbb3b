//! Runs a feed: a stream that reads the store and waits for the hub as its driver decides.

use super::driver::{Batch, Driver, Next};
use super::hub::{Registration, Told};
use crate::ports::BoxFuture;
use claviger_domain::failure::Failure;
use futures::stream::{Stream, unfold};

/// The store behind a feed, for items that the hub did not deliver.
pub trait Source<T>: Send + Sync {
    /// The items after a cursor. Waits while the store does not answer; returns an error only if
    /// waiting would not help.
    fn read(&self, after: u64) -> BoxFuture<'_, Result<Batch<u64, T>, Failure>>;

    /// Nothing of what was read waits any more.
    fn drained(&self) {}
}

struct Following<S, T> {
    source: S,
    driver: Driver<u64, T>,
    listener: Registration<T>,
}

/// Every item after the driver's cursor, once and in order, without end. `listener` must have been
/// registered before the driver's cursor was looked up. The stream never runs ahead of its
/// consumer: a slow reader holds at most one batch, and what it missed is read later.
pub fn follow<S, T>(
    source: S,
    driver: Driver<u64, T>,
    listener: Registration<T>,
) -> impl Stream<Item = Result<(u64, T), Failure>> + Send + 'static
where
    S: Source<T> + 'static,
    T: Clone + Send + Sync + 'static,
{
    // Boxed: `unfold` holds its state twice.
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
                Next::Wait => {
                    self.source.drained();
                    match self.listener.told().await {
                        Told::Span(span) => self.driver.told(&span),
                        Told::Lagged => self.driver.lagged(),
                    }
                }
            }
        }
    }
}
