//! The commands an operator types.

use crate::harness::program::{Home, spawned};
use crate::harness::upstream::simulator;
use claviger::simulator::Simulator;
use claviger::simulator::keys::{Scenario, key};
use serde_json::Value;
use std::process::Stdio;

pub(super) fn add_user(home: &Home) {
    let ran = home.run_with(
        &["user", "add", "ada", "--email", "ada@example.org", "--password-stdin"],
        "correct horse battery\n",
    );
    assert!(ran.assert_code(0).stdout.starts_with("made the account ada ("));
}

/// A command that finds the simulated upstream.
fn with_upstream<'a>(arguments: &[&'a str], upstream: &'a str) -> Vec<&'a str> {
    [arguments, &["--anthropic-base-url", upstream]].concat()
}

#[test]
fn a_directory_without_a_store_is_a_mistake_and_gets_none() {
    let home = Home::new();
    for command in [
        &["verify"][..],
        &["replay", "--all"],
        &["vault", "status"],
        &["vault", "rotate"],
        &["key", "list", "--user", "ada"],
        &["user", "list"],
    ] {
        home.run(command).assert_refused(12, &["NOT_FOUND", "--data-dir"]);
        assert!(!home.data().exists(), "{command:?} made something");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_adds_lists_tests_and_defaults_keys() {
    let (home, simulator) = (Home::new(), simulator().await);
    add_user(&home);
    tour(&home, &simulator);
    let report = home.verified();
    assert_eq!((&report["accounts"], &report["keys"]), (&Value::from(1), &Value::from(2)));
    let status = home.run(&["vault", "status"]);
    assert!(
        status.assert_code(0).stdout.contains("secrets sealed: 2; every canary opens"),
        "{status:?}"
    );
    let status = home.run(&["vault", "status", "--json"]);
    assert_eq!(status.assert_code(0).json()["secrets"], 2);
}

fn tour(home: &Home, simulator: &Simulator) {
    let url = simulator.base_url();
    let empty = home.run(&["key", "list", "--user", "ada"]);
    assert!(empty.assert_code(0).stdout.starts_with("no keys yet"));
    assert_eq!(
        home.run(&["key", "list", "--user", "ada", "--json"]).assert_code(0).json(),
        Value::Array(Vec::new())
    );

    let good = key(Scenario::Good, 1);
    let added =
        home.run_with(&["key", "add", "--user", "ada", "--name", "work"], &format!("{good}\n"));
    assert!(added.assert_code(0).stdout.contains("sk-ant-api03-goo..."), "{added:?}");
    let revoked = format!("  {}  \nand more\n", key(Scenario::Revoked, 2));
    let added = home.run_with(
        &["key", "add", "--user", "ada@example.org", "--name", "old", "--json"],
        &revoked,
    );
    let id = added.assert_code(0).json()["id"].as_str().unwrap().to_owned();
    assert_eq!(added.json()["isActive"], true);
    home.run_with(&["key", "add", "--user", "ada", "--name", "again"], &good)
        .assert_refused(15, &["DUPLICATE"]);

    let tested = home.run(&with_upstream(&["key", "test", "--user", "ada", "work"], &url));
    assert!(tested.assert_code(0).stdout.contains("success"), "{tested:?}");
    let tested = home.run(&with_upstream(
        &["key", "test", "--user", "ada", "work", "--level", "authentic", "--json"],
        &url,
    ));
    assert_eq!(tested.assert_code(0).json()["lastTest"]["authentic"], "yes");
    let tested = home.run(&with_upstream(&["key", "test", "--user", "ada", &id, "--json"], &url));
    assert_eq!(tested.assert_code(20).json()["lastTest"]["status"], "failed");

    home.run(&["key", "default", "--user", "ada", "old", "--context", "play"]).assert_code(0);
    let listed = home.run(&["key", "list", "--user", "ada", "--json"]).assert_code(0).json();
    let found: Vec<_> =
        listed.as_array().unwrap().iter().map(|key| (&key["name"], &key["defaultFor"])).collect();
    let (old, work) = (Value::from(vec!["play"]), Value::from(vec!["default"]));
    assert_eq!(found, [(&Value::from("old"), &old), (&Value::from("work"), &work)]);
    let listed = home.run(&["key", "list", "--user", "ada"]);
    assert_eq!(listed.assert_code(0).stdout.lines().count(), 3);
}

#[test]
fn what_is_wrong_on_standard_input_is_refused_and_not_repeated() {
    let home = Home::new();
    add_user(&home);
    let add = ["key", "add", "--user", "ada", "--name", "work"];
    let cases = [
        ("", "standard input"),
        ("\n", "standard input"),
        ("swordfish", "no Anthropic API key"),
        ("sk-ant-admin01-swordfishswordfish", "admin key"),
        ("sk-ant-oat01-swordfishswordfish", "OAuth token"),
        ("sk-ant-api03-swordfish swordfish", "character that no API key has"),
    ];
    for (stdin, words) in cases {
        let ran = home.run_with(&add, stdin);
        ran.assert_refused(13, &[words, "VALIDATION"]);
        assert!(!ran.stderr.contains("swordfish"), "{ran:?}");
    }
    let long = format!("sk-ant-api03-{}", "swordfish".repeat(100));
    home.run_with(&add, &long).assert_refused(13, &["longer than"]);
    let nobody = ["key", "add", "--user", "grace", "--name", "work"];
    home.run_with(&nobody, &key(Scenario::Good, 1))
        .assert_refused(12, &["no such user", "NOT_FOUND"]);
    home.run(&["key", "test", "--user", "ada", "nothing"]).assert_refused(12, &["no such key"]);
    home.run(&["key", "default", "--user", "ada", "nothing"]).assert_refused(12, &["no such key"]);
    assert_eq!(home.verified()["keys"], 0);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = Home::new();
    add_user(&home);
    for arguments in
        [&["key", "list", "--user", "ada"][..], &["schema"], &["simulate", "--keys"], &["verify"]]
    {
        let mut command = home.command(arguments);
        let mut child = spawned(&mut command, Stdio::null());
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(
            (ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

#[test]
fn the_schema_and_the_scenarios_need_no_store() {
    let home = Home::new();
    let schema = home.run(&["schema"]);
    assert_eq!(schema.assert_code(0).stdout.trim_end(), claviger_graphql::sdl().trim_end());
    let listed = home.run(&["simulate", "--keys"]);
    assert_eq!(listed.assert_code(0).stdout.lines().count(), Scenario::ALL.len() + 1);
    let listed = home.run(&["simulate", "--keys", "--json"]).assert_code(0).json();
    for (listed, scenario) in listed.as_array().unwrap().iter().zip(Scenario::ALL) {
        assert_eq!(listed["key"], key(*scenario, 1));
    }
    assert!(!home.data().exists());
}
