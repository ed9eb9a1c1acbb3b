//! An address that stays while the servers behind it come and go.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub(super) struct Relay {
    address: SocketAddr,
    to: Arc<Mutex<SocketAddr>>,
    _stop: DropGuard,
}

impl Relay {
    pub(super) async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, to) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(address_of(url))));
        let (stop, tasks, target) = (CancellationToken::new(), TaskTracker::new(), Arc::clone(&to));
        let (stopped, each) = (stop.clone(), tasks.clone());
        tasks.spawn(stopped.run_until_cancelled_owned(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let to = *target.lock().unwrap();
                each.spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(to).await {
                        drop(copy_bidirectional(&mut client, &mut server).await);
                    }
                });
            }
        }));
        Self { address, to, _stop: stop.drop_guard() }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections from here on lead to another server.
    pub(super) fn point_to(&self, url: &str) {
        *self.to.lock().unwrap() = address_of(url);
    }
}

fn address_of(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}
