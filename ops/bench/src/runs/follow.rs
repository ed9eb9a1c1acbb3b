//! Subscribers of runs, over event streams.

use super::upstream::{STAMP, micros};
use crate::error::BenchError;
use claviger::sse::decode::{EventLines, TooBig};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// The longest event, and most bytes of one stream.
const MOST: (usize, usize) = (4 * 1024 * 1024, 64 * 1024 * 1024);

const FEED: &str = "subscription($id: ID!) { orchestration(id: $id) { __typename \
    ... on Snapshot { partial { text } } ... on TextDelta { text } ... on EventMessage { event { type } } ... on Terminal { state } } }";
const START: &str = "mutation($input: StartOrchestrationInput!) { startOrchestration(input: $input) { orchestration { id } userErrors { message } } }";

/// A client that starts runs and follows them.
#[derive(Clone)]
pub(super) struct Follower {
    http: Client,
    url: String,
    token: String,
}

impl Follower {
    pub(super) fn new(address: SocketAddr, token: &str) -> Result<Self, BenchError> {
        let http = Client::builder().no_proxy().http1_only().tcp_nodelay(true).build();
        let http = http.map_err(|_| BenchError::Subject("cannot create a client for it"))?;
        Ok(Self { http, url: format!("http://{address}/graphql"), token: token.to_owned() })
    }

    /// Starts a run of `agents` agents, one after another, each with the given prompt. Returns its
    /// id.
    pub(super) async fn start(&self, agents: usize, prompt: &str) -> Result<String, BenchError> {
        let agents: Vec<_> = (1..=agents)
            .map(|n| json!({ "name": format!("agent {n}"), "systemPrompt": prompt }))
            .collect();
        let input =
            json!({ "pattern": { "sequential": { "task": "Measure.", "agents": agents } } });
        let answer = self.ask(&json!({ "query": START, "variables": { "input": input } })).await?;
        let id =
            answer.pointer("/data/startOrchestration/orchestration/id").and_then(Value::as_str);
        id.map(str::to_owned).ok_or(BenchError::Subject("it does not start a run"))
    }

    pub(super) async fn follow(&self, run: &str) -> Result<Feed, BenchError> {
        self.subscribe(FEED, json!({ "id": run })).await
    }

    /// Follows the user's own events of a type, from now on or after a cursor.
    pub(super) async fn events(&self, kind: &str, after: Option<&str>) -> Result<Feed, BenchError> {
        let query = "subscription($after: Cursor, $types: [String!]) { viewerEvents(after: $after, types: $types) { node { type } } }";
        self.subscribe(query, json!({ "after": after, "types": [kind] })).await
    }

    /// The current cursor of the user's events.
    pub(super) async fn cursor(&self) -> Result<String, BenchError> {
        let answer = self.ask(&json!({ "query": "{ viewer { eventsCursor } }" })).await?;
        let cursor = answer.pointer("/data/viewer/eventsCursor").and_then(Value::as_str);
        cursor.map(str::to_owned).ok_or(BenchError::Subject("it returns no cursor"))
    }

    async fn ask(&self, body: &Value) -> Result<Value, BenchError> {
        let request = self.http.post(&self.url).bearer_auth(&self.token).json(body);
        let answer =
            request.send().await.map_err(|_| BenchError::Subject("it does not respond"))?;
        answer.json().await.map_err(|_| BenchError::Subject("it does not respond in JSON"))
    }

    async fn subscribe(&self, query: &str, variables: Value) -> Result<Feed, BenchError> {
        let body = json!({ "query": query, "variables": variables });
        let request = self
            .http
            .post(&self.url)
            .bearer_auth(&self.token)
            .header("accept", "text/event-stream")
            .json(&body);
        let response = request
            .send()
            .await
            .map_err(|_| BenchError::Subject("it does not accept a subscription"))?;
        Ok(Feed { response, lines: EventLines::new(MOST.0, MOST.1), waiting: Vec::new() })
    }
}

/// A message to a subscriber.
pub(super) enum Told {
    /// Text, with the time each piece of it took from the upstream.
    Text(Vec<Duration>),
    /// An event of this type.
    Event(String),
    /// The run's end.
    End,
}

pub(super) struct Feed {
    response: Response,
    lines: EventLines,
    waiting: Vec<Value>,
}

impl Feed {
    /// The next message; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Told>, BenchError> {
        loop {
            if !self.waiting.is_empty() {
                let message = self.waiting.remove(0);
                if let Some(told) = told(&message) {
                    return Ok(Some(told));
                }
                continue;
            }
            let piece = self
                .response
                .chunk()
                .await
                .map_err(|_| BenchError::Subject("it cut a subscription"))?;
            let Some(piece) = piece else { return Ok(None) };
            let waiting = &mut self.waiting;
            let taken = self.lines.push(&piece, |data| {
                waiting.extend(serde_json::from_slice::<Value>(data).ok());
                Ok::<(), TooBig>(())
            });
            taken.map_err(|_| BenchError::Subject("it sends more than can be read"))?;
        }
    }

    /// Waits for an event of this type.
    pub(super) async fn until(&mut self, kind: &str) -> Result<(), BenchError> {
        while let Some(told) = self.next().await? {
            if matches!(&told, Told::Event(found) if found == kind) {
                return Ok(());
            }
        }
        Err(BenchError::Subject("a subscription ended too early"))
    }
}

fn told(message: &Value) -> Option<Told> {
    if let Some(kind) = message.pointer("/data/viewerEvents/node/type").and_then(Value::as_str) {
        return Some(Told::Event(kind.to_owned()));
    }
    let message = message.pointer("/data/orchestration")?;
    let texts = message
        .get("text")
        .into_iter()
        .chain(message.pointer("/partial/0/text"))
        .filter_map(Value::as_str);
    let delays: Vec<Duration> = texts.flat_map(delays).collect();
    if !delays.is_empty() {
        return Some(Told::Text(delays));
    }
    if message.get("state").is_some() {
        return Some(Told::End);
    }
    message.pointer("/event/type").and_then(Value::as_str).map(|kind| Told::Event(kind.to_owned()))
}

/// How long ago each piece was written.
fn delays(text: &str) -> Vec<Duration> {
    let now = micros();
    let stamps = text.split(STAMP).filter_map(|piece| piece.trim().parse::<u64>().ok());
    stamps.map(|stamp| Duration::from_micros(now.saturating_sub(stamp))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_merged_text_are_distinguished() {
        let now = micros();
        let text = format!("{STAMP}{} {STAMP}{now} ", now - 5_000);
        let found = delays(&text);
        assert_eq!(found.len(), 2);
        assert!(found[0] >= Duration::from_millis(5) && found[1] < found[0]);
    }
}
