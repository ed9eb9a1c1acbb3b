//! The ways that secrets take: what is allowed, what is refused, what the upstream does with them.

use super::canaries::random;
use super::requests::Teller;
use crate::harness::client::http;
use claviger::simulator::Simulator;
use claviger::simulator::keys::Scenario;
use claviger::simulator::script::Act;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, USER_AGENT};
use serde_json::json;

const LOOK: &str = "{ viewer { username email sessions { userAgent } keys(first: 100) { nodes { name preview defaultFor \
    lastTest { message upstreamRequestId organizationId } } } history(first: 100) { nodes { type facts content } } \
    resolution { candidates { source reason } } } }";

/// Signing up, in, on and out, rightly and wrongly.
pub(super) async fn sessions(teller: &mut Teller) {
    let (password, next) = (teller.password(), teller.password());
    let name = json!({"username": "ada", "email": "ada@example.org", "password": password});
    teller.session("register", "RegisterInput", name.clone()).await;
    teller.session("register", "RegisterInput", name).await;
    let (wrong, key) = (teller.password(), teller.key());
    for (name, password) in [
        ("ada", &wrong),
        ("nobody", &wrong),
        (key.as_str(), &password),
        ("ada", &key),
        ("ada", &password),
    ] {
        teller
            .session("login", "LoginInput", json!({"usernameOrEmail": name, "password": password}))
            .await;
    }
    for username in [key.clone(), format!("{key}@example.org")] {
        let input =
            json!({"username": username, "email": username, "password": key, "fullName": key});
        teller.session("register", "RegisterInput", input).await;
    }
    let old = teller.refresh.clone();
    for token in [old.clone(), old, key, wrong.clone()] {
        teller
            .session("refreshSession", "RefreshSessionInput", json!({ "refreshToken": token }))
            .await;
    }
    for (current, new) in [(&wrong, &next), (&password, &"short".to_owned()), (&password, &next)] {
        let input = json!({"currentPassword": current, "newPassword": new});
        teller.session("changePassword", "ChangePasswordInput", input).await;
    }
    // A client that calls itself by its key.
    let agent = teller.key();
    let query = "mutation($p: Secret!) { session: login(input: {usernameOrEmail: \"ada\", password: $p}) \
        { accessToken refreshToken userErrors { code } } }";
    let request = teller
        .post()
        .header(USER_AGENT, agent)
        .json(&json!({"query": query, "variables": {"p": next}}));
    teller.send("login by a client that calls itself by a key", request).await;
    teller.ask("look", LOOK, json!({})).await;
}

/// A key for everything an upstream can do, tested at it.
pub(super) async fn upstream(teller: &mut Teller, simulator: &Simulator) {
    let slow = [Scenario::Slow, Scenario::Huge];
    for scenario in Scenario::ALL.iter().copied().filter(|scenario| !slow.contains(scenario)) {
        let key = teller.key();
        for _ in 0..4 {
            simulator.script().push(&key, Act::Scenario(scenario));
        }
        let id = teller.add(scenario.name(), &key).await;
        let payload = teller.command("testKey", "TestKeyInput", json!({ "id": id })).await;
        assert!(payload["key"]["lastTest"]["status"].is_string(), "{}: {payload}", scenario.name());
        assert!(simulator.counts().of_key(&key) > 0, "{} was not called", scenario.name());
        teller.command("deactivateKey", "KeyInput", json!({ "id": id })).await;
        let next = teller.key();
        teller
            .command("replaceKeySecret", "ReplaceKeySecretInput", json!({"id": id, "secret": next}))
            .await;
        if (scenario as usize).is_multiple_of(2) {
            teller.command("deleteKey", "KeyInput", json!({ "id": id })).await;
        }
    }
    teller.ask("models", "{ models { id } }", json!({})).await;
    teller.ask("look", LOOK, json!({})).await;
}

