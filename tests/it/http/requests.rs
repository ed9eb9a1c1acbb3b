//! Requests and their responses.

use super::fixture::{LEGACY, Running};
use crate::harness::client::{Answer, MODERN};
use serde_json::json;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn a_query_is_answered_in_the_type_the_client_accepts() {
    let server = Running::start().await;
    for (accept, content_type) in [
        (MODERN, "application/graphql-response+json; charset=utf-8"),
        (LEGACY, "application/json; charset=utf-8"),
        ("*/*", "application/json; charset=utf-8"),
        (
            "application/json;q=0.5, application/graphql-response+json",
            "application/graphql-response+json; charset=utf-8",
        ),
    ] {
        let answer =
            Answer::of(server.post(accept, json!({"query": "{ hello }"}).to_string())).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, content_type), "{accept}");
        assert_eq!(answer.json(), json!({"data": {"hello": "hello you"}}));
    }
    let answer =
        Answer::of(server.post("text/html", json!({"query": "{ hello }"}).to_string())).await;
    answer.assert_refused(406, "BAD_REQUEST");
}

#[tokio::test]
async fn variables_and_operation_names_arrive() {
    let server = Running::start().await;
    let body = json!({
        "query": "query A($n: Int!) { number(n: $n) } query B { hello }",
        "operationName": "A",
        "variables": {"n": 5},
        "extensions": {"any": "thing"},
    });
    let answer = Answer::of(server.post(MODERN, body.to_string())).await;
    assert_eq!(answer.json(), json!({"data": {"number": 5}}));
}

#[tokio::test]
async fn bodies_that_are_no_request_are_400_whatever_is_accepted() {
    let server = Running::start().await;
    let cases: [(&[u8], &str); 18] = [
        (b"", "no body"),
        (b"{ \"not json", "not JSON (line 1, column 11)"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{\"query\": \"{ hello \xff }\"}", "not UTF-8"),
        (b"{\"query\": \"\\ud800\"}", "not JSON"),
        (b"null", "must be a JSON object"),
        (b"\"{ hello }\"", "must be a JSON object"),
        (b"17", "must be a JSON object"),
        (b"{}", "\"query\" is missing"),
        (b"{\"query\": null}", "\"query\" is missing"),
        (b"{\"query\": {}}", "\"query\" must be a string"),
        (b"{\"query\": [\"{ hello }\"]}", "\"query\" must be a string"),
        (b"{\"query\": \"{ hello }\", \"variables\": []}", "\"variables\" must be an object"),
        (b"{\"query\": \"{ hello }\", \"variables\": \"{}\"}", "\"variables\" must be an object"),
        (b"{\"query\": \"{ hello }\", \"extensions\": 1}", "\"extensions\" must be an object"),
        (b"{\"query\": \"{ hello }\", \"operationName\": 1}", "\"operationName\" must be a string"),
        (
            b"{\"query\": \"{ hello }\", \"operationName\": {}}",
            "\"operationName\" must be a string",
        ),
        (b"[]", "the batch is empty"),
    ];
    for media in [MODERN, LEGACY] {
        for (body, message) in cases {
            let answer = Answer::of(server.post(media, body.to_vec())).await;
            answer.assert_refused(400, "BAD_REQUEST");
            assert!(answer.message().contains(message), "{}", answer.text);
        }
    }
    let deep = format!(
        "{{\"query\": \"{{ hello }}\", \"variables\": {}1{}}}",
        "{\"a\":".repeat(5_000),
        "}".repeat(5_000)
    );
    Answer::of(server.post(MODERN, deep)).await.assert_refused(400, "BAD_REQUEST");
}

#[tokio::test]
async fn only_json_is_taken_and_only_in_utf_8() {
    let server = Running::start().await;
    let body = json!({"query": "mutation { bump }"}).to_string();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=latin1",
    ] {
        let request = server
            .client
            .post(server.url("/graphql"))
            .header("content-type", content_type)
            .body(body.clone());
        Answer::of(request).await.assert_refused(415, "BAD_REQUEST");
    }
    Answer::of(server.client.post(server.url("/graphql")).body(body.clone()))
        .await
        .assert_refused(415, "BAD_REQUEST");
    let packed = server.post(MODERN, body.clone()).header("content-encoding", "gzip");
    Answer::of(packed).await.assert_refused(415, "BAD_REQUEST");
    assert_eq!(server.shared.mutations.load(Ordering::SeqCst), 0);
    let request = server
        .client
        .post(server.url("/graphql"))
        .header("content-type", "Application/JSON; Charset=\"UTF-8\"")
        .body(body);
    assert_eq!(Answer::of(request).await.json(), json!({"data": {"bump": 1}}));
}

