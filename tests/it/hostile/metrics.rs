//! What the server tells of itself, to whom, and that nobody's words are in it.

use crate::endurance::process::Home;
use serde_json::json;

/// A sample's value; 0 for one that isn't there.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

#[tokio::test]
async fn metrics_have_an_address_of_their_own_and_name_nobody() {
    let home = Home::new();
    let server = home.serve_with("http://127.0.0.1:9", |command| {
        command.env("CLAVIGER_METRICS_LISTEN", "127.0.0.1:0");
    });
    server.logged("metrics at /metrics").await;
    let log = home.log();
    let line = log.lines().find(|line| line.contains("metrics at /metrics")).unwrap();
    let address = line.rsplit("address=").next().unwrap().trim();
    let client =
        reqwest::Client::builder().no_proxy().user_agent("swordfish-agent").build().unwrap();
    let post = async |body: serde_json::Value, token: &str| {
        let request = client.post(format!("{}/graphql", server.url())).bearer_auth(token);
        let request = if token.is_empty() {
            client.post(format!("{}/graphql", server.url()))
        } else {
            request
        };
        let response = request
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        serde_json::from_str::<serde_json::Value>(&response.text().await.unwrap()).unwrap()
    };
    let register = "mutation($p: Secret!) { register(input: {username: \"swordfish\", email: \"swordfish@example.org\", password: $p}) \
                    { accessToken } }";
    let registered =
        post(json!({ "query": register, "variables": { "p": "swordfish swordfish" } }), "").await;
    let token = registered["data"]["register"]["accessToken"].as_str().unwrap().to_owned();
    for id in ["swordfish", "x"] {
        let delete = format!(
            "mutation {{ deleteKey(input: {{id: \"{id}\"}}) {{ userErrors {{ code }} }} }}"
        );
        post(json!({ "query": delete }), &token).await;
    }
    for path in ["/swordfish", "/graphql/swordfish", "/metrics"] {
        let response =
            client.get(format!("{}{path}?swordfish=1", server.url())).send().await.unwrap();
        assert_eq!(
            response.status().as_u16(),
            404,
            "{path}: not on the address that everybody reaches"
        );
    }
    client
        .request(
            reqwest::Method::from_bytes(b"SWORDFISH").unwrap(),
            format!("{}/health", server.url()),
        )
        .send()
        .await
        .unwrap();

    let response = client.get(format!("http://{address}/metrics")).send().await.unwrap();
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    let text = response.text().await.unwrap();
    for (name, value) in [
        ("claviger_http_requests_total{route=\"/graphql\",method=\"POST\",status=\"2xx\"}", 3.0),
        ("claviger_http_requests_total{route=\"unknown\",method=\"GET\",status=\"4xx\"}", 3.0),
        ("claviger_http_requests_total{route=\"/health\",method=\"other\",status=\"4xx\"}", 1.0),
        ("claviger_http_request_seconds_count{route=\"/graphql\"}", 3.0),
        ("claviger_key_commands_total{command=\"delete\",code=\"NOT_FOUND\"}", 2.0),
        ("claviger_appends_total{outcome=\"done\"}", 1.0),
        ("claviger_append_seconds_count", 1.0),
        ("claviger_events_total", 2.0),
        ("claviger_key_command_seconds_count{command=\"delete\"}", 2.0),
    ] {
        assert!(
            (sample(&text, name) - value).abs() < f64::EPSILON,
            "{name} is {}: {text}",
            sample(&text, name)
        );
    }
    assert!(sample(&text, "claviger_connections ") >= 1.0, "{text}");
    assert!(sample(&text, "claviger_memory_resident_bytes ") > 1e6, "{text}");
    assert!(!text.to_lowercase().contains("swordfish"), "{text}");
    assert!(text.ends_with("# EOF\n"));
    server.stop().await;
}
