//! Tests of keys that something comes between: a crash, another secret, a deletion.

use super::stage::{Stage, on_every_store};
use claviger::simulator::counts::Endpoint;
use claviger::simulator::keys::{Scenario, key};
use serde_json::{Value, json};

/// A test's timeout and the grace after it, until it counts as abandoned.
const ABANDONED_MS: u64 = 25_000;

const TESTS: &str = "{ viewer { history(first: 2, types: [\"KeyTestStarted\", \"KeyTested\"]) { nodes { ...H } } } }";

#[tokio::test]
async fn a_test_cut_by_a_crash_is_closed_and_its_repeat_answered() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let secret = key(Scenario::Hang, 1);
        let id = ada.add("work", &secret).await;
        let input = json!({ "id": id, "idempotencyKey": "once" });
        let counts = stage.simulator().counts();
        let cut = ada.send_mutation("testKey", input.clone());
        let crash = async {
            counts.wait(|counts| counts.of(&secret, Endpoint::Messages) == 1).await;
            stage.crash().await;
        };
        tokio::select! {
            answer = cut => panic!("answered before the crash: {answer:?}"),
            () = crash => {}
        }

        let ada = stage.nobody().with_token(ada.token());
        assert_eq!(ada.last_events(1).await, ["KeyTestStarted"], "the intent survived");
        let head = stage.head().await;
        stage.tick().await;
        stage.advance_ms(ABANDONED_MS - 1);
        stage.tick().await;
        assert_eq!(
            (stage.head().await, &ada.key(&id).await["lastTest"]),
            (head, &Value::Null),
            "it may still be under way"
        );
        stage.advance_ms(1);
        let (answer, ()) = tokio::join!(ada.done("testKey", input.clone()), stage.tick());
        assert_eq!(answer["commit"]["replayed"], true);
        let test = &answer["key"]["lastTest"];
        assert_eq!(
            (&test["status"], &test["authentic"], &test["upstreamStatus"]),
            (&json!("INCONCLUSIVE"), &json!("UNKNOWN"), &Value::Null)
        );
        assert!(test["message"].as_str().unwrap().contains("test it again"));
        let events = ada.ask(TESTS, json!({})).await["viewer"]["history"]["nodes"].clone();
        assert_eq!(
            (&events[0]["type"], &events[0]["actor"]["via"]),
            (&json!("KeyTested"), &json!("timer"))
        );
        assert_eq!(answer["commit"]["eventIds"], json!([events[1]["id"], events[0]["id"]]));
        stage.tick().await;
        assert_eq!(stage.head().await, head + 1, "it is closed once");
        assert_eq!(ada.done("testKey", input).await["commit"], answer["commit"]);
        assert_eq!(counts.total(), 1, "nobody asked again");
    })
    .await;
}

#[tokio::test]
async fn everything_survives_a_crash() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let input =
            json!({ "name": "work", "secret": key(Scenario::Good, 1), "idempotencyKey": "once" });
        let added = ada.done("addKey", input.clone()).await;
        let before = stage.state_of(&ada).await;
        stage.crash().await;
        let ada = stage.nobody().with_token(ada.token());
        assert_eq!(stage.state_of(&ada).await, before, "the session too");
        let repeat = ada.done("addKey", input).await;
        assert_eq!((&repeat["key"], &repeat["commit"]["replayed"]), (&added["key"], &json!(true)));
        let tested = ada.done("testKey", json!({ "id": added["key"]["id"] })).await;
        assert_eq!(tested["key"]["lastTest"]["status"], "SUCCESS", "the secret opens");
    })
    .await;
}

#[tokio::test]
async fn the_verdict_on_a_secret_that_was_replaced_meanwhile_doesnt_show() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let secret = key(Scenario::Hang, 1);
        let id = ada.add("work", &secret).await;
        let counts = stage.simulator().counts();
        let replace = async {
            counts.wait(|counts| counts.of(&secret, Endpoint::Messages) == 1).await;
            ada.done("replaceKeySecret", json!({ "id": id, "secret": key(Scenario::Good, 2) }))
                .await;
            stage.stop_simulator().await;
        };
        let (tested, ()) = tokio::join!(ada.done("testKey", json!({ "id": id })), replace);
        assert_eq!(
            (&tested["key"]["secretVersion"], &tested["key"]["lastTest"]),
            (&json!(2), &Value::Null)
        );
        let events = ada.ask(TESTS, json!({})).await["viewer"]["history"]["nodes"].clone();
        assert_eq!(
            (&events[0]["type"], &events[0]["facts"]["secret_version"]),
            (&json!("KeyTested"), &json!(1))
        );
        assert_eq!(events[0]["causationId"], events[1]["id"]);
        assert_eq!(ada.key(&id).await["lastTest"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_key_deleted_during_its_test_is_gone_and_the_test_ends() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let secret = key(Scenario::Hang, 1);
        let id = ada.add("work", &secret).await;
        let counts = stage.simulator().counts();
        let input = json!({ "id": id, "idempotencyKey": "once" });
        let delete = async {
            counts.wait(|counts| counts.of(&secret, Endpoint::Messages) == 1).await;
            ada.done("deleteKey", json!({ "id": id })).await;
            stage.stop_simulator().await;
        };
        let (tested, ()) = tokio::join!(ada.done("testKey", input.clone()), delete);
        assert_eq!((&tested["key"], &tested["commit"]["replayed"]), (&Value::Null, &json!(false)));
        assert_eq!(ada.last_events(3).await, ["KeyTested", "KeyDeleted", "KeyTestStarted"]);
        assert_eq!(ada.done("testKey", input).await["commit"]["eventIds"], tested["commit"]["eventIds"]);
        assert_eq!(ada.ask("{ viewer { keys { totalCount } } }", json!({})).await["viewer"]["keys"]["totalCount"], 0);
    })
    .await;
}
