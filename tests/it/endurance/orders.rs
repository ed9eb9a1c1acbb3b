//! Mutations of keys that are sent, and sent again, and what they committed.

use crate::harness::client::Client;
use serde_json::{Value, json};

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A number that is written as text, because JSON's are too short.
pub(super) fn number(value: &Value) -> u64 {
    text(value).parse().unwrap()
}

/// A mutation of keys, ready to be sent, and sent again.
#[derive(Clone, Debug)]
pub(super) struct Order {
    mutation: &'static str,
    pub(super) input: Value,
}

impl Order {
    pub(super) const fn new(mutation: &'static str, input: Value) -> Self {
        Self { mutation, input }
    }
}

/// The payload of a mutation of keys.
#[derive(Debug)]
pub(super) struct Payload(pub(super) Value);

impl Payload {
    /// The code of the refusal, if it was one.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.0["userErrors"][0]["code"].as_str()
    }

    #[track_caller]
    pub(super) fn done(self) -> Self {
        assert_eq!(self.refusal(), None, "{self:?}");
        self
    }

    pub(super) fn replayed(&self) -> bool {
        self.0["commit"]["replayed"] == true
    }

    /// The events committed, with their positions.
    pub(super) fn events(&self) -> Vec<(u64, String)> {
        let ids: Vec<String> =
            self.0["commit"]["eventIds"].as_array().unwrap().iter().map(text).collect();
        let last = number(&self.0["commit"]["position"]);
        let first = last + 1 - ids.len() as u64;
        (first..).zip(ids).collect()
    }
}

impl Client {
    /// One mutation of keys: its payload, or nothing if no answer came.
    pub(super) async fn try_command(&self, order: &Order) -> Option<Payload> {
        let answer = self.try_mutation(order.mutation, &order.input).await?;
        Some(Payload(answer.data()[order.mutation].take()))
    }

    /// One mutation of keys: its payload.
    pub(super) async fn command(&self, order: &Order) -> Payload {
        self.try_command(order).await.expect("an answer")
    }

    /// All events of the user above a position, oldest first: position and id.
    pub(super) async fn history_above(&self, position: u64) -> Vec<(u64, String)> {
        let query = "query($after: Cursor) { viewer { history(first: 100, after: $after) \
            { nodes { id position } pageInfo { hasNextPage endCursor } } } }";
        let (mut events, mut after) = (Vec::new(), Value::Null);
        loop {
            let data = self.ask(query, json!({ "after": after })).await;
            let page = &data["viewer"]["history"];
            let nodes = page["nodes"].as_array().unwrap().iter();
            let found: Vec<_> =
                nodes.map(|node| (number(&node["position"]), text(&node["id"]))).collect();
            let is_last = page["pageInfo"]["hasNextPage"] == false
                || found.iter().any(|(at, _)| *at <= position);
            events.extend(found.into_iter().filter(|(at, _)| *at > position));
            if is_last {
                events.reverse();
                return events;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    }
}
