//! Stopping in order, and not letting a second process in.

use super::orders::Order;
use crate::harness::client::Client;
use crate::harness::program::{Home, Ran, spawned};
use crate::harness::upstream::{NO_UPSTREAM, simulator};
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Fault};
use futures::future::join;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_answers_what_it_has_begun() {
    let (home, simulator) = (Home::new(), simulator().await);
    let server = home.serve(&simulator.base_url());
    let account = Client::register(server.url(), "ada").await;
    let secret = key(Scenario::Good, 1);
    let id = account.add("work", &secret).await;
    simulator.script().push(&secret, Act::Fault(Fault::Hang));

    let test = Order::new("testKey", json!({ "id": id, "level": "AUTHENTIC" }));
    let stopping = async {
        simulator.counts().wait(|counts| counts.open() == 1).await;
        server.signal(Signal::TERM);
        server.logged("stopping").await;
        let refused = account.apart().try_send("{ viewer { id } }", &json!({})).await;
        assert!(refused.is_none(), "a new connection is taken while the server stops");
        simulator.stop().await;
    };
    let (payload, ()) = join(account.command(&test), stopping).await;
    assert_eq!(payload.done().events().len(), 2, "the end of the test is committed");
    let (status, _) = server.ended().await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(home.verified()["events"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once_and_the_store_survives() {
    let (home, simulator) = (Home::new(), simulator().await);
    let server = home.serve(&simulator.base_url());
    let account = Client::register(server.url(), "ada").await;
    let id = account.add("hangs", &key(Scenario::Hang, 1)).await;
    let test = Order::new("testKey", json!({ "id": id }));
    let stopping = async {
        simulator.counts().wait(|counts| counts.open() == 1).await;
        server.signal(Signal::TERM);
        server.logged("stopping").await;
        server.signal(Signal::INT);
    };
    let (answer, ()) = join(account.try_command(&test), stopping).await;
    assert!(answer.is_none());
    assert_eq!(server.ended().await.0.code(), Some(130));
    home.verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_served_is_refused_to_others_and_its_holder_named() {
    let home = Home::new();
    let server = home.serve(NO_UPSTREAM);
    let holder = format!("claviger serve (process {}", server.id());
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["verify"]] {
        home.run(arguments).assert_refused(27, &["in use by", &holder, "STORE_UNAVAILABLE"]);
    }
    let json = home.run(&["verify", "--json"]);
    json.assert_refused(27, &[]);
    let error: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(error["error"]["code"], "STORE_UNAVAILABLE");
    Client::register(server.url(), "ada").await;
    server.stop().await;
    home.verified();
}

#[test]
fn a_demo_interrupted_at_any_line_ends_in_order_and_removes_its_store() {
    for lines in [0, 1, 3, 5, 8] {
        let home = Home::new();
        let mut command = home.command(&["demo", "--listen", "127.0.0.1:0"]);
        command.env("TMPDIR", home.work());
        let mut child = spawned(&mut command, Stdio::null());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        for _ in 0..=lines {
            stdout.read_line(&mut said).unwrap();
        }
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        stdout.read_to_string(&mut said).unwrap();
        let ended = child.wait_with_output().unwrap();
        let log = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(0), "{said} {log}");
        assert!(!log.contains("error"), "{log}");
        assert_eq!(
            std::fs::read_dir(home.work()).unwrap().count(),
            0,
            "the demo's store is left after {lines} lines"
        );
    }
}

#[test]
fn the_demo_tours_to_its_end() {
    let home = Home::new();
    let mut command = home.command(&["demo", "--exit", "--listen", "127.0.0.1:0"]);
    command.env("TMPDIR", home.work());
    let ran = Ran::of(command, b"");
    ran.assert_code(0);
    assert!(ran.stdout.contains(" 0 problems"), "{ran:?}");
    assert_eq!(std::fs::read_dir(home.work()).unwrap().count(), 0);
}
