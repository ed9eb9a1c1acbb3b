//! Calls through a proxy that the operator names.

use super::{LEVELS, leaks, secret};
use crate::harness::environment::NOW;
use crate::harness::upstream::simulator;
use claviger::anthropic::client::{AnthropicClient, AnthropicConfig, ClientError};
use claviger::anthropic::prices::PriceTable;
use claviger::anthropic::probe::KeyProbe;
use claviger::anthropic::proxy::UpstreamProxy;
use claviger::simulator::keys::{Scenario, key};
use claviger_domain::key_test::{KeyTestLevel, KeyTestStatus};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

/// How a proxy of the tests treats its clients.
#[derive(Clone, Copy)]
enum Kind {
    /// Passes requests on, and refuses tunnels.
    Http,
    Socks,
}

/// A proxy, and what its clients said first.
struct TestProxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl TestProxy {
    async fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, heads) = (listener.local_addr().unwrap(), Arc::<Mutex<_>>::default());
        let (seen, tasks) = (Arc::clone(&heads), TaskTracker::new());
        tasks.clone().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                tasks.spawn(async move {
                    match kind {
                        Kind::Http => pass_on(stream, &seen).await,
                        Kind::Socks => socks(stream, &seen).await,
                    }
                });
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn pass_on(mut client: TcpStream, heads: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let text = String::from_utf8(head.clone()).unwrap();
    let target = text.split_once("http://").and_then(|(_, rest)| rest.split_once('/'));
    let target = target.map(|(host, _)| host.to_owned());
    heads.lock().unwrap().push(text);
    let Some(target) = target else {
        let refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        return client.write_all(refusal).await.unwrap();
    };
    let mut server = TcpStream::connect(target).await.unwrap();
    server.write_all(&head).await.unwrap();
    drop(copy_bidirectional(&mut client, &mut server).await);
}

async fn socks(mut client: TcpStream, heads: &Mutex<Vec<String>>) {
    let (mut greeting, mut request) = ([0; 2], [0; 10]);
    client.read_exact(&mut greeting).await.unwrap();
    let mut methods = vec![0; usize::from(greeting[1])];
    client.read_exact(&mut methods).await.unwrap();
    client.write_all(&[5, 0]).await.unwrap();
    client.read_exact(&mut request).await.unwrap();
    let [5, 1, 0, 1, a, b, c, d, high, low] = request else { panic!("{request:?}") };
    let target = SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low])));
    heads.lock().unwrap().push(target.to_string());
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    let mut server = TcpStream::connect(target).await.unwrap();
    drop(copy_bidirectional(&mut client, &mut server).await);
}

fn through(proxy: &str, base_url: &str) -> Result<KeyProbe, ClientError> {
    let proxy: UpstreamProxy = proxy.parse().unwrap();
    let config = AnthropicConfig {
        base_url: base_url.to_owned(),
        call_timeout: Duration::from_secs(20),
        proxy: Some(proxy),
        ..AnthropicConfig::default()
    };
    assert!(!format!("{config:?}").contains("swordfish"));
    let client = AnthropicClient::new(&config)?;
    Ok(KeyProbe::new(client, Arc::new(PriceTable::builtin().unwrap())))
}

#[tokio::test]
async fn every_call_goes_through_the_proxy_that_is_named() {
    for kind in [Kind::Http, Kind::Socks] {
        let (proxy, simulator) = (TestProxy::start(kind).await, simulator().await);
        let named = match kind {
            Kind::Http => format!("http://user:swordfish@{}", proxy.address),
            Kind::Socks => format!("socks5://{}", proxy.address),
        };
        let probe = through(&named, &simulator.base_url()).unwrap();
        for level in LEVELS {
            let key = key(Scenario::Good, 1);
            let outcome = probe.test(&secret(&key), level, None, NOW).await;
            assert_eq!(outcome.verdict.status, KeyTestStatus::Success, "{:?}", outcome.verdict);
        }
        let heads = proxy.heads();
        assert!(!heads.is_empty());
        for head in heads {
            match kind {
                // "user:swordfish" in base64.
                Kind::Http => assert!(
                    head.contains(&simulator.base_url())
                        && head.contains("proxy-authorization: Basic dXNlcjpzd29yZGZpc2g="),
                    "{head}"
                ),
                Kind::Socks => assert_eq!(head, simulator.address().to_string()),
            }
        }
    }
}

#[tokio::test]
async fn a_proxy_sees_no_key_and_what_it_refuses_is_inconclusive() {
    let proxy = TestProxy::start(Kind::Http).await;
    let named = format!("http://user:swordfish@{}", proxy.address);
    let probe = through(&named, "https://api.example.org").unwrap();
    let key = key(Scenario::Good, 1);
    let outcome = probe.test(&secret(&key), KeyTestLevel::Authentic, None, NOW).await;
    assert_eq!(outcome.verdict.status, KeyTestStatus::Inconclusive);
    let shown = format!("{outcome:?}");
    assert!(!shown.contains("swordfish") && !leaks(&key, &shown), "{shown}");
    let heads = proxy.heads();
    assert!(heads[0].starts_with("CONNECT api.example.org:443 "), "{heads:?}");
    assert!(heads.iter().all(|head| !head.contains("sk-ant") && !leaks(&key, head)));
}

#[tokio::test]
async fn keys_do_not_leave_this_machine_unencrypted_to_a_proxy() {
    let simulator = simulator().await;
    for proxy in ["http://10.0.0.1:3128", "socks5://proxy:1080", "https://proxy"] {
        let refused = through(proxy, &simulator.base_url()).err();
        assert!(matches!(refused, Some(ClientError::Plaintext)), "{proxy}");
    }
}
