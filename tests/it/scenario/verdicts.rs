//! The verdict of a test of a key, for every answer that Anthropic may give.

use super::stage::{Stage, on_every_store};
use crate::harness::stores::StoreKind;
use claviger::simulator::keys::{Scenario, key};
use serde_json::{Value, json};

type Row = (&'static str, &'static str, &'static str, &'static str, Option<u16>);

/// Status, authentic, credit, model, and Anthropic's HTTP status, at the level FULL.
fn expected(scenario: Scenario) -> Row {
    let nothing = |status| ("INCONCLUSIVE", "UNKNOWN", "UNKNOWN", "UNKNOWN", status);
    match scenario.name() {
        "revoked" => ("FAILED", "NO", "UNKNOWN", "UNKNOWN", Some(401)),
        "no-credit-402" => ("FAILED", "YES", "NO", "UNKNOWN", Some(402)),
        "no-credit-400" | "spend-limit-400" | "workspace-limit-400" | "on-hold" => {
            ("FAILED", "YES", "NO", "UNKNOWN", Some(400))
        }
        "spend-limit-429" | "contract-limit-429" => ("FAILED", "YES", "NO", "UNKNOWN", Some(429)),
        "forbidden-model" => ("FAILED", "YES", "UNKNOWN", "NO", Some(403)),
        "unknown-model" => ("FAILED", "YES", "UNKNOWN", "NO", Some(404)),
        "rate-limited" | "rate-limited-date" | "rate-limited-reset" => {
            ("INCONCLUSIVE", "YES", "UNKNOWN", "UNKNOWN", Some(429))
        }
        "conflict" => nothing(Some(409)),
        "too-large" => nothing(Some(413)),
        "bad-request" | "echo" => nothing(Some(400)),
        "server-500" => nothing(Some(500)),
        "server-503" => nothing(Some(503)),
        "server-504" => nothing(Some(504)),
        "overloaded" | "flaky" => nothing(Some(529)),
        "cut" | "wrong-type" | "garbage" | "huge" => nothing(Some(200)),
        "redirect" => nothing(Some(302)),
        "reset" | "hang" => nothing(None),
        _ => ("SUCCESS", "YES", "YES", "YES", Some(200)),
    }
}

fn assert_row(test: &Value, scenario: Scenario) {
    let (status, authentic, credit, model, upstream) = expected(scenario);
    let row = json!([
        test["status"],
        test["authentic"],
        test["hasCredit"],
        test["modelAllowed"],
        test["upstreamStatus"]
    ]);
    assert_eq!(
        row,
        json!([status, authentic, credit, model, upstream]),
        "{}: {test}",
        scenario.name()
    );
    assert!(
        upstream != Some(429) || status == "FAILED" || test["rateLimitedUntil"].is_string(),
        "{}: {test}",
        scenario.name()
    );
    assert!(test["message"].as_str().unwrap().len() > 10, "{test}");
}

#[tokio::test]
async fn every_answer_gives_its_verdict_by_one_call() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        for scenario in Scenario::ALL.iter().copied().filter(|scenario| *scenario != Scenario::Hang)
        {
            let secret = key(scenario, 1);
            let id = ada.add(scenario.name(), &secret).await;
            let version = ada.key(&id).await["version"].clone();
            let answer = ada.send_mutation("testKey", json!({ "id": id })).await;
            let tested = answer.data()["testKey"].clone();
            assert_eq!(tested["userErrors"], json!([]), "{}", scenario.name());
            assert_row(&tested["key"]["lastTest"], scenario);
            assert_eq!(tested["key"]["version"], version);
            assert_eq!(stage.simulator().counts().of_key(&secret), 1, "{}", scenario.name());
            let history =
                ada.send("{ viewer { history(first: 2) { nodes { ...H } } } }", json!({})).await;
            for text in [answer.text, history.text] {
                assert!(
                    !text.contains(secret.get(60..72).unwrap()),
                    "{} leaks its key",
                    scenario.name()
                );
            }
            ada.done("deleteKey", json!({ "id": id })).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_cheaper_levels_ask_less_and_say_less() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        for (scenario, level, row) in [
            (Scenario::NoCredit400, "AUTHENTIC", json!(["SUCCESS", "YES", "UNKNOWN", "UNKNOWN"])),
            (Scenario::NoCredit400, "MODEL", json!(["SUCCESS", "YES", "UNKNOWN", "YES"])),
            (
                Scenario::ForbiddenModel,
                "AUTHENTIC",
                json!(["SUCCESS", "YES", "UNKNOWN", "UNKNOWN"]),
            ),
            (Scenario::ForbiddenModel, "MODEL", json!(["FAILED", "YES", "UNKNOWN", "NO"])),
            (Scenario::Revoked, "AUTHENTIC", json!(["FAILED", "NO", "UNKNOWN", "UNKNOWN"])),
            (
                Scenario::Overloaded,
                "AUTHENTIC",
                json!(["INCONCLUSIVE", "UNKNOWN", "UNKNOWN", "UNKNOWN"]),
            ),
        ] {
            let id = ada.add("work", &key(scenario, 1)).await;
            let test =
                ada.done("testKey", json!({ "id": id, "level": level })).await["key"]["lastTest"]
                    .clone();
            assert_eq!(
                json!([test["status"], test["authentic"], test["hasCredit"], test["modelAllowed"]]),
                row,
                "{level}: {test}"
            );
            ada.done("deleteKey", json!({ "id": id })).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_inactive_or_expired_key_can_be_tested() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let input = json!({ "name": "old", "secret": key(Scenario::Good, 1), "expiresAt": stage.in_ms(1_000) });
        let id = ada.done("addKey", input).await["key"]["id"].clone();
        ada.done("deactivateKey", json!({ "id": id })).await;
        stage.advance_ms(1_000);
        assert_eq!(ada.done("testKey", json!({ "id": id })).await["key"]["lastTest"]["status"], "SUCCESS");
    })
    .await;
}

#[tokio::test]
async fn nobody_at_anthropics_address_proves_nothing_about_the_key() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Good, 1)).await;
        stage.stop_simulator().await;
        let tested = ada.done("testKey", json!({ "id": id })).await;
        assert_eq!(
            (&tested["key"]["lastTest"]["status"], &tested["key"]["lastTest"]["upstreamStatus"]),
            (&json!("INCONCLUSIVE"), &Value::Null)
        );
    })
    .await;
}

#[tokio::test]
async fn no_answer_in_time_proves_nothing_about_the_key() {
    for kind in StoreKind::available().await {
        let stage = Stage::with(*kind, |config| config.test_timeout_ms = 50).await;
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Hang, 1)).await;
        assert_row(
            &ada.done("testKey", json!({ "id": id })).await["key"]["lastTest"],
            Scenario::Hang,
        );
        stage.close().await;
    }
}
