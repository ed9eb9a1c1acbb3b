//! A server that does nothing: what an attacker costs by being there.

use std::io;
use tokio::net::TcpListener;

/// Accepts and closes until the listener fails.
///
/// # Errors
/// When nothing can be accepted any more.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        drop(listener.accept().await?);
    }
}
