//! What the upstream does with one call, and the queue of such acts that a test puts before the scenario of a key.

use super::gate::Gate;
use super::keys::Scenario;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What happens to one call that was well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// As with a key of this scenario.
    Scenario(Scenario),
    /// An answer in the API's own form; on the lists of models, the list.
    Reply(Reply),
    /// An error in the API's own form.
    Refuse(Refusal),
    /// Exactly these bytes.
    Raw(Raw),
    /// Something that isn't the API.
    Fault(Fault),
}

/// How a message is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The text; `None` makes one of the request (or an instance of its JSON schema).
    pub text: Option<String>,
    /// Which stop reason; `None` lets the length decide between `end_turn` and `max_tokens`.
    pub stop_reason: Option<String>,
    /// How long until the head of the answer.
    pub before: Duration,
    /// Streams: how long before each piece of text; `None` takes the simulator's.
    pub chunk_delay: Option<Duration>,
    /// Streams: how many characters to a piece of text; 0 means 24.
    pub chunk_chars: usize,
    /// Streams: how many bytes to a write; 0 means an event to a write.
    pub split_bytes: usize,
    /// Streams: how it ends.
    pub ending: Ending,
    /// Streams: bytes of another's making, put in at this place of the stream.
    pub noise: Option<(usize, Vec<u8>)>,
    /// Streams: held before this piece of text, counted from 0, until a test opens the gate.
    pub gate: Option<(usize, Gate)>,
    /// The tokens reported; `None` counts them roughly.
    pub usage: Option<Usage>,
}

impl Reply {
    /// A reply of this text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }
}

/// Tokens as the API reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Uncached input.
    pub input: u64,
    /// Input written to the cache for five minutes.
    pub cache_creation: u64,
    /// Input read from the cache.
    pub cache_read: u64,
    /// Output.
    pub output: u64,
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// With `message_stop`.
    #[default]
    Whole,
    /// By a broken connection after so many pieces of text.
    CutAfter(usize),
    /// By a broken connection after so many bytes.
    CutAtByte(usize),
    /// By an `error` event (`overloaded_error`) after so many pieces of text.
    ErrorAfter(usize),
    /// By an `error` event of this type after so many pieces of text.
    ErrorOfType(usize, &'static str),
    /// Not at all: silence after so many pieces of text, until the client leaves.
    HangAfter(usize),
}

/// An error in the API's own form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// `error.type`.
    pub kind: &'static str,
    /// `error.message`.
    pub message: String,
    /// `error.details.error_code`.
    pub code: Option<&'static str>,
    /// `retry-after`, verbatim.
    pub retry_after: Option<String>,
    /// Whether the headers say that no request is left.
    pub spent: bool,
}

impl Refusal {
    /// An error without code or headers of its own.
    pub fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), ..Self::default() }
    }
}

/// An answer byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    /// HTTP status.
    pub status: u16,
    /// Headers beside those of every answer, which they replace.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Something that isn't the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The body ends half-way.
    Cut,
    /// The connection is closed without an answer.
    Reset,
    /// No answer until the client leaves or the simulator stops.
    Hang,
    /// 302 to the configured address.
    Redirect,
    /// A page of HTML.
    WrongType,
    /// Broken JSON.
    Garbage,
    /// 80 MiB.
    Huge,
    /// The body comes piece by piece.
    Slow,
}

#[derive(Default)]
struct Queues {
    of_keys: HashMap<String, VecDeque<Act>>,
    /// By a marker in the prompt.
    of_prompts: Vec<(String, VecDeque<Act>)>,
}

/// The acts that come before the scenario of a key, first in, first out. Cheap to clone; clones share the queues.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<Queues>>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

impl Script {
    /// Puts an act at the end of the key's queue: its next well-formed call takes it, whatever the endpoint.
    pub fn push(&self, key: &str, act: Act) {
        self.lock().of_keys.entry(key.to_owned()).or_default().push_back(act);
    }

    /// Puts an act at the end of a marker's queue: the next message whose system prompt or last turn contains the marker takes it,
    /// whatever its key. Markers come before keys, in the order in which they were first used.
    pub fn on_prompt(&self, marker: &str, act: Act) {
        let mut queues = self.lock();
        match queues.of_prompts.iter_mut().find(|(known, _)| known == marker) {
            Some((_, acts)) => acts.push_back(act),
            None => queues.of_prompts.push((marker.to_owned(), VecDeque::from([act]))),
        }
    }

    /// How many acts of the key weren't taken yet.
    pub fn left(&self, key: &str) -> usize {
        self.lock().of_keys.get(key).map_or(0, VecDeque::len)
    }

    pub(crate) fn take(&self, key: &str, prompt: &str) -> Option<Act> {
        let mut queues = self.lock();
        let marked = queues
            .of_prompts
            .iter_mut()
            .find(|(marker, acts)| !acts.is_empty() && prompt.contains(marker.as_str()));
        if let Some((_, acts)) = marked {
            return acts.pop_front();
        }
        queues.of_keys.get_mut(key)?.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