#[tokio::test]
async fn get_runs_queries_and_refuses_mutations() {
    let server = Running::start().await;
    let get = |query: &str| {
        Answer::of(
            server.client.get(server.url(&format!("/graphql?{query}"))).header("accept", MODERN),
        )
    };
    assert_eq!(get("query=%7Bhello%7D").await.json(), json!({"data": {"hello": "hello you"}}));
    let named =
        get("query=query+A(%24n%3AInt!)%7Bnumber(n%3A%24n)%7D&operationName=A&variables=%7B%22n%22%3A3%7D&extensions=%7B%7D")
            .await;
    assert_eq!(named.json(), json!({"data": {"number": 3}}));
    assert_eq!(get("query=%7Bhello%7D&variables=&operationName=&ticket=x").await.status, 200);

    let mutation = get("query=mutation%7Bbump%7D").await;
    mutation.assert_refused(405, "BAD_REQUEST");
    assert_eq!(mutation.header("allow"), "POST");
    let chosen = get("query=query+A%7Bhello%7D+mutation+B%7Bbump%7D&operationName=B").await;
    chosen.assert_refused(405, "BAD_REQUEST");
    assert_eq!(server.shared.mutations.load(Ordering::SeqCst), 0);

    for (query, message) in [
        ("", "\"query\" is missing"),
        ("query=", "\"query\" is missing"),
        ("query=%7Bhello%7D&query=%7Bhello%7D", "given twice"),
        ("query=%7Bhello%7D&variables=%7B", "\"variables\" is not JSON"),
        ("query=%7Bhello%7D&variables=[]", "\"variables\" must be an object"),
        ("query=%7Bhello%7D&extensions=1", "\"extensions\" must be an object"),
        ("query=%FF", "not UTF-8"),
    ] {
        let answer = get(query).await;
        answer.assert_refused(400, "BAD_REQUEST");
        assert!(answer.message().contains(message), "{query}: {}", answer.text);
    }
}

#[tokio::test]
async fn other_methods_are_refused_with_the_list_of_those_allowed() {
    let server = Running::start().await;
    for method in [reqwest::Method::PUT, reqwest::Method::DELETE, reqwest::Method::PATCH] {
        let answer = Answer::of(server.client.request(method, server.url("/graphql"))).await;
        answer.assert_refused(405, "BAD_REQUEST");
        assert_eq!(answer.header("allow"), "GET, POST");
    }
}

#[tokio::test]
async fn what_fails_before_execution_has_no_data_and_the_status_of_its_code() {
    let server = Running::start().await;
    let cases = [
        (json!({"query": "{"}), "BAD_REQUEST", "syntax error at line 1, column 2"),
        (json!({"query": ""}), "BAD_REQUEST", "syntax error"),
        (
            json!({"query": "{ nothing }"}),
            "BAD_REQUEST",
            "Unknown field \"nothing\" on type \"Query\"",
        ),
        (
            json!({"query": "{ hello }", "operationName": "A"}),
            "BAD_REQUEST",
            "no operation with the name",
        ),
        (
            json!({"query": "query B { hello }", "operationName": "A"}),
            "BAD_REQUEST",
            "no operation with the name",
        ),
        (json!({"query": "query A { hello } query B { hello }"}), "BAD_REQUEST", "choose one"),
        (
            json!({"query": "query($n: Int!) { number(n: $n) }"}),
            "BAD_REQUEST",
            "the variable \"$n\" of type \"Int!\"",
        ),
        (
            json!({"query": "query($n: Int!) { number(n: $n) }", "variables": {"n": null}}),
            "BAD_REQUEST",
            "is required",
        ),
        (
            json!({"query": "query($n: Int!) { number(n: $n) }", "variables": {"n": "swordfish"}}),
            "BAD_REQUEST",
            "Invalid value for argument",
        ),
        (
            json!({"query": "subscription { anything }"}),
            "BAD_REQUEST",
            "send subscriptions over a WebSocket",
        ),
        (
            json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "00".repeat(32)}}}),
            "PERSISTED_QUERY_NOT_FOUND",
            "PersistedQueryNotFound",
        ),
    ];
    for (body, code, message) in cases {
        let modern = Answer::of(server.post(MODERN, body.to_string())).await;
        modern.assert_refused(400, code);
        assert!(modern.message().contains(message), "{body}: {}", modern.text);
        assert!(!modern.text.contains("swordfish"), "{}", modern.text);
        Answer::of(server.post(LEGACY, body.to_string())).await.assert_refused(200, code);
    }
}

