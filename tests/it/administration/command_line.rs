//! The commands of the operator on accounts, on the store itself.

use crate::harness::program::{Home, Ran};
use crate::harness::stores::{StoreKind, TempPlace};
use crate::harness::world::TEST_KEY;
use serde_json::json;
use std::process::Command;

/// Runs commands on one store.
struct Operator {
    home: Home,
    describe: Box<dyn Fn(&mut Command)>,
}

impl Operator {
    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], stdin: &str) -> Ran {
        let mut command = self.home.command(arguments);
        (self.describe)(&mut command);
        Ran::of(command, stdin.as_bytes())
    }
}

#[tokio::test]
async fn the_operator_manages_accounts_without_a_server() {
    for kind in StoreKind::available().await {
        let place = TempPlace::new(*kind).await;
        let uri = place.uri().map(ToOwned::to_owned);
        let describe = move |command: &mut Command| {
            if let Some(uri) = &uri {
                command.env("CLAVIGER_MONGODB_URI", uri);
                command.env("CLAVIGER_MASTER_KEYS", TEST_KEY).env("CLAVIGER_TOKEN_KEY", TEST_KEY);
            }
        };
        let operator = Operator { home: Home::new(), describe: Box::new(describe) };
        accounts(&operator);
        refusals(&operator);
        operator.run(&["verify"]).assert_code(0);
        place.remove().await;
    }
}

fn accounts(operator: &Operator) {
    let add =
        ["user", "add", "ada", "--email", "ada@example.org", "--role", "admin", "--password-stdin"];
    let added = operator.run_with(&add, "a long password\n");
    assert!(added.assert_code(0).stdout.starts_with("made the account ada ("));
    let add = ["user", "add", "bob", "--email", "bob@example.org", "--json"];
    let bob = operator.run(&add).assert_code(0).json();
    assert!(
        bob["resetToken"].as_str().unwrap().len() > 60 && bob["resetTokenExpiresAt"].is_string()
    );
    let id = bob["id"].as_str().unwrap();

    let list = operator.run(&["user", "list"]).assert_code(0).stdout.clone();
    let lines: Vec<&str> = list.lines().collect();
    assert!(
        lines[0].starts_with("ID") && lines[1].contains("bob") && lines[2].contains("ada"),
        "{list}"
    );
    operator.run(&["user", "deactivate", "bob@example.org"]).assert_code(0);
    let listed = operator.run(&["user", "list", "--state", "deactivated", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(
        (&listed[0]["username"], &listed[0]["state"]),
        (&json!("bob"), &json!("deactivated"))
    );
    operator.run(&["user", "reactivate", id]).assert_code(0);
    assert_eq!(operator.run(&["user", "show", id, "--json"]).json()["state"], "active");

    let admin =
        operator.run(&["user", "role", "bob", "--grant", "admin"]).assert_code(0).stdout.clone();
    assert!(admin.starts_with("granted the role admin to bob ("), "{admin}");
    let revoked =
        operator.run(&["user", "role", "bob", "--revoke", "admin"]).assert_code(0).stdout.clone();
    assert!(revoked.starts_with("revoked the role admin of bob ("), "{revoked}");
    let again =
        operator.run(&["user", "role", "bob", "--revoke", "admin"]).assert_code(0).stdout.clone();
    assert!(again.starts_with("nothing was to be changed for bob ("), "{again}");
    let granted = operator.run(&["user", "role", "bob", "--grant", "auditor", "--json"]).json();
    assert_eq!(granted["roles"], json!(["user", "auditor"]));
    let revoked = operator.run(&["user", "role", "bob", "--revoke", "auditor", "--json"]).json();
    assert_eq!(revoked["roles"], json!(["user"]));
    let renamed = ["user", "rename", "bob", "--username", "rob", "--full-name", "Rob", "--json"];
    let renamed = operator.run(&renamed).assert_code(0).json();
    assert_eq!((&renamed["username"], &renamed["fullName"]), (&json!("rob"), &json!("Rob")));
    let token = operator.run(&["user", "password", "rob"]).assert_code(0).stdout.clone();
    assert!(token.lines().last().unwrap().len() > 60, "{token}");
    assert_eq!(operator.run(&["user", "sessions", "rob"]).assert_code(0).stdout, "no sessions\n");
    operator.run(&["user", "sessions", "rob", "--end-all"]).assert_code(0);
}

fn refusals(operator: &Operator) {
    operator.run(&["user", "deactivate", "ada"]).assert_refused(14, &["last active administrator"]);
    operator.run(&["user", "role", "ada", "--revoke", "admin"]).assert_refused(14, &["CONFLICT"]);
    for unknown in ["nobody", "nobody@example.org", "QWNjb3VudDp4"] {
        operator.run(&["user", "show", unknown]).assert_refused(12, &["no such user"]);
    }
    operator.run(&["user", "role", "ada", "--grant", "user"]).assert_refused(13, &["role user"]);
    operator.run(&["user", "rename", "ada"]).assert_refused(13, &["--username"]);
    operator.run(&["user", "rename", "ada", "--username", "rob"]).assert_refused(15, &["taken"]);
    for (flag, text, why) in [
        ("--username", "", "the username is empty: give 3 to 50 characters"),
        ("--username", "a", "the username has 1 character: give 3 to 50"),
        ("--email", "", "the e-mail address is empty: write it as name@example.org"),
        ("--email", "a", "the e-mail address isn't one: write it as name@example.org"),
        ("--full-name", " ", "the full name is empty: give 1 to 200 characters"),
    ] {
        operator.run(&["user", "rename", "ada", flag, text]).assert_refused(13, &[why]);
    }
    operator.run(&["user", "sessions", "ada", "--end", "x"]).assert_refused(12, &["session"]);
    operator.run(&["user", "role", "ada"]).assert_code(2);
}
