//! A user who changes keys too often is refused with the time of the next try; nobody else is.

use super::stage::Stage;
use crate::harness::stores::StoreKind;
use claviger::simulator::keys::{Scenario, key};
use serde_json::json;

#[tokio::test]
async fn changes_and_tests_of_keys_are_limited_for_each_user() {
    for kind in StoreKind::available().await {
        let stage = Stage::with(*kind, |config| {
            config.key_commands_per_minute = 6;
            config.key_tests_per_minute = 2;
        });
        let stage = Box::pin(stage).await;
        let (ada, eve) = (stage.user("ada").await, stage.user("eve").await);
        let secret = key(Scenario::Good, 1);
        let id = ada.add("work", &secret).await;
        for _ in 0..2 {
            ada.done("testKey", json!({ "id": id })).await;
        }
        let head = stage.head().await;
        let refused = ada.send_mutation("testKey", json!({ "id": id })).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (200, "RATE_LIMITED"),
            "{}",
            refused.text
        );
        assert_eq!(refused.json()["errors"][0]["extensions"]["retryAfterMs"], 30_000);
        assert_eq!(refused.header("retry-after"), "30");
        for n in 0..3 {
            ada.done("renameKey", json!({ "id": id, "name": format!("name {n}") })).await;
        }
        let refused =
            ada.send_mutation("renameKey", json!({ "id": id, "name": "once more" })).await;
        assert_eq!(
            (refused.code().as_str(), refused.header("retry-after")),
            ("RATE_LIMITED", "10"),
            "{}",
            refused.text
        );
        assert_eq!(stage.head().await, head + 3);
        assert_eq!(ada.key(&id).await["name"], "name 2", "reads go on");
        eve.add("work", &secret).await;

        stage.advance_ms(10_000);
        ada.done("renameKey", json!({ "id": id, "name": "once more" })).await;
        assert_eq!(ada.send_mutation("testKey", json!({ "id": id })).await.code(), "RATE_LIMITED");
        stage.advance_ms(20_000);
        ada.done("testKey", json!({ "id": id })).await;
        stage.close().await;
    }
}
