//! `claviger replay`, as an operator runs it.

use super::command_line::add_user;
use crate::harness::program::Home;
use claviger::simulator::keys::{Scenario, key};
use rusqlite::Connection;
use serde_json::Value;

/// Spoils the view of keys in the file itself.
fn spoil(home: &Home) {
    let file = Connection::open(home.data().join("claviger.db")).unwrap();
    assert_eq!(
        file.execute("UPDATE views SET facts = x'7b7d' WHERE view = 'keys'", []).unwrap(),
        1
    );
}

#[test]
fn an_operator_finds_a_damaged_view_and_mends_it() {
    let home = Home::new();
    add_user(&home);
    home.run_with(&["key", "add", "--user", "ada", "--name", "work"], &key(Scenario::Good, 1))
        .assert_code(0);
    let all = ["replay", "--all", "--check", "--json"];
    let clean = home.run(&all).assert_code(0).json();
    let found: Vec<_> = clean
        .as_array()
        .unwrap()
        .iter()
        .map(|report| (report["view"].clone(), report["owners"].clone()))
        .collect();
    let views = ["keys", "accounts", "runs", "open_runs", "activity", "usage"];
    assert_eq!(found, views.map(|view| (Value::from(view), Value::from(1))));

    spoil(&home);
    home.run(&["verify"]).assert_code(1);
    let checked = home.run(&["replay", "keys", "--check"]);
    assert!(checked.assert_code(1).stdout.contains("keys: 1 owners, 1 differed\n"), "{checked:?}");
    assert!(checked.stdout.contains(": differs"), "{checked:?}");
    home.run(&["replay", "accounts", "--check"]).assert_code(0);
    let mended = home.run(&["replay", "keys"]);
    assert!(
        mended.assert_code(0).stdout.contains("keys: 1 owners, 1 differed, 1 repaired\n"),
        "{mended:?}"
    );

    assert_eq!(home.verified()["keys"], 1);
    assert_eq!(home.run(&all).assert_code(0).json()[0]["differing_count"], 0);
    let again = home.run(&["replay", "--all", "--json"]).assert_code(0).json();
    assert_eq!(again[0]["position"], Value::Null, "a repair of nothing leaves no event");
    let listed = home.run(&["key", "list", "--user", "ada", "--json"]).assert_code(0).json();
    assert_eq!(listed[0]["name"], "work");
}

#[test]
fn a_replay_names_the_arguments_it_needs() {
    let home = Home::new();
    for arguments in [&["replay"][..], &["replay", "sessions"], &["replay", "keys", "--all"]] {
        assert_eq!(home.run(arguments).assert_code(2).stdout, "", "{arguments:?}");
    }
}
