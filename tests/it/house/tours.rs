//! The tours of the documents, held to what the program does: their requests are sent in order and
//! the responses compared with those that the documents show. What is cut there (`…`), and what
//! differs each time, isn't.

use super::tree::read;
use crate::harness::client::http;
use crate::harness::program::{Home, Ran};
use crate::harness::upstream::simulator;
use claviger::simulator::keys::{Scenario, key};
use serde_json::{Map, Value};

/// Fields whose values differ each time.
const VARYING: [&str; 6] =
    ["at", "expiresAt", "test", "context_tag", "duration_ms", "upstream_request_id"];

/// Blocks of code in a document, as (language, text), in order.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let fenced = text.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

/// A reader who types the requests of a document.
struct Reader {
    url: String,
    token: String,
    id: String,
}

impl Reader {
    /// The requests of a block of commands, with what a reader has to fill in.
    fn requests(&self, commands: &str) -> Vec<Value> {
        let good = key(Scenario::Good, 1);
        let quoted = commands.split("ask '").skip(1);
        let bodies = quoted.filter(|rest| rest.starts_with('{')).map(|rest| {
            let filled = rest.replace("'$KEY'", &good).replace("'$ID'", &self.id);
            let body = filled.split_once("}'").map(|(body, _)| format!("{body}}}"));
            serde_json::from_str(&body.expect("the end of a request")).expect("JSON")
        });
        bodies.collect()
    }

    async fn send(&mut self, request: &Value) -> Value {
        let mut post = http().post(&self.url).json(request);
        if !self.token.is_empty() {
            post = post.bearer_auth(&self.token);
        }
        let response: Value = post.send().await.unwrap().json().await.unwrap();
        let data = &response["data"];
        if let Some(token) = data["register"]["accessToken"].as_str() {
            token.clone_into(&mut self.token);
        }
        if let Some(id) = data["addKey"]["key"]["id"].as_str() {
            id.clone_into(&mut self.id);
        }
        response
    }
}

/// Where two values differ, as (place, documented, actual).
fn differences(place: &str, documented: &Value, actual: &Value) -> Vec<String> {
    let field = |(name, documented): (&String, &Value), fields: &Map<String, Value>| {
        let actual = fields.get(name).unwrap_or(&Value::Null);
        let is_same = VARYING.contains(&name.as_str()) && !actual.is_null();
        let place = format!("{place}.{name}");
        if is_same { Vec::new() } else { differences(&place, documented, actual) }
    };
    match (documented, actual) {
        (Value::Object(documented), Value::Object(actual)) => {
            let names = |fields: &Map<String, Value>| fields.keys().cloned().collect::<Vec<_>>();
            if names(documented) != names(actual) {
                return vec![format!("{place}: {:?}, not {:?}", names(actual), names(documented))];
            }
            documented.iter().flat_map(|entry| field(entry, actual)).collect()
        }
        (Value::Array(documented), Value::Array(actual)) if documented.len() == actual.len() => {
            let pairs = documented.iter().zip(actual).enumerate();
            pairs
                .flat_map(|(at, (one, other))| differences(&format!("{place}.{at}"), one, other))
                .collect()
        }
        (Value::String(documented), Value::String(actual))
            if documented
                .split_once('…')
                .is_some_and(|(start, end)| actual.starts_with(start) && actual.ends_with(end)) =>
        {
            Vec::new()
        }
        (documented, actual) if documented == actual => Vec::new(),
        (documented, actual) => vec![format!("{place}: {actual}, not {documented}")],
    }
}

/// Sends the requests of documents to one server; what differs from the responses they show.
async fn toured(documents: &[&str]) -> Vec<String> {
    let (home, simulator) = (Home::new(), simulator().await);
    let server = home.serve(&simulator.base_url());
    let url = format!("{}/graphql", server.url());
    let mut reader = Reader { url, token: String::new(), id: String::new() };
    let (mut found, mut compared) = (Vec::new(), 0);
    for document in documents {
        let text = read(document);
        let mut last = Value::Null;
        for (language, block) in blocks(&text) {
            if language == "sh" {
                for request in reader.requests(block) {
                    last = reader.send(&request).await;
                    let errors = last["errors"].as_array().map_or(0, Vec::len);
                    assert_eq!(errors, 0, "{document}: {request}: {last}");
                }
            } else if language == "json" {
                let documented = serde_json::from_str(block).expect("a response of a document");
                let of_document = differences("", &documented, &last);
                found.extend(of_document.into_iter().map(|text| format!("{document}{text}")));
                compared += 1;
            }
        }
    }
    server.stop().await;
    assert!(compared > 0, "{documents:?} show no response");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_five_minutes_of_the_readme_go_as_written() {
    let found = toured(&["README.md"]).await;
    assert!(found.is_empty(), "the documents differ from the program: {found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_goes_as_written_and_leads_to_orchestrations() {
    let found = toured(&["ops/docs/TOUR.md", "ops/docs/RUNS.md"]).await;
    assert!(found.is_empty(), "the documents differ from the program: {found:#?}");
}

#[test]
fn the_demo_begins_as_the_readme_shows() {
    let readme = read("README.md");
    let (_, section) = readme.split_once("\n## Run it\n").expect("the section");
    let shown = blocks(section).into_iter().find(|(language, _)| *language == "text");
    let (_, shown) = shown.expect("the output of the demo");
    let home = Home::new();
    let mut command = home.command(&["demo", "--exit", "--listen", "127.0.0.1:0"]);
    command.env("TMPDIR", home.work());
    let ran = Ran::of(command, b"");
    let written: Vec<&str> = ran.assert_code(0).stdout.trim_start().lines().collect();
    for (shown, written) in shown.lines().zip(&written) {
        // The port is another one.
        let (shown, written) = (shown.split("http://").next(), written.split("http://").next());
        assert_eq!(written, shown);
    }
}
