//! Texts and secrets that are refused, each with what to do and none with what was given; and those
//! that are mended.

use super::stage::{Stage, on_every_store};
use crate::harness::stores::StoreKind;
use claviger::simulator::keys::{Scenario, key};
use serde_json::{Value, json};

fn assert_validation(error: &Value, path: &[&str]) {
    assert_eq!(
        (&error["__typename"], &error["code"]),
        (&json!("ValidationError"), &json!("VALIDATION")),
        "{error}"
    );
    assert_eq!(error["path"], json!(path));
}

/// Texts that are no names, with a word of the message about each.
fn bad_names() -> Vec<(String, &'static str)> {
    let mut names = vec![
        (String::new(), "empty"),
        (" \t ".to_owned(), "empty"),
        ("n".repeat(101), "at most 100"),
        ("\u{1f511}".repeat(101), "at most 100"),
        (format!("my {} key", key(Scenario::Good, 9).get(..60).unwrap()), "looks like a secret"),
        ("MY SK-ANT-API03-XYZXYZXYZ".to_owned(), "looks like a secret"),
    ];
    for invisible in [
        '\u{0}',
        '\u{7}',
        '\n',
        '\u{7f}',
        '\u{85}',
        '\u{200b}',
        '\u{202e}',
        '\u{2028}',
        '\u{feff}',
        '\u{e0041}',
    ] {
        names.push((format!("zebra{invisible}stripes"), "invisible"));
    }
    names
}

/// Secrets that are none, with a word of the message about each.
fn bad_secrets() -> Vec<(String, &'static str)> {
    let end = "Q7w8E9r0T1y2U3i4O5p6";
    vec![
        (String::new(), "is empty"),
        ("  \n".to_owned(), "is empty"),
        (end.to_owned(), "no Anthropic API key"),
        (format!("sk-proj-{end}"), "no Anthropic API key"),
        ("sk-ant-".to_owned(), "no Anthropic API key"),
        (format!("sk-ant-admin01-{end}"), "admin key"),
        (format!("sk-ant-oat01-{end}"), "OAuth token"),
        (format!("sk-ant-ort01-{end}"), "OAuth token"),
        (format!("sk-ant-sid01-{end}"), "session key"),
        (format!("sk-ant-api03-{end} {end}"), "no API key has"),
        (format!("sk-ant-api03-{end}\n{end}"), "no API key has"),
        (format!("sk-ant-api03-{end}\u{e9}"), "no API key has"),
        (format!("sk-ant-api03-{}", end.repeat(26)), "longer than 512"),
    ]
}

