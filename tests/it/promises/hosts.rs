//! A page whose name was made to point here is no page of this server.

use crate::harness::client::{Answer, Client, plain};
use crate::harness::process::Process;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn serve(hosts: &str, origins: &str) -> (World, Process, SocketAddr) {
    let mut world = World::open(StoreKind::Sqlite).await;
    world.config.hosts = hosts.parse().unwrap();
    world.config.origins = origins.parse().unwrap();
    let server = world.serve().await;
    let address = server.address();
    (world, server, address)
}

/// The answer to these bytes, as far as it comes before the connection ends or says enough.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn register() -> Value {
    let input = json!({ "username": "eve", "email": "eve@example.org", "password": "long enough" });
    let query = "mutation($i: RegisterInput!) { register(input: $i) { accessToken } }";
    json!({ "query": query, "variables": { "i": input } })
}

#[tokio::test]
async fn a_rebound_page_is_refused_on_every_path_and_registers_nobody() {
    let (world, server, address) = serve("", "").await;
    // As a browser does once the name of the page points to this machine.
    for http in [plain(), plain().http2_prior_knowledge()] {
        let http = http.resolve("evil.example", address).build().unwrap();
        let url = format!("http://evil.example:{}", address.port());
        let origin = ("origin", url.as_str());
        let post = http.post(format!("{url}/graphql")).header(origin.0, origin.1);
        let answer = Answer::of(post.json(&register())).await;
        assert_eq!(answer.status, 421, "{}", answer.text);
        assert!(answer.text.contains("CLAVIGER_HOSTS"), "{}", answer.text);
        assert!(!answer.text.contains("evil"), "{}", answer.text);
        for path in ["/", "/graphql?query={__typename}", "/graphiql", "/health", "/none"] {
            assert_eq!(Answer::of(http.get(format!("{url}{path}"))).await.status, 421, "{path}");
        }
        let preflight = http.request(reqwest::Method::OPTIONS, format!("{url}/graphql"));
        let preflight = preflight.header(origin.0, origin.1);
        let preflight = preflight.header("access-control-request-method", "POST");
        assert_eq!(Answer::of(preflight).await.status, 421);
    }
    let upgrade = raw(
        address,
        "GET /graphql HTTP/1.1\r\nhost: evil.example\r\norigin: http://evil.example\r\n\
         upgrade: websocket\r\nconnection: upgrade, close\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: graphql-transport-ws\r\n\r\n",
    )
    .await;
    assert!(upgrade.starts_with("HTTP/1.1 421 "), "{upgrade}");
    assert_eq!(server.store.head().await.unwrap().position, 0, "nobody was registered");
    server.stop().await;
    world.close().await;
}

#[tokio::test]
async fn the_servers_own_names_are_answered_and_so_are_checks_without_a_name() {
    let (world, server, address) = serve("keys.example.org", "https://app.example.org").await;
    let port = address.port();
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        ("[::1]".to_owned(), 200),
        ("keys.example.org".to_owned(), 200),
        ("KEYS.example.org.:443".to_owned(), 200),
        ("app.example.org".to_owned(), 200),
        ("other.example.org".to_owned(), 421),
        ("10.1.2.3".to_owned(), 421),
        (String::new(), 400),
    ] {
        let request = format!("GET /health HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = raw(address, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host:?}: {answer}");
    }
    let old = raw(address, "GET /health HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 "), "a load balancer's check: {old}");
    let nameless = raw(address, "GET /health HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(nameless.starts_with("HTTP/1.1 400 "), "{nameless}");
    let twice = "GET /health HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert!(raw(address, twice).await.starts_with("HTTP/1.1 400 "));
    let absolute =
        "GET http://evil.example/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert!(raw(address, absolute).await.starts_with("HTTP/1.1 421 "));
    // The own origin is that of a host that passed.
    let page = Client::new(&format!("http://{address}")).to_graphql();
    let page = page.header("host", "keys.example.org").header("origin", "https://keys.example.org");
    assert_eq!(Answer::of(page.json(&register())).await.status, 200);
    server.stop().await;
    world.close().await;
}
