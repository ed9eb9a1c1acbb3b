//! The attacker, with bounds on its connections and on how many it starts per second.

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

/// Timeout of a connection.
const HURRY: Duration = Duration::from_secs(5);
/// The timeout of a lingering connection: longer than the server keeps it open.
const LINGER: Duration = Duration::from_secs(30);

/// Attacks until stopped. Returns how many connections were started.
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
            // Any outcome is fine: the server may close at any time.
            drop(stop.run_until_cancelled(connection).await);
            drop(place);
        });
    }
    tracker.close();
    tracker.wait().await;
    begun
}

/// Sends as much as the server accepts, and reads until it closes.
async fn one(at: SocketAddr, bytes: &[u8]) -> std::io::Result<()> {
    let (mut reading, mut writing) = TcpStream::connect(at).await?.into_split();
    let listening = async {
        let mut piece = [0; 4096];
        while reading.read(&mut piece).await.is_ok_and(|read| read > 0) {}
    };
    let sending = async {
        if writing.write_all(bytes).await.is_ok() {
            // Everything was sent: wait for the server to close.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = listening => {}
        () = sending => {}
    }
    Ok(())
}
