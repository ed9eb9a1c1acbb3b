//! Counts of calls per key and endpoint. Whole keys stay in here: only their hints leave the
//! process.

use super::keys::Scenario;
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::secret::SecretText;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Maximum number of calls remembered individually; their counts are kept for ever.
const MAX_LOG: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// `GET /v1/models`.
    Models,
    /// `GET /v1/models/{id}`.
    Model,
    /// `POST /v1/messages/count_tokens`.
    CountTokens,
    /// `POST /v1/messages`.
    Messages,
    /// Anything else.
    Other,
}

impl Endpoint {
    /// Its name in `GET /sim/calls`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Model => "model",
            Self::CountTokens => "count_tokens",
            Self::Messages => "messages",
            Self::Other => "other",
        }
    }
}

#[derive(Clone, PartialEq)]
pub struct Call {
    key: String,
    /// The `request-id` of the answer.
    pub request_id: String,
    pub endpoint: Endpoint,
    /// The status of the response; `None` while there is no response.
    pub status: Option<u16>,
    /// [`prompt_hash`] of the prompt; empty for a call without one.
    pub prompt_hash: String,
    /// The JSON body, if the simulator records bodies.
    pub body: Option<Value>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("request_id", &self.request_id)
            .field("endpoint", &self.endpoint)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    numbers: BTreeMap<(String, Endpoint), u64>,
    log: VecDeque<Call>,
    open: u64,
}

struct Shared {
    state: Mutex<State>,
    /// Incremented at every change, so that a test waits on a state and not on a clock.
    changed: watch::Sender<u64>,
}

/// The counts. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Counts(Arc<Shared>);

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts").field("total", &self.total()).field("open", &self.open()).finish()
    }
}

impl Counts {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State::default()),
            changed: watch::Sender::new(0),
        }))
    }

    /// Calls of this key to this endpoint.
    pub fn of(&self, key: &str, endpoint: Endpoint) -> u64 {
        self.lock().numbers.get(&(key.to_owned(), endpoint)).copied().unwrap_or(0)
    }

    /// Calls of this key.
    pub fn of_key(&self, key: &str) -> u64 {
        self.lock().numbers.iter().filter(|((of, _), _)| of == key).map(|(_, count)| count).sum()
    }

    /// All calls, including those without a key.
    pub fn total(&self) -> u64 {
        self.lock().numbers.values().sum()
    }

    /// Calls whose response has not ended and whose client has not left.
    pub fn open(&self) -> u64 {
        self.lock().open
    }

    /// This key's calls among the last 10,000, oldest first.
    pub fn calls(&self, key: &str) -> Vec<Call> {
        self.lock().log.iter().filter(|call| call.key == key).cloned().collect()
    }

    /// How many of the last 10,000 calls had this prompt, with any key: a run's step is identified
    /// by its system prompt and its message.
    pub fn of_prompt(&self, system: &str, text: &str) -> u64 {
        let wanted = prompt_hash(&format!("{system}\n{text}"));
        u64::try_from(self.lock().log.iter().filter(|call| call.prompt_hash == wanted).count())
            .unwrap_or(u64::MAX)
    }

    /// Waits until the condition holds.
    pub async fn wait(&self, mut pleases: impl FnMut(&Self) -> bool) {
        let mut changed = self.0.changed.subscribe();
        while !pleases(self) {
            // The sender lives in `self`, so this cannot fail.
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// The counts as `GET /sim/calls` shows them.
    pub fn to_json(&self) -> Value {
        let state = self.lock();
        let mut keys: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for ((key, endpoint), count) in &state.numbers {
            keys.entry(key).or_default().insert(endpoint.name(), *count);
        }
        let keys: Vec<_> = keys
            .into_iter()
            .map(|(key, calls)| json!({"key": hint(key), "scenario": Scenario::of_key(key).map(Scenario::name), "calls": calls}))
            .collect();
        let requests: Vec<_> = state
            .log
            .iter()
            .map(|call| {
                let (endpoint, key) = (call.endpoint.name(), hint(&call.key));
                json!({"request_id": call.request_id, "key": key, "endpoint": endpoint, "status": call.status, "prompt": call.prompt_hash})
            })
            .collect();
        json!({"total": state.numbers.values().sum::<u64>(), "open": state.open, "keys": keys, "requests": requests})
    }

    /// Registers a call. It is open until the returned value is dropped.
    pub(super) fn enter(&self, key: &str, endpoint: Endpoint, request_id: &str) -> Visit {
        self.change(|state| {
            *state.numbers.entry((key.to_owned(), endpoint)).or_default() += 1;
            state.open += 1;
            if state.log.len() >= MAX_LOG {
                state.log.pop_front();
            }
            let (key, request_id) = (key.to_owned(), request_id.to_owned());
            state.log.push_back(Call {
                key,
                request_id,
                endpoint,
                status: None,
                prompt_hash: String::new(),
                body: None,
            });
        });
        Visit { counts: self.clone(), request_id: request_id.to_owned() }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.0.changed.send_modify(|version| *version += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Visit {
    counts: Counts,
    request_id: String,
}

impl Visit {
    pub(super) fn note(&self, change: impl FnOnce(&mut Call)) {
        self.counts.change(|state| {
            if let Some(call) =
                state.log.iter_mut().rev().find(|call| call.request_id == self.request_id)
            {
                change(call);
            }
        });
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.counts.change(|state| state.open = state.open.saturating_sub(1));
    }
}

/// Identifies a prompt (system prompt, line feed, last turn) without showing it: SHA-256 in
/// hexadecimal.
pub fn prompt_hash(prompt: &str) -> String {
    Sha256::digest(prompt.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The Console's hint of a key; nothing of a text that is not a key.
fn hint(key: &str) -> String {
    match ApiKeySecret::parse(&SecretText::new(key.to_owned())) {
        Ok(secret) => secret.preview(),
        Err(_) if key.is_empty() => "none".to_owned(),
        Err(_) => "no API key".to_owned(),
    }
}
