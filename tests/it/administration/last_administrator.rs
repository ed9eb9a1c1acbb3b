//! The last active administrator stays one, whoever acts and however many act at once.

use super::stage::{Stage, account_of, operator, refusal, user_of};
use crate::harness::client::Client;
use crate::harness::dice::number;
use crate::harness::stores::StoreKind;
use claviger_application::AccountChange;
use claviger_domain::actor::Role;
use claviger_domain::code::ErrorCode;
use futures::future::join_all;
use serde_json::{Value, json};

async fn administrators(client: &Client) -> usize {
    let query = "{ admin { accounts(states: [ACTIVE]) { nodes { roles } } } }";
    let data = client.ask(query, json!({})).await;
    let nodes = data["admin"]["accounts"]["nodes"].as_array().unwrap();
    let is_one = |node: &&Value| node["roles"].as_array().unwrap().contains(&json!("ADMIN"));
    nodes.iter().filter(is_one).count()
}

#[tokio::test]
async fn the_last_administrator_cannot_be_removed_by_themselves_or_the_operator() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let root = stage.with_role("root", Role::Admin).await;
        let (id, user) = (account_of(&root).await, user_of(&root).await);
        for (mutation, input) in [
            ("deactivateAccount", json!({ "id": id })),
            ("revokeRole", json!({ "id": id, "role": "ADMIN" })),
        ] {
            assert_eq!(refusal(&root.run(mutation, input).await), "CONFLICT", "{mutation}");
        }
        let administration = &stage.servers[0].ports.administration;
        for change in [AccountChange::Deactivate, AccountChange::Revoke(Role::Admin)] {
            let refused = administration.change(operator(user), change, None).await;
            assert_eq!(refused.err().unwrap().code, ErrorCode::Conflict);
        }
        // One who can't sign in doesn't count.
        let new = json!({ "username": "grace", "email": "grace@example.org", "roles": ["ADMIN"] });
        let grace = root.done("createAccount", new).await;
        let resign = json!({ "id": id, "role": "ADMIN" });
        assert_eq!(refusal(&root.run("revokeRole", resign.clone()).await), "CONFLICT");
        let input = json!({ "token": grace["resetToken"], "newPassword": "a long password" });
        stage.nobody().done("resetPassword", input).await;
        root.done("revokeRole", resign).await;
        stage.close().await;
    }
}

/// Every administrator removes the next one, all at once and on both processes: one remains, each
/// time. The long form: `CLAVIGER_TEST_RACES=100 cargo test --test it
/// administration::last_administrator`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_administrators_who_remove_each_other_at_once_one_remains() {
    for kind in StoreKind::available().await {
        let stage = Stage::open(*kind).await;
        let mut all = Vec::new();
        for n in 0..4 {
            let client = stage.with_role(&format!("root{n}"), Role::Admin).await;
            all.push((account_of(&client).await, user_of(&client).await, client));
        }
        for round in 0..number("CLAVIGER_TEST_RACES").unwrap_or(3) {
            let racing = all.iter().enumerate().map(|(n, (.., client))| {
                let (next, ..) = &all[(n + 1) % all.len()];
                let client = if n % 2 == 0 { client.clone() } else { stage.elsewhere(client) };
                async move {
                    let input = json!({ "id": next, "role": "ADMIN" });
                    client.send_mutation("revokeRole", input).await
                }
            });
            join_all(racing).await;
            let mut left = Vec::new();
            for (.., client) in &all {
                let answer =
                    client.send("{ admin { account(id: \"x\") { id } } }", json!({})).await;
                if answer.code().is_empty() {
                    left.push(client);
                }
            }
            let first = left.first().expect("one administrator is left");
            assert_eq!(administrators(first).await, left.len(), "round {round}");
            for (_, user, _) in &all {
                stage.by_operator(*user, AccountChange::Grant(Role::Admin)).await;
            }
        }
        stage.close().await;
    }
}