/// Secrets in fields where none belongs, in commands that are otherwise valid.
pub(super) async fn misplaced(teller: &mut Teller) {
    let mine = teller.key();
    let id = teller.add("mine", &mine).await;
    let key = teller.key();
    // Short enough for a name, long enough for a secret.
    let part = key.get(..80).unwrap();
    for input in [
        json!({"name": key, "secret": key}),
        json!({"name": part, "secret": key}),
        json!({"name": "n", "secret": key, "context": part}),
        json!({"name": "n", "secret": key, "idempotencyKey": part}),
        json!({"name": "n", "secret": mine}),
        json!({"name": "n", "secret": key, "context": key}),
        json!({"name": "n", "secret": key, "idempotencyKey": key}),
        json!({"name": "n", "secret": key, "expiresAt": key}),
        json!({"name": "n", "secret": key, "makeDefault": key}),
        json!({"name": "n", "secret": [key]}),
        json!({"name": "n", "secret": {"value": key}}),
        json!({"name": "n", "secret": format!("{key} {key}")}),
        json!({"name": "n", "secret": format!("x{key}")}),
        json!({"name": {"name": key}, "secret": key}),
        json!({"name": "n", key.as_str(): key}),
        json!(key),
    ] {
        teller.command("addKey", "AddKeyInput", input).await;
    }
    for (mutation, input_type, input) in [
        ("renameKey", "RenameKeyInput", json!({"id": id, "name": key})),
        ("renameKey", "RenameKeyInput", json!({"id": id, "name": part})),
        ("setDefaultKey", "DefaultKeyInput", json!({"id": id, "context": part})),
        ("renameKey", "RenameKeyInput", json!({"id": id, "name": "n", "expectedVersion": key})),
        ("testKey", "TestKeyInput", json!({"id": id, "model": key})),
        ("testKey", "TestKeyInput", json!({"id": id, "level": key})),
        ("setDefaultKey", "DefaultKeyInput", json!({"id": key})),
        ("deleteKey", "KeyInput", json!({"id": key})),
        ("clearDefaultKey", "ClearDefaultKeyInput", json!({"context": key})),
    ] {
        teller.command(mutation, input_type, input).await;
    }
    // Stays out of log and files, but would come back if the query selected it: it is the client's
    // own.
    let input = json!({"id": id, "clientMutationId": key});
    let query = "mutation($i: KeyInput!) { deactivateKey(input: $i) { commit { position } } }";
    teller.ask("clientMutationId", query, json!({ "i": input })).await;
}

/// Secrets in the text of a query, and in variables of another kind.
pub(super) async fn written(teller: &mut Teller) {
    let key = teller.key();
    let part = key.get(..80).unwrap();
    let queries = [
        format!(
            "mutation {{ addKey(input: {{name: \"n\", secret: \"{key}\"}}) {{ key {{ id }} }} }}"
        ),
        format!(
            "mutation($s: Secret = \"{key}\") {{ addKey(input: {{name: \"n\", secret: $s}}) {{ key {{ id }} }} }}"
        ),
        format!(
            "mutation($s: String = \"{key}\") {{ addKey(input: {{name: $s, secret: $s}}) {{ key {{ id }} }} }}"
        ),
        format!("{{ key(id: \"{key}\") {{ id }} node(id: \"{key}\") {{ id }} }}"),
        format!("{{ viewer {{ defaultKey(context: \"{key}\") {{ id }} }} }}"),
        format!("{{ viewer {{ keys(after: \"{key}\") {{ totalCount }} }} }}"),
        format!(
            "{{ viewer {{ keys(first: \"{key}\", minPosition: \"{key}\") {{ totalCount }} }} }}"
        ),
        format!("{{ viewer {{ history(types: [\"{key}\"]) {{ nodes {{ id }} }} }} }}"),
        format!("{{ viewer {{ id }} {key} }}"),
        key.clone(),
        format!("# {key}\n{{ nothing }}"),
        format!("{{ viewer @include(if: \"{key}\") {{ id }} }}"),
        format!("{{ viewer {{ id(x: \"{key}\") }} }}"),
        format!("\"\"\"{key}"),
    ];
    for query in queries {
        teller.ask(&query.replace(&key, "KEY"), &query, json!({})).await;
    }
    for (query, variables) in [
        (
            "query($c: String) { viewer { defaultKey(context: $c) { id } resolution(context: $c) { candidates { reason } } } }",
            json!({"c": part}),
        ),
        ("query($id: ID!) { key(id: $id) { id } }", json!({"id": [key]})),
        (
            "query($first: Int) { viewer { keys(first: $first) { totalCount } } }",
            json!({ "first": key }),
        ),
        (
            "query($at: Position) { viewer { keys(minPosition: $at) { totalCount } } }",
            json!({ "at": key }),
        ),
        (
            "query($after: Cursor) { viewer { history(after: $after) { nodes { id } } } }",
            json!({ "after": key }),
        ),
        ("{ viewer { id } }", json!({ key.as_str(): key })),
    ] {
        teller.ask(query, query, variables).await;
    }
}

