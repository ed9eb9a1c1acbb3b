//! Secrets cross the socket, and are written nowhere.

use crate::harness::program::Home;
use crate::harness::upstream::NO_UPSTREAM;
use claviger::simulator::keys::{Scenario, key};

#[tokio::test]
async fn secrets_that_cross_the_socket_are_in_no_log() {
    let home = Home::new();
    home.run(&["user", "add", "ada", "--email", "ada@example.org"]).assert_code(0);
    let server = home.serve_with(NO_UPSTREAM, |command| {
        command.env("CLAVIGER_LOG", "trace");
    });
    let secret = key(Scenario::Good, 1);
    home.run_with(&["key", "add", "--user", "ada", "--name", "work"], &secret).assert_code(0);
    let bob = ["user", "add", "bob", "--email", "bob@example.org", "--password-stdin"];
    home.run_with(&bob, "swordfish and chips\n").assert_code(0);
    let reset = home.run(&["user", "password", "bob"]).assert_code(0).stdout.clone();
    let token = reset.lines().last().unwrap().to_owned();
    server.stop().await;
    let log = home.log();
    assert!(log.contains("a command of the operator"));
    for needle in [secret.as_str(), "swordfish", &token, "bob@example.org"] {
        assert!(!log.contains(needle), "{needle:?} is in the log");
    }
}
