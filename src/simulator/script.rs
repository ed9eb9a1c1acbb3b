//! What the upstream does with a call, and the queue of acts that a test puts before a key's
//! scenario.

use super::gate::Gate;
use super::keys::Scenario;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The reaction to a well-formed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// As for a key of this scenario.
    Scenario(Scenario),
    /// A response in the API's own format; on the model endpoints, the models.
    Reply(Reply),
    /// An error in the API's own format.
    Refuse(Refusal),
    /// Exactly these bytes.
    Raw(Raw),
    /// A response that Anthropic's API would not send.
    Fault(Fault),
}

/// How a message is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The text; `None` derives one from the request (or an instance of its JSON schema).
    pub text: Option<String>,
    /// The stop reason; `None` lets the length decide between `end_turn` and `max_tokens`.
    pub stop_reason: Option<String>,
    /// Delay before the head of the response.
    pub before: Duration,
    /// Streams: delay before each piece of text; `None` uses the simulator's.
    pub chunk_delay: Option<Duration>,
    /// Streams: characters per piece of text; 0 uses the simulator's.
    pub chunk_chars: usize,
    /// Streams: bytes per write; 0 writes one event at a time.
    pub split_bytes: usize,
    pub ending: Ending,
    /// Streams: foreign bytes, inserted at this byte offset of the stream.
    pub noise: Option<(usize, Vec<u8>)>,
    /// Streams: the pause before this piece of text, counted from 0, until a test opens the gate.
    pub gate: Option<(usize, Gate)>,
    /// The reported tokens; `None` estimates them.
    pub usage: Option<Usage>,
}

impl Reply {
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
    pub output: u64,
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// With `message_stop`.
    #[default]
    Whole,
    /// By a broken connection after this number of text pieces.
    CutAfter(usize),
    /// By a broken connection after this number of bytes.
    CutAtByte(usize),
    /// By an `error` event (`overloaded_error`) after this number of text pieces.
    ErrorAfter(usize),
    /// By an `error` event of this type after this number of text pieces.
    ErrorOfType(usize, &'static str),
    /// Not at all: silence after this number of text pieces, until the client leaves.
    HangAfter(usize),
}

/// An error in the API's own format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// `error.type`.
    pub kind: &'static str,
    /// `error.message`.
    pub message: String,
    /// `error.details.error_code`.
    pub code: Option<&'static str>,
    /// `retry-after`, verbatim.
    pub retry_after: Option<String>,
    /// Whether the headers report that no request is left.
    pub spent: bool,
}

impl Refusal {
    /// An error without code or headers of its own.
    pub fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), ..Self::default() }
    }
}

/// A response, byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    pub status: u16,
    /// Headers beside those of every response, which they replace.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// A response that Anthropic's API would not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The body ends in the middle.
    Cut,
    /// The connection is closed without a response.
    Reset,
    /// No response until the client leaves or the simulator stops.
    Hang,
    /// 302 to the configured address.
    Redirect,
    /// A page of HTML.
    WrongType,
    /// Broken JSON.
    Garbage,
    /// 80 MiB.
    Huge,
    /// The body is sent piece by piece.
    Slow,
}

#[derive(Default)]
struct Queues {
    of_keys: HashMap<String, VecDeque<Act>>,
    /// For as long as they are set.
    meanwhile: HashMap<String, Act>,
    /// By a marker in the prompt.
    of_prompts: Vec<(String, VecDeque<Act>)>,
}

/// The acts that take precedence over a key's scenario, first in, first out. Cheap to clone; clones
/// share the queues.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<Queues>>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

impl Script {
    /// Appends an act to the key's queue: its next well-formed call takes it, on any endpoint.
    pub fn push(&self, key: &str, act: Act) {
        self.lock().of_keys.entry(key.to_owned()).or_default().push_back(act);
    }

    /// Appends an act to a marker's queue: the next message whose system prompt or last turn
    /// contains the marker takes it, with any key. Markers take precedence over keys, in the
    /// order of their first use.
    pub fn on_prompt(&self, marker: &str, act: Act) {
        let mut queues = self.lock();
        match queues.of_prompts.iter_mut().find(|(known, _)| known == marker) {
            Some((_, acts)) => acts.push_back(act),
            None => queues.of_prompts.push((marker.to_owned(), VecDeque::from([act]))),
        }
    }

    /// While an act is set, each of the key's well-formed calls for which nothing is queued takes it.
    pub fn meanwhile(&self, key: &str, act: Option<Act>) {
        let mut queues = self.lock();
        match act {
            Some(act) => drop(queues.meanwhile.insert(key.to_owned(), act)),
            None => drop(queues.meanwhile.remove(key)),
        }
    }

    /// How many of the key's acts have not been taken yet.
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
        let next = queues.of_keys.get_mut(key).and_then(VecDeque::pop_front);
        next.or_else(|| queues.meanwhile.get(key).cloned())
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
