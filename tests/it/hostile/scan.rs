//! The thirteen checks of graphql-cop, as a table of our own.

use super::target::{Target, answer};
use serde_json::{Value, json};

fn aliases(count: usize) -> String {
    (0..count).fold("query cop { ".to_owned(), |text, n| format!("{text}a{n}: __typename ")) + "}"
}

/// Fields of types of fields, as deep as this.
fn circular_introspection(depth: usize) -> String {
    let inner = "fields { type { ".repeat(depth);
    format!("query cop {{ __schema {{ types {{ {inner} name {} }} }} }}", " } }".repeat(depth))
}

#[tokio::test]
async fn documents_that_cost_too_much_are_refused_before_anything_runs() {
    let target = Target::start();
    for (check, body, codes) in [
        ("alias overload", json!({ "query": aliases(101) }), &["LIMIT_EXCEEDED"][..]),
        (
            "array batching",
            Value::Array(vec![json!({ "query": "{ __typename }" }); 11]),
            &["LIMIT_EXCEEDED"],
        ),
        (
            "directive overload",
            json!({ "query": format!("query cop {{ __typename {} }}", "@aa".repeat(500)) }),
            &["LIMIT_EXCEEDED"],
        ),
        (
            "field duplication",
            json!({ "query": format!("query cop {{ {} }}", "__typename ".repeat(500)) }),
            &["LIMIT_EXCEEDED"],
        ),
        (
            "circular fragment",
            json!({ "query": "query cop { ...A } fragment A on Query { ...B } fragment B on Query { ...A }" }),
            &["BAD_REQUEST"],
        ),
        (
            "circular introspection",
            json!({ "query": circular_introspection(5) }),
            &["LIMIT_EXCEEDED"],
        ),
    ] {
        let (status, code, text) = target.ask(&body).await;
        assert!(status == 400 && codes.contains(&code.as_str()), "{check}: {status} {text}");
        assert!(!text.contains("\"data\""), "{check}: {text}");
    }
    target.honest().await;
}

#[tokio::test]
async fn nothing_is_changed_by_what_a_page_could_send_without_asking_first() {
    let target = Target::start();
    let mutation = "mutation cop { __typename }";
    let get = |query: &str| {
        target.client.get(
            reqwest::Url::parse_with_params(&target.url("/graphql"), [("query", query)]).unwrap(),
        )
    };
    let (status, code, _) = answer(get(mutation)).await;
    assert_eq!((status, code.as_str()), (405, "BAD_REQUEST"), "mutation by GET");
    // Queries by GET are answered by design: they change nothing, and a foreign page can't read the
    // answer.
    let response =
        get("{ __typename }").header("origin", "https://evil.example.org").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    for content_type in
        ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"]
    {
        let post = target.client.post(target.url("/graphql")).header("content-type", content_type);
        let (status, code, _) = answer(post.body("query=mutation+cop+%7B__typename%7D")).await;
        assert_eq!((status, code.as_str()), (415, "BAD_REQUEST"), "{content_type}");
    }
    let foreign =
        target.client.post(target.url("/graphql")).header("origin", "https://evil.example.org");
    let foreign = foreign
        .header("content-type", "application/json")
        .body(json!({ "query": mutation }).to_string());
    let (status, code, _) = answer(foreign).await;
    assert_eq!((status, code.as_str()), (403, "FORBIDDEN"), "a foreign page");
}

#[tokio::test]
async fn errors_tell_nothing_of_the_schema_the_program_or_its_timing() {
    let target = Target::start();
    for query in [
        "query cop { __schema { directive } }",
        "{ viewr { id } }",
        "{ viewer { kesy } }",
        "mutation { addKye }",
    ] {
        let (status, code, text) = target.query(query).await;
        assert_eq!((status, code.as_str()), (400, "BAD_REQUEST"), "{text}");
        for advice in ["did you mean", "directives", "viewer\"?", "\"keys\"", "addKey"] {
            assert!(!text.to_lowercase().contains(advice), "{query}: {text}");
        }
    }
    let request = target
        .client
        .post(target.url("/graphql"))
        .header("x-apollo-tracing", "1")
        .header("content-type", "application/json");
    let (_, _, text) = answer(request.body(json!({ "query": "{ __typename }" }).to_string())).await;
    assert!(!text.contains("tracing") && !text.contains("extensions"), "{text}");
    for query in
        ["qwerty", "query cop { __typename", "query cop($a: Zebra) { __typename }", "\u{0}", "{{{{"]
    {
        let (status, code, text) = target.query(query).await;
        assert_eq!((status, code.as_str()), (400, "BAD_REQUEST"), "{query:?}: {text}");
        for inner in ["panicked", ".rs", "stack", "exception", "backtrace"] {
            assert!(!text.contains(inner), "{query:?}: {text}");
        }
    }
}

#[tokio::test]
async fn the_explorer_is_a_page_of_ours_and_can_do_no_harm() {
    let target = Target::start();
    let response = target
        .client
        .get(target.url("/graphiql"))
        .header("accept", "text/html")
        .send()
        .await
        .unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert_eq!(response.status().as_u16(), 200, "shown by design: it has no rights of its own");
    assert!(
        policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    for path in [
        "/playground",
        "/console",
        "/altair",
        "/graphql/console",
        "/.git/config",
        "/..%2f..%2fetc/passwd",
    ] {
        let (status, code, _) = answer(target.client.get(target.url(path))).await;
        assert_eq!((status, code.as_str()), (404, "NOT_FOUND"), "{path}");
    }
    // A browser that asks for a page at the endpoint gets none.
    let (status, _, text) =
        answer(target.client.get(target.url("/graphql")).header("accept", "text/html")).await;
    assert!(status == 406 && !text.contains("<html"), "{status}: {text}");
}
