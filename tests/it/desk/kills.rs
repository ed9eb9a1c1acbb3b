//! Clients and servers that end in the middle of a command.

use super::bounds::{connected, key_of, request, said};
use crate::harness::program::{Going, Home, Server};
use crate::harness::upstream::NO_UPSTREAM;
use claviger::simulator::keys::{Scenario, key};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

/// An upstream that lets a test be there when it is called.
struct Upstream(TcpListener);

impl Upstream {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}", SocketAddr::to_string(&self.0.local_addr().unwrap()))
    }

    /// Somebody calls, and waits for the answer.
    async fn called(&self) -> TcpStream {
        self.0.accept().await.unwrap().0
    }
}

/// A server beside which a test of a key has begun.
async fn testing(home: &Home, upstream: &Upstream) -> (Server, Going, TcpStream) {
    home.run(&["user", "add", "ada", "--email", "ada@example.org"]).assert_code(0);
    let add = ["key", "add", "--user", "ada", "--name", "work"];
    home.run_with(&add, &key(Scenario::Good, 1)).assert_code(0);
    let server = home.serve(&upstream.url());
    let test = ["key", "test", "--user", "ada", "work", "--level", "authentic"];
    let going = Going::of(home.command(&test));
    let call = upstream.called().await;
    (server, going, call)
}

#[tokio::test]
async fn a_change_whose_client_is_killed_is_made_all_the_same() {
    let (home, upstream) = (Home::new(), Upstream::start().await);
    let (server, going, call) = testing(&home, &upstream).await;
    going.signal(Signal::KILL);
    assert_eq!(going.ended().await.code, None);
    // The server waits for the end of the test, and the test for its answer: none comes.
    server.signal(Signal::TERM);
    server.logged("stopping").await;
    drop((call, upstream));
    assert!(server.ended().await.0.success());
    let keys = home.run(&["key", "list", "--user", "ada", "--json"]).json();
    assert!(keys[0]["lastTest"]["at"].is_string(), "{keys}");
    home.verified();
}

#[tokio::test]
async fn a_server_that_is_killed_leaves_its_client_with_an_error() {
    let (home, upstream) = (Home::new(), Upstream::start().await);
    let (mut server, going, _call) = testing(&home, &upstream).await;
    server.kill();
    going.ended().await.assert_refused(26, &["went away", "look before", "TIMEOUT"]);
    home.verified();
    home.run(&["user", "list"]).assert_code(0);
}

/// What is answered to a client that wants no more from the start.
async fn given_up(home: &Home, server: &Server, operation: Value) -> Value {
    // It sees the request and its end at once.
    server.signal(Signal::STOP);
    let mut stream = connected(&home.data()).await;
    let ask = json!({"operation": operation, "json": false, "given": {}});
    let head =
        json!({"version": env!("CARGO_PKG_VERSION"), "key": key_of(&home.data()), "ask": ask});
    request(&mut stream, &head, "").await;
    stream.shutdown().await.unwrap();
    server.signal(Signal::CONT);
    said(&mut stream).await.pop().unwrap()
}

#[tokio::test]
async fn a_command_that_reads_ends_with_its_client_and_a_change_does_not() {
    let home = Home::new();
    home.run(&["user", "add", "ada", "--email", "ada@example.org"]).assert_code(0);
    let server = home.serve(NO_UPSTREAM);
    for operation in [json!({"Verify": {"live": true}}), json!("VaultStatus")] {
        let end = given_up(&home, &server, operation).await;
        assert_eq!(end["refused"]["code"], "SHUTTING_DOWN", "{end}");
    }
    let bob = json!({"name": "bob", "email": "bob@example.org", "role": "User", "full_name": null, "password_stdin": false});
    assert_eq!(given_up(&home, &server, json!({"User": {"Add": bob}})).await, json!({"end": 0}));
    home.run(&["user", "show", "bob"]).assert_code(0);
    server.stop().await;
}
