//! What a server does that nobody configured, alone and where others reach it.

use crate::harness::client::Client;
use crate::harness::program::{Home, Ran};
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::credentials::Sharing;
use claviger::simulator::keys::{Scenario, key};
use claviger_domain::secret::SecretText;
use serde_json::json;

#[test]
fn a_server_that_others_reach_does_not_start_before_it_is_said_who_may_register() {
    let home = Home::new();
    for (variable, value) in [
        ("CLAVIGER_TRUSTED_PROXIES", "127.0.0.1"),
        ("CLAVIGER_ORIGINS", "https://app.example.org"),
        ("CLAVIGER_HOSTS", "app.example.org"),
        ("CLAVIGER_JWKS_URL", "https://login.example.org/keys"),
    ] {
        let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.env(variable, value);
        if variable == "CLAVIGER_JWKS_URL" {
            command.env("CLAVIGER_JWKS_ISSUER", "https://login.example.org");
            command.env("CLAVIGER_JWKS_AUDIENCE", "claviger");
        }
        let ran = Ran::of(command, b"");
        ran.assert_refused(13, &["registration must be set", "CLAVIGER_REGISTRATION"]);
    }
    assert!(!home.data().exists(), "nothing was made");
    // Commands that let nobody register need no such word.
    let mut command =
        home.command(&["user", "add", "ada", "--email", "ada@example.org", "--password-stdin"]);
    command.env("CLAVIGER_TRUSTED_PROXIES", "127.0.0.1");
    Ran::of(command, b"long enough\n").assert_code(0);
}

#[test]
fn max_plan_for_everybody_is_refused_where_others_reach_the_server() {
    let home = Home::new();
    let mut command = home.command(&["serve", "--listen", "0.0.0.0:0", "--max-plan-for", "all"]);
    command.env("CLAVIGER_MAX_PLAN", "true").env("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-x");
    let ran = Ran::of(command, b"");
    ran.assert_refused(13, &["max_plan_for must be admins or none"]);
}

#[tokio::test]
async fn the_operators_credentials_are_under_one_policy_and_the_resolution_says_so() {
    for (sharing, words) in [
        (Sharing::Admins, Some("the operator allows it for administrators only")),
        (Sharing::Nobody, Some("the operator allows it for nobody")),
        (Sharing::All, None),
    ] {
        let mut world = World::open(StoreKind::Sqlite).await;
        world.config.anthropic_api_key = Some(SecretText::new(key(Scenario::Good, 90)));
        world.config.claude_api_key = Some(SecretText::new(key(Scenario::Good, 91)));
        world.config.max_plan = true;
        (world.config.env_keys_for, world.config.max_plan_for) = (sharing, sharing);
        let server = world.serve().await;
        let ada = Client::register(&format!("http://{}", server.address()), "ada").await;
        let query = "{ viewer { resolution { candidates { source chosen reason } } } }";
        let found = ada.ask(query, json!({})).await["viewer"]["resolution"]["candidates"].take();
        let operators: Vec<_> = found.as_array().unwrap().iter().skip(1).collect();
        assert_eq!(operators.len(), 3, "{found}");
        for candidate in &operators {
            match words {
                Some(words) => {
                    let (chosen, reason) = (&candidate["chosen"], &candidate["reason"]);
                    assert_eq!((chosen, reason), (&json!(false), &json!(words)), "{candidate}");
                }
                None => assert!(!candidate["reason"].to_string().contains("allows"), "{candidate}"),
            }
        }
        assert_eq!(operators[0]["chosen"], json!(words.is_none()));
        server.stop().await;
        world.close().await;
    }
}
