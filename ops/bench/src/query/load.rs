//! Clients that send the next request as soon as they have a response.

use crate::error::BenchError;
use crate::figures::Sample;
use crate::http::Talk;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

/// The query for a list of keys.
pub(crate) const KEYS: &str = "{ viewer { keys(first: 50) { totalCount nodes { id name preview isActive isDefault createdAt } } } }";

/// Runs `connections` clients for the given time.
pub(crate) async fn run(
    address: SocketAddr,
    request: &Arc<[u8]>,
    connections: usize,
    time: Duration,
) -> Result<Sample, BenchError> {
    let mut talks = Vec::with_capacity(connections);
    for _ in 0..connections {
        talks.push(Talk::open(address).await?);
    }
    let (tracker, began) = (TaskTracker::new(), Instant::now());
    let asking = |talk| tracker.spawn(ask(talk, Arc::clone(request), began + time));
    let running: Vec<_> = talks.into_iter().map(asking).collect();
    let mut latencies = Vec::new();
    for client in running {
        latencies.extend(client.await.map_err(|_| BenchError::Lost)??);
    }
    Ok(Sample { latencies, took: began.elapsed(), conflicts: 0 })
}

async fn ask(
    mut talk: Talk,
    request: Arc<[u8]>,
    until: Instant,
) -> Result<Vec<Duration>, BenchError> {
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let asked = Instant::now();
        let status = talk.ask(&request).await?;
        latencies.push(asked.elapsed());
        if status != 200 || talk.body.starts_with(b"{\"errors\"") {
            return Err(BenchError::Subject("it refuses a request of the measurement"));
        }
    }
    Ok(latencies)
}