#[tokio::test]
async fn suggestions_are_not_made() {
    let server = Running::start().await;
    for query in ["{ helo }", "{ hello(nam: \"x\") }", "{ me { hllo } }"] {
        let answer = server.ask(query).await;
        answer.assert_refused(400, "BAD_REQUEST");
        assert!(!answer.text.to_lowercase().contains("did you mean"), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_executor_receives_token_client_and_user_agent() {
    let server = Running::start().await;
    let body = json!({"query": "{ context }"}).to_string();
    let request = server
        .post(MODERN, body.clone())
        .header("authorization", "bearer abc.def")
        .header("user-agent", "tester/1");
    let answer = Answer::of(request).await.json();
    let said = answer["data"]["context"]
        .as_str()
        .expect("text")
        .split('|')
        .map(str::to_owned)
        .collect::<Vec<_>>();
    assert_eq!(said[..3], ["abc.def", "127.0.0.1", "tester/1"]);
    assert!(uuid::Uuid::parse_str(&said[3]).is_ok_and(|id| id.get_version_num() == 7));
    let answer = Answer::of(server.post(MODERN, body)).await.json();
    assert!(
        answer["data"]["context"]
            .as_str()
            .is_some_and(|text| text.starts_with("none|127.0.0.1|none|"))
    );
}

#[tokio::test]
async fn a_client_without_a_valid_token_is_challenged() {
    let server = Running::start().await;
    let body = json!({"query": "{ hello }"}).to_string();
    for authorization in ["Bearer bad", "Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "bad"] {
        for media in [MODERN, LEGACY] {
            let answer =
                Answer::of(server.post(media, body.clone()).header("authorization", authorization))
                    .await;
            answer.assert_refused(401, "UNAUTHENTICATED");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{authorization}");
        }
    }
}

#[tokio::test]
async fn faults_of_ours_tell_a_code_and_a_request_id_only() {
    let server = Running::start().await;
    let down = Answer::of(
        server
            .post(LEGACY, json!({"query": "{ hello }"}).to_string())
            .header("authorization", "Bearer store-down"),
    )
    .await;
    down.assert_refused(503, "STORE_UNAVAILABLE");
    let id = down.header("x-request-id");
    assert_eq!(
        down.json(),
        json!({"errors": [{"message": "STORE_UNAVAILABLE", "extensions": {"code": "STORE_UNAVAILABLE", "requestId": id}}]})
    );
    let panicked = server.ask("{ boom }").await;
    panicked.assert_refused(500, "INTERNAL");
    let id = panicked.header("x-request-id");
    assert_eq!(
        panicked.json(),
        json!({"errors": [{"message": "INTERNAL", "extensions": {"code": "INTERNAL", "requestId": id}}]})
    );
    assert_eq!(server.ask("{ hello }").await.status, 200, "the server outlives a panic");
}

#[tokio::test]
async fn errors_beside_data_keep_it_and_are_coded() {
    let server = Running::start().await;
    let answer = server.ask("{ hello typed fault }").await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert_eq!(json["data"], json!({"hello": "hello you", "typed": null, "fault": null}));
    let mut errors: Vec<(&str, &str)> = json["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| {
            (
                error["extensions"]["code"].as_str().expect("a code"),
                error["message"].as_str().expect("a message"),
            )
        })
        .collect();
    errors.sort_unstable();
    assert_eq!(errors, [("INTERNAL", "internal error"), ("VIEW_BEHIND", "the view stands at 3")]);
    assert!(json["errors"].as_array().is_some_and(|errors| {
        errors.iter().all(|error| error["extensions"]["requestId"].is_string())
    }));
    assert!(!answer.text.contains("swordfish"));
}

#[tokio::test]
async fn a_fault_that_goes_all_the_way_up_leaves_data_null() {
    let server = Running::start().await;
    let answer = server.ask("{ hello required }").await;
    let json = answer.json();
    assert_eq!((answer.status, json.get("data")), (200, Some(&serde_json::Value::Null)));
    assert_eq!((answer.code().as_str(), answer.message().as_str()), ("INTERNAL", "internal error"));
    assert_eq!(json["errors"][0]["path"], json!(["required"]));
}

#[tokio::test]
async fn every_answer_carries_an_id_and_the_security_headers() {
    let server = Running::start().await;
    let mut ids = std::collections::HashSet::new();
    for path in ["/graphql?query=%7Bhello%7D", "/health", "/nowhere", "/graphql"] {
        let request = server
            .client
            .get(server.url(path))
            .header("x-request-id", "mine")
            .header("x-correlation-id", "mine");
        let answer = Answer::of(request).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(
            ids.insert(uuid::Uuid::parse_str(answer.header("x-request-id")).expect("ours")),
            "{path}"
        );
    }
}

/// Editors and shells of Windows write a mark before a text.
#[tokio::test]
async fn the_mark_of_an_encoding_before_a_body_is_passed_over() {
    let server = Running::start().await;
    for body in [
        "\u{feff}{\"query\":\"{__typename}\"}",
        "\u{feff} \n{\"query\":\"{__typename}\"}",
        "{\"query\":\"\u{feff}{__typename}\"}",
    ] {
        let answer = Answer::of(server.post(MODERN, body)).await;
        assert_eq!(answer.json(), json!({"data": {"__typename": "Query"}}), "{body:?}");
    }
    let batch = Answer::of(server.post(MODERN, "\u{feff}[{\"query\":\"{hello}\"}]")).await;
    assert_eq!(batch.json(), json!([{"data": {"hello": "hello you"}}]));
    for body in
        ["\u{feff}", "\u{feff}\u{feff}{\"query\":\"{hello}\"}", "{\u{feff}\"query\":\"{hello}\"}"]
    {
        Answer::of(server.post(MODERN, body)).await.assert_refused(400, "BAD_REQUEST");
    }
}

#[tokio::test]
async fn each_fault_of_a_document_is_said_once() {
    let server = Running::start().await;
    for query in [
        "query($a: Zebra) { hello(name: $a) }",
        "{ ...F } fragment F on Zebra { hello }",
        "{ ... on Zebra { hello } }",
        "{ zebra }",
        "{ hello(zebra: 1) }",
        "{ number(n: \"one\") }",
        "query($n: Int!) { hello @include(if: $n) }",
        "{ me }",
    ] {
        let errors = server.ask(query).await.json()["errors"].take();
        let mut said: Vec<_> = errors
            .as_array()
            .expect("errors")
            .iter()
            .map(|error| format!("{} {}", error["message"], error["locations"]))
            .collect();
        let all = said.len();
        said.sort_unstable();
        said.dedup();
        assert!(all > 0 && said.len() == all, "{query}: {errors}");
    }
    // Two faults are two errors, and so are two places of one.
    let errors = server.ask("{ zebra giraffe }").await.json()["errors"].take();
    assert_eq!(errors.as_array().map(Vec::len), Some(2), "{errors}");
    let errors = server.ask("{ me { zebra } other: me { zebra } }").await.json()["errors"].take();
    assert_eq!(errors.as_array().map(Vec::len), Some(2), "{errors}");
}