#[tokio::test]
async fn bad_names_are_refused_everywhere() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Good, 1)).await;
        for (name, word) in bad_names() {
            let add = |name: &str, context: &str, idempotency: &str| {
                json!({ "name": name, "secret": key(Scenario::Good, 2), "context": context, "idempotencyKey": idempotency })
            };
            for (mutation, field, input) in [
                ("addKey", "name", add(&name, "c", "i")),
                ("addKey", "context", add("n", &name, "i")),
                ("renameKey", "name", json!({ "id": id, "name": name })),
                ("setDefaultKey", "context", json!({ "id": id, "context": name })),
                ("clearDefaultKey", "context", json!({ "context": name })),
            ] {
                let error = stage.refused(&ada, mutation, input).await;
                assert_validation(&error, &["input", field]);
                assert!(error["message"].as_str().unwrap().contains(word), "{name:?}: {error}");
                assert!(name.trim().is_empty() || !error.to_string().contains(name.trim()), "{error}");
            }
            let idempotency_key = if word == "at most 100" { name.repeat(2) } else { name.clone() };
            let error = stage.refused(&ada, "addKey", add("n", "c", &idempotency_key)).await;
            assert_validation(&error, &["input", "idempotencyKey"]);
            let query = "query($context: String) { viewer { resolution(context: $context) { candidates { reason } } } }";
            assert_eq!(ada.send(query, json!({ "context": name })).await.code(), "VALIDATION", "{name:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn bad_secrets_are_refused_by_the_name_of_their_kind_and_never_echoed() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Good, 1)).await;
        for (secret, word) in bad_secrets() {
            for (mutation, input) in [
                ("addKey", json!({ "name": "n", "secret": secret })),
                ("replaceKeySecret", json!({ "id": id, "secret": secret })),
            ] {
                let error = stage.refused(&ada, mutation, input).await;
                assert_validation(&error, &["input", "secret"]);
                assert!(error["message"].as_str().unwrap().contains(word), "{word}: {error}");
                assert!(!error.to_string().contains("Q7w8E9"), "{error}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn spaces_around_are_trimmed() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let secret = key(Scenario::Good, 1);
        let input = json!({ "name": "\u{a0} work ", "secret": format!("\t {secret}\r\n"), "context": " night " });
        let added = ada.done("addKey", input).await["key"].clone();
        assert_eq!((&added["name"], &added["defaultFor"]), (&json!("work"), &json!(["night"])));
        ada.done("testKey", json!({ "id": added["id"] })).await;
        assert_eq!(stage.simulator().counts().of_key(&secret), 1, "what was sealed is the trimmed secret");
    })
    .await;
}

#[tokio::test]
async fn a_secret_can_be_there_once_for_a_user() {
    on_every_store(async |stage: &mut Stage| {
        let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
        let secret = key(Scenario::Good, 1);
        let id = ada.add("work", &secret).await;
        let other = ada.add("other", &key(Scenario::Good, 2)).await;
        for (mutation, input) in [
            ("addKey", json!({ "name": "again", "secret": format!(" {secret} ") })),
            ("replaceKeySecret", json!({ "id": other, "secret": secret })),
        ] {
            let error = stage.refused(&ada, mutation, input).await;
            assert_eq!(
                (&error["__typename"], &error["code"]),
                (&json!("ConflictError"), &json!("DUPLICATE"))
            );
            assert_eq!(
                (&error["existing"], &error["path"]),
                (&json!(id), &json!(["input", "secret"]))
            );
        }
        bob.add("mine too", &secret).await;
        ada.done("deleteKey", json!({ "id": id })).await;
        ada.add("again", &secret).await;
        ada.done("replaceKeySecret", json!({ "id": other, "secret": key(Scenario::Good, 3) }))
            .await;
        ada.add("freed", &key(Scenario::Good, 2)).await;
    })
    .await;
}

#[tokio::test]
async fn a_model_that_is_no_model_id_is_refused() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Good, 1)).await;
        for model in ["", "a b", "sk-ant-api03-x", &"m".repeat(129)] {
            let error = stage.refused(&ada, "testKey", json!({ "id": id, "model": model })).await;
            assert_validation(&error, &["input", "model"]);
        }
    })
    .await;
}

#[tokio::test]
async fn an_inactive_key_becomes_no_default() {
    on_every_store(async |stage: &mut Stage| {
        let ada = stage.user("ada").await;
        let id = ada.add("work", &key(Scenario::Good, 1)).await;
        ada.done("deactivateKey", json!({ "id": id })).await;
        let error = stage.refused(&ada, "setDefaultKey", json!({ "id": id })).await;
        assert_eq!(
            (&error["__typename"], &error["code"]),
            (&json!("ConflictError"), &json!("CONFLICT"))
        );
        assert!(error["message"].as_str().unwrap().contains("activate it first"));
    })
    .await;
}

#[tokio::test]
async fn no_more_keys_than_allowed() {
    for kind in StoreKind::available().await {
        let stage = Stage::with(*kind, |config| config.max_keys = 2).await;
        let ada = stage.user("ada").await;
        let id = ada.add("one", &key(Scenario::Good, 1)).await;
        ada.add("two", &key(Scenario::Good, 2)).await;
        let three = json!({ "name": "three", "secret": key(Scenario::Good, 3) });
        let error = stage.refused(&ada, "addKey", three.clone()).await;
        assert_eq!(
            (&error["__typename"], &error["code"]),
            (&json!("ValidationError"), &json!("LIMIT_EXCEEDED"))
        );
        stage.user("bob").await.add("one", &key(Scenario::Good, 1)).await;
        ada.done("deleteKey", json!({ "id": id })).await;
        ada.done("addKey", three).await;
        stage.close().await;
    }
}
