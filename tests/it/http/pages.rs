//! The paths beside GraphQL: the explorer, health, and what is not there.

use super::fixture::Running;
use crate::harness::client::Answer;
use flate2::read::GzDecoder;
use serde_json::json;
use std::io::Read;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn graphiql_is_served_whole_by_us() {
    let server = Running::start().await;
    let page = Answer::of(server.client.get(server.url("/graphiql"))).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert!(
        !page.text.contains("<script>") && !page.text.contains("style="),
        "nothing inline: the policy would block it"
    );
    for source in ["src=\"", "href=\""] {
        for target in page.text.split(source).skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(target.starts_with("/graphiql/") || target.starts_with("data:"), "{target}");
            if target.starts_with('/') {
                assert_eq!(
                    Answer::of(server.client.get(server.url(target))).await.status,
                    200,
                    "{target}"
                );
            }
        }
    }
}

/// Addresses in the bundle are names of XML vocabularies and links for people to follow. A new one
/// has to be looked at.
#[tokio::test]
async fn graphiqls_assets_load_nothing_from_elsewhere() {
    let known = [
        "http://www.w3.org/",
        "https://codemirror.net/5/doc/manual.html",
        "https://commonmark.org/",
        "https://en.wikipedia.org/wiki/IEEE_floating_point",
        "https://github.com/graphql/graphiql",
        "https://react.dev/errors/",
        "https://yarnpkg.com/en/docs/selective-version-resolutions",
    ];
    let server = Running::start().await;
    let script = Answer::of(server.client.get(server.url("/graphiql/page.js"))).await.text;
    for scheme in ["http://", "https://"] {
        for after in script.split(scheme).skip(1) {
            let rest: String = scheme.chars().chain(after.chars().take(80)).collect();
            let template = ["http://${", "https://${", "https://`", "http://\"", "https://\""]
                .iter()
                .any(|start| rest.starts_with(start));
            assert!(template || known.iter().any(|start| rest.starts_with(start)), "{rest}");
        }
    }
    assert!(!script.contains("importScripts") && !script.contains("sourceMappingURL"));
    let style = Answer::of(server.client.get(server.url("/graphiql/page.css"))).await.text;
    assert!(
        !style.contains("http://") && !style.contains("https://") && !style.contains("@import")
    );
    for target in style.split("url(").skip(1) {
        assert!(
            target.trim_start_matches(['"', '\'']).starts_with("data:"),
            "{}",
            target.chars().take(40).collect::<String>()
        );
    }
}

#[tokio::test]
async fn graphiqls_assets_are_asked_about_by_their_tags() {
    let server = Running::start().await;
    for path in ["/graphiql", "/graphiql/page.js", "/graphiql/page.css"] {
        let first = Answer::of(server.client.get(server.url(path))).await;
        assert_eq!(first.header("cache-control"), "no-cache");
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        let again =
            Answer::of(server.client.get(server.url(path)).header("if-none-match", &tag)).await;
        assert_eq!((again.status, again.header("etag"), again.text.len()), (304, tag.as_str(), 0));
        let other =
            Answer::of(server.client.get(server.url(path)).header("if-none-match", "\"older\""))
                .await;
        assert_eq!(other.status, 200);
    }
}

/// Browsers accept gzip, and receive the asset as it is kept. The two forms have tags of their own.
#[tokio::test]
async fn graphiqls_assets_are_sent_compressed_to_clients_that_accept_it() {
    let server = Running::start().await;
    let path = server.url("/graphiql/page.css");
    let plain = Answer::of(server.client.get(&path)).await;
    assert!(!plain.headers.contains_key("content-encoding"));
    for accepted in ["gzip", "br, GZIP;q=0.5", "*", "deflate;q=0, *;q=0.1"] {
        let request = server.client.get(&path).header("accept-encoding", accepted);
        let response = request.send().await.expect("answer");
        assert_eq!(response.headers()["content-encoding"], "gzip", "{accepted}");
        assert_eq!(response.headers()["vary"], "accept-encoding", "{accepted}");
        assert_ne!(response.headers()["etag"].to_str().expect("text"), plain.header("etag"));
        let mut text = String::new();
        let bytes = response.bytes().await.expect("body");
        GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
        assert_eq!(text, plain.text, "{accepted}");
    }
    for refused in ["identity", "gzip;q=0", "gzip; q=0.000, *", "br"] {
        let request = server.client.get(&path).header("accept-encoding", refused);
        let answer = Answer::of(request).await;
        assert!(!answer.headers.contains_key("content-encoding"), "{refused}");
        assert_eq!(answer.text, plain.text, "{refused}");
    }
}

#[tokio::test]
async fn health_is_503_unless_every_part_is_healthy() {
    let server = Running::start().await;
    let well = Answer::of(server.client.get(server.url("/health"))).await;
    assert_eq!(well.status, 200);
    assert_eq!(
        well.json(),
        json!({
            "status": "healthy",
            "timestamp": "1970-01-01T00:00:00Z",
            "services": {"api": "healthy", "database": "healthy"},
            "version": {"claviger": "0.0.0"},
        })
    );
    server.shared.unhealthy.store(true, Ordering::SeqCst);
    let ill = Answer::of(server.client.get(server.url("/health"))).await;
    assert_eq!((ill.status, ill.json()["status"].clone()), (503, json!("degraded")));
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_typed() {
    let server = Running::start().await;
    for path in ["/", "/nowhere", "/graphql/more", "/graphiql/other.js", "/graphiql/../graphql/x"] {
        Answer::of(server.client.get(server.url(path))).await.assert_refused(404, "NOT_FOUND");
    }
    let posted = Answer::of(server.client.post(server.url("/health"))).await;
    posted.assert_refused(405, "BAD_REQUEST");
    assert!(posted.header("allow").contains("GET"), "{:?}", posted.headers);
}
