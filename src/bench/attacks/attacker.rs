//! Whoever attacks: bounded in how many connections there are and how many are begun in a second.

use super::arsenal::Attack;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a connection may take.
const HURRY: Duration = Duration::from_secs(5);
/// The same for one that lingers: longer than the server lets it.
const LINGER: Duration = Duration::from_secs(30);

/// Attacks until stopped; answers with how many connections were begun.
pub(super) async fn run(at: SocketAddr, attack: Attack, stop: CancellationToken) -> usize {
    let (seats, tracker) = (Arc::new(Semaphore::new(attack.at_once)), TaskTracker::new());
    let mut rhythm = interval(Duration::from_secs(1) / attack.per_s.max(1));
    rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut begun = 0;
    for bytes in attack.sends.iter().cycle() {
        let next = async {
            rhythm.tick().await;
            Arc::clone(&seats).acquire_owned().await
        };
        let Some(Ok(place)) = stop.run_until_cancelled(next).await else { break };
        let (bytes, stop) = (Arc::clone(bytes), stop.clone());
        let within = if attack.lingers { LINGER } else { HURRY };
        begun += 1;
        tracker.spawn(async move {
            let connection = timeout(within, one(at, &bytes));
            // However it ends: the server may close whenever it has had enough.
            drop(stop.run_until_cancelled(connection).await);
            drop(place);
        });
    }
    tracker.close();
    tracker.wait().await;
    begun
}

/// Sends all of it, or as much as is taken, and reads until the server closes.
async fn one(at: SocketAddr, bytes: &[u8]) -> std::io::Result<()> {
    let (mut reading, mut writing) = TcpStream::connect(at).await?.into_split();
    let listening = async {
        let mut piece = [0; 4096];
        while reading.read(&mut piece).await.is_ok_and(|read| read > 0) {}
    };
    let sending = async {
        if writing.write_all(bytes).await.is_ok() {
            // Everything was taken: now it is the server's turn to close.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = listening => {}
        () = sending => {}
    }
    Ok(())
}
