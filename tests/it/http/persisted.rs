//! Automatic persisted queries: the text once, then its hash.

use super::fixture::{Options, Running};
use crate::harness::client::{Answer, MODERN};
use claviger_graphql::limits::Limits;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::atomic::Ordering;

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn extension(hash: &str) -> Value {
    json!({"persistedQuery": {"version": 1, "sha256Hash": hash}})
}

async fn send(server: &Running, body: Value) -> Answer {
    Answer::of(server.post(MODERN, body.to_string())).await
}

const QUERY: &str = "query Q($n: Int!) { number(n: $n) }";

#[tokio::test]
async fn a_text_sent_once_is_known_by_its_hash_on_every_door() {
    let server = Running::start().await;
    let by_hash = json!({"extensions": extension(&hash(QUERY)), "variables": {"n": 7}});
    let unknown = send(&server, by_hash.clone()).await;
    unknown.assert_refused(400, "PERSISTED_QUERY_NOT_FOUND");
    // urql and Apollo's clients for Kotlin and iOS compare the words.
    assert_eq!(unknown.message(), "PersistedQueryNotFound");
    let whole =
        json!({"query": QUERY, "extensions": extension(&hash(QUERY)), "variables": {"n": 6}});
    assert_eq!(send(&server, whole).await.json(), json!({"data": {"number": 6}}));
    assert_eq!(send(&server, by_hash.clone()).await.json(), json!({"data": {"number": 7}}));
    let upper =
        json!({"extensions": extension(&hash(QUERY).to_uppercase()), "variables": {"n": 8}});
    assert_eq!(
        send(&server, json!([by_hash, upper])).await.json(),
        json!([{"data": {"number": 7}}, {"data": {"number": 8}}])
    );

    let url = reqwest::Url::parse_with_params(
        &server.url("/graphql"),
        [("extensions", extension(&hash(QUERY)).to_string().as_str()), ("variables", "{\"n\": 9}")],
    );
    let got = Answer::of(server.client.get(url.expect("a URL")).header("accept", MODERN)).await;
    assert_eq!(got.json(), json!({"data": {"number": 9}}));
}

#[tokio::test]
async fn a_hash_opens_no_door_that_the_text_would_not() {
    let server = Running::with(Options {
        limits: Limits { aliases: 2, ..Limits::default() },
        ..Options::default()
    })
    .await;
    let mutation = "mutation { bump }";
    let whole = json!({"query": mutation, "extensions": extension(&hash(mutation))});
    assert_eq!(send(&server, whole).await.json(), json!({"data": {"bump": 1}}));
    let url = reqwest::Url::parse_with_params(
        &server.url("/graphql"),
        [("extensions", extension(&hash(mutation)).to_string())],
    );
    Answer::of(server.client.get(url.expect("a URL")).header("accept", MODERN))
        .await
        .assert_refused(405, "BAD_REQUEST");
    assert_eq!(server.shared.mutations.load(Ordering::SeqCst), 1);

    // What is refused isn't kept either.
    for refused in
        ["{ a: hello b: hello c: hello }", "{ length(secret: \"sk-ant-api03-x\") }", "{ hello"]
    {
        let code =
            send(&server, json!({"query": refused, "extensions": extension(&hash(refused))}))
                .await
                .code();
        assert!(
            ["LIMIT_EXCEEDED", "BAD_REQUEST", "FORBIDDEN", "VALIDATION"].contains(&code.as_str()),
            "{refused}: {code}"
        );
        send(&server, json!({"extensions": extension(&hash(refused))}))
            .await
            .assert_refused(400, "PERSISTED_QUERY_NOT_FOUND");
    }
}

#[tokio::test]
async fn nobody_can_put_another_text_under_a_hash() {
    let server = Running::start().await;
    let wanted = "{ hello }";
    let poison = json!({"query": "mutation { bump }", "extensions": extension(&hash(wanted))});
    let answer = send(&server, poison).await;
    answer.assert_refused(400, "BAD_REQUEST");
    assert!(answer.message().contains("sha256Hash"), "{}", answer.text);
    assert_eq!(server.shared.mutations.load(Ordering::SeqCst), 0);
    send(&server, json!({"extensions": extension(&hash(wanted))}))
        .await
        .assert_refused(400, "PERSISTED_QUERY_NOT_FOUND");
}

#[tokio::test]
async fn what_is_no_hash_is_refused() {
    let server = Running::start().await;
    let good = hash("{ hello }");
    for persisted in [
        json!(null),
        json!(1),
        json!([]),
        json!({}),
        json!({"version": 1}),
        json!({"version": 2, "sha256Hash": good}),
        json!({"version": "1", "sha256Hash": good}),
        json!({"version": 1, "sha256Hash": 1}),
        json!({"version": 1, "sha256Hash": ""}),
        json!({"version": 1, "sha256Hash": good.get(1..)}),
        json!({"version": 1, "sha256Hash": format!("+{}", good.get(1..).unwrap_or_default())}),
    ] {
        for query in [None, Some("{ hello }")] {
            let body = json!({"query": query, "extensions": {"persistedQuery": persisted}});
            send(&server, body).await.assert_refused(400, "BAD_REQUEST");
        }
    }
}
