//! Stores that the program of format 1 wrote, kept in `tests/it/fixtures/format-1`: two users,
//! three keys of which one was deleted, a run of every pattern, one of them failed. Made by the
//! release binary of commit aca83d3 against its own simulated Anthropic; MongoDB's as extended
//! JSON.

use crate::harness::client::Client;
use crate::harness::mongo::{TestServer, server};
use crate::harness::program::Home;
use crate::harness::upstream;
use mongodb::bson::Document;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Events in either store.
const EVENTS: u64 = 83;

const LOGIN: &str =
    "mutation($i: LoginInput!) { login(input: $i) { accessToken userErrors { code } } }";
const SHOWN: &str = "{ viewer { username
    keys(first: 10) { nodes { id name lastTest { status } } }
    orchestrations(first: 10) { nodes { state steps { output } } }
    history(first: 100) { nodes { type schema } } } }";
const RENAME: &str =
    "mutation($i: RenameKeyInput!) { renameKey(input: $i) { key { name } userErrors { code } } }";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/format-1").join(name)
}

/// Every command that reads the whole store agrees with the log.
fn assert_whole(run: impl Fn(&[&str]) -> Command, events: u64) {
    let output = |arguments: &[&str]| {
        let ran = run(arguments).output().unwrap();
        let text = String::from_utf8(ran.stdout).unwrap();
        let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{arguments:?}: {text} {errors}");
        text
    };
    let verified: Value = serde_json::from_str(&output(&["verify", "--json"])).unwrap();
    assert_eq!((&verified["problem_count"], &verified["events"]), (&json!(0), &json!(events)));
    output(&["replay", "--all", "--check"]);
    output(&["replay", "--all"]);
    output(&["vault", "status"]);
}

/// Ada finds what she left, and goes on from it.
async fn assert_served(url: &str) {
    let client = Client::new(url);
    let login = json!({ "i": { "usernameOrEmail": "ada", "password": "a password for ada" } });
    let answer = client.ask(LOGIN, login).await;
    let client = client.with_token(answer["login"]["accessToken"].as_str().unwrap());
    let viewer = client.ask(SHOWN, json!({})).await["viewer"].clone();
    assert_eq!(viewer["username"], "ada");
    let keys = &viewer["keys"]["nodes"];
    assert_eq!((keys.as_array().unwrap().len(), &keys[0]["name"]), (1, &json!("work")));
    assert_eq!(keys[0]["lastTest"]["status"], "SUCCESS");
    let runs = viewer["orchestrations"]["nodes"].as_array().unwrap();
    let completed = runs.iter().filter(|run| run["state"] == "COMPLETED");
    assert_eq!((runs.len(), completed.clone().count()), (6, 5));
    let mut steps = completed.flat_map(|run| run["steps"].as_array().unwrap());
    assert!(steps.all(|step| step["output"].is_string()), "{runs:?}");
    let history = viewer["history"]["nodes"].as_array().unwrap();
    assert!(history.len() > 70, "{}", history.len());
    let named = json!({ "i": { "id": keys[0]["id"], "name": "still at work" } });
    let renamed = client.ask(RENAME, named).await;
    assert_eq!(renamed["renameKey"]["key"]["name"], "still at work");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_store_of_format_1_opens_verifies_is_replayed_and_served() {
    let home = Home::new();
    fs::create_dir(home.data()).unwrap();
    for file in ["claviger.db", "master.key", "token.key"] {
        fs::copy(fixture(file), home.data().join(file)).unwrap();
        restrict(&home.data().join(file));
    }
    assert_whole(|arguments| home.command(arguments), EVENTS);
    let simulator = upstream::simulator().await;
    let server = home.serve(&simulator.base_url());
    assert_served(server.url()).await;
    server.stop().await;
    // The server vouched for the log, since when its events are signed; signing in and renaming came
    // to it. The replay left none, since no row differed.
    assert_whole(|arguments| home.command(arguments), EVENTS + 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mongodb_of_format_1_opens_verifies_is_replayed_and_served() {
    let Some(mongodb) = server().await else { return };
    let database = mongodb.database();
    import(mongodb, &database).await;
    let (home, uri) = (Home::new(), mongodb.uri_text(&database));
    let with_keys = |command: &mut Command| {
        command
            .env("CLAVIGER_MONGODB_URI", &uri)
            .env("CLAVIGER_MASTER_KEYS", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=")
            .env("CLAVIGER_TOKEN_KEY", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=");
    };
    let command = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        with_keys(&mut command);
        command
    };
    assert_whole(command, EVENTS);
    let simulator = upstream::simulator().await;
    let server = home.serve_with(&simulator.base_url(), with_keys);
    assert_served(server.url()).await;
    server.stop().await;
    assert_whole(command, EVENTS + 3);
    mongodb.remove(&database).await;
}

/// Key files that others can read are refused, and git keeps no modes.
fn restrict(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

async fn import(server: &TestServer, database: &str) {
    let text = fs::read_to_string(fixture("mongodb.json")).unwrap();
    // Read as BSON at once: the order of the fields of an `_id` counts, and JSON values sort theirs.
    let collections: BTreeMap<String, Vec<Document>> = serde_json::from_str(&text).unwrap();
    let client = mongodb::Client::with_uri_str(server.uri_text(database)).await.unwrap();
    let database = client.database(database);
    for (name, documents) in collections.into_iter().filter(|(_, found)| !found.is_empty()) {
        database.collection::<Document>(&name).insert_many(documents).await.unwrap();
    }
}