/// Malformed requests.
pub(super) async fn malformed(teller: &mut Teller) {
    let key = teller.key();
    let url = teller.url();
    let get = |teller: &Teller, pairs: &[(&str, &str)]| {
        let query: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
        teller.request(Method::GET, &format!("{url}?{}", query.join("&")))
    };
    let literal = format!("{{ key(id: \"{key}\") {{ id }} }}");
    let variables = json!({ "id": key }).to_string();
    let with_operation = json!({"query": "query a { viewer { id } } query b { viewer { id } }", "operationName": key});
    let long = format!("{{\"query\": \"{key}\", \"pad\": \"{}\"}}", "x".repeat(1 << 20));
    let quoted = format!("\"{key}\"");
    let post = teller.post();
    let json_post = || teller.post().header(CONTENT_TYPE, "application/json");
    let requests = vec![
        ("a literal in a GET", get(teller, &[("query", &literal)])),
        ("a key as a GET", get(teller, &[("query", &key)])),
        ("variables of a GET", get(teller, &[("query", "query($id: ID!) { key(id: $id) { id } }"), ("variables", &variables)])),
        ("broken variables of a GET", get(teller, &[("query", "{ viewer { id } }"), ("variables", &key)])),
        ("a parameter of a GET", get(teller, &[("ticket", &key), ("query", "{ viewer { id } }")])),
        (
            "a mutation by GET",
            get(teller, &[("query", &format!("mutation {{ deleteKey(input: {{id: \"{key}\"}}) {{ deletedId }} }}"))]),
        ),
        ("operationName", post.json(&with_operation)),
        ("a broken body", json_post().body(format!("{{\"query\": \"{{ a }}\", \"variables\": {{\"s\": \"{key}"))),
        ("a bare body", json_post().body(key.clone())),
        ("a text as body", json_post().body(quoted.clone())),
        ("a list as body", json_post().body(format!("[{quoted}, {{\"query\": {quoted}}}, {{\"query\": 1, {quoted}: 1}}]"))),
        ("too large a body", json_post().body(long)),
        ("a wrong content type", teller.post().header(CONTENT_TYPE, "text/plain").body(quoted.clone())),
        ("a key as content type", teller.post().header(CONTENT_TYPE, &key).body("{}")),
        ("a key as accept", json_post().header(ACCEPT, &key).body("{\"query\": \"{ viewer { id } }\"}")),
        (
            "extensions",
            json_post()
                .body(format!("{{\"query\": \"{{ viewer {{ id }} }}\", \"extensions\": {{\"persistedQuery\": {quoted}}}}}")),
        ),
        ("a second token", json_post().header(AUTHORIZATION, format!("Bearer {key}")).body("{\"query\": \"{ viewer { id } }\"}")),
        (
            "a cookie",
            json_post()
                .header(COOKIE, &key)
                .header("x-api-key", &key)
                .header("x-request-id", &key)
                .body("{\"query\": \"{ viewer { id } }\"}"),
        ),
        ("a path", teller.request(Method::GET, &format!("{url}/{key}?{key}={key}"))),
        ("another path", teller.request(Method::DELETE, &url.replace("graphql", &key))),
        ("a method", teller.request(Method::from_bytes(key.as_bytes()).unwrap(), &url)),
    ];
    for (what, request) in requests {
        teller.send(what, request).await;
    }
    for token in
        [key.clone(), random(&mut teller.dice, 300), format!("a.{key}.b"), format!("{key} {key}")]
    {
        let request = http().post(&url).header(AUTHORIZATION, format!("Bearer {token}"));
        teller.send("a wrong token", request.json(&json!({"query": "{ viewer { id } }"}))).await;
    }
    let request = http().post(&url).header(AUTHORIZATION, format!("Basic {key}"));
    teller.send("a wrong scheme", request.json(&json!({"query": "{ viewer { id } }"}))).await;
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
