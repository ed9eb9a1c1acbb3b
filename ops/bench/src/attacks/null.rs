//! A server that does nothing: the baseline for an attacker's own cost.

use std::io;
use tokio::net::TcpListener;

/// Accepts and closes connections until the listener fails.
///
/// # Errors
/// When nothing can be accepted any more.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        drop(listener.accept().await?);
    }
}
