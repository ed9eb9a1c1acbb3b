//! Assembles a message from its events: a state machine that does no IO.

use super::super::error::Malformed;
use super::super::headers::clean_id;
use super::item::CallItem;
use claviger_domain::orchestration::{StopReason, Usage};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        index: u64,
        content_block: Block,
    },
    ContentBlockDelta {
        index: u64,
        delta: Delta,
    },
    ContentBlockStop,
    MessageDelta {
        delta: Stop,
        #[serde(default)]
        usage: Option<WireUsage>,
    },
    MessageStop,
    Error,
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Start {
    id: String,
    #[serde(default)]
    usage: WireUsage,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Stop {
    #[serde(default)]
    stop_reason: Option<String>,
}

/// Each number is cumulative; a missing one keeps the known value.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct WireUsage {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation: Option<WireWrites>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct WireWrites {
    #[serde(default)]
    ephemeral_1h_input_tokens: Option<u64>,
}

impl WireUsage {
    fn over(self, known: Usage) -> Usage {
        let hour = self
            .cache_creation
            .and_then(|writes| writes.ephemeral_1h_input_tokens)
            .unwrap_or(known.cache_write_1h);
        let writes = self.cache_creation_input_tokens.unwrap_or(known.cache_write());
        Usage {
            input: self.input_tokens.unwrap_or(known.input),
            output: self.output_tokens.unwrap_or(known.output),
            cache_write_5m: writes.saturating_sub(hour),
            cache_write_1h: hour,
            cache_read: self.cache_read_input_tokens.unwrap_or(known.cache_read),
        }
    }
}

/// The result of one event.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Progress {
    Item(CallItem),
    Nothing,
    /// The message is complete.
    Stopped,
    /// An `error` event: the caller has its bytes.
    Error,
}

/// A message as far as it has arrived.
#[derive(Debug, Default)]
pub(in super::super) struct Message {
    id: Option<String>,
    /// Whether another message may follow and make this one void.
    may_restart: bool,
    /// The open block's index, and whether it is a text block.
    block: Option<(u64, bool)>,
    stop_reason: Option<String>,
    stopped: bool,
    /// Tokens reported so far, cumulative.
    pub(in super::super) usage: Usage,
    /// Bytes of thinking that were discarded.
    pub(in super::super) thinking_bytes: u64,
}

impl Message {
    /// A message that its sender may start again. Over HTTP a call has exactly one.
    pub(in super::super) fn restartable() -> Self {
        Self { may_restart: true, ..Self::default() }
    }

    /// Takes one event.
    ///
    /// # Errors
    /// [`Malformed::Unreadable`] for an event that is invalid or out of order.
    pub(in super::super) fn take(&mut self, data: &[u8]) -> Result<Progress, Malformed> {
        let event = serde_json::from_slice(data).map_err(|_| Malformed::Unreadable)?;
        Ok(match event {
            Event::MessageStart { .. } if self.id.is_some() && !self.may_restart => {
                return Err(Malformed::Unreadable);
            }
            Event::MessageStart { message } => Progress::Item(self.start(&message)),
            Event::Error => Progress::Error,
            Event::Unknown => Progress::Nothing,
            _ if self.id.is_none() => return Err(Malformed::Unreadable),
            Event::ContentBlockStart { index, content_block } => {
                let is_text = content_block.kind == "text";
                self.block = Some((index, is_text));
                told(content_block.text.filter(|_| is_text))
            }
            Event::ContentBlockDelta { index, delta } => self.delta(index, delta)?,
            Event::ContentBlockStop => {
                self.block = None;
                Progress::Nothing
            }
            Event::MessageDelta { delta, usage } => {
                self.stop_reason = delta.stop_reason.or(self.stop_reason.take());
                self.usage = usage.unwrap_or_default().over(self.usage);
                Progress::Item(CallItem::Usage(self.usage))
            }
            Event::MessageStop if self.stop_reason.is_none() => return Err(Malformed::Unreadable),
            Event::MessageStop => {
                self.stopped = true;
                Progress::Stopped
            }
        })
    }

    fn start(&mut self, start: &Start) -> CallItem {
        let message_id = clean_id(start.id.as_bytes()).unwrap_or_default();
        let fresh = Self { may_restart: self.may_restart, ..Self::default() };
        let before = std::mem::replace(self, fresh);
        self.usage = start.usage.over(Usage::default());
        self.id = Some(message_id.clone());
        match before.id {
            None => CallItem::Started { message_id, usage: self.usage },
            Some(_) => CallItem::Restarted { message_id, usage: self.usage, void: before.usage },
        }
    }

    fn delta(&mut self, index: u64, delta: Delta) -> Result<Progress, Malformed> {
        let is_text = self.block.filter(|(open, _)| *open == index).ok_or(Malformed::Unreadable)?.1;
        Ok(match delta {
            Delta::Text { text } => told(Some(text).filter(|_| is_text)),
            Delta::Thinking { thinking } => {
                self.thinking_bytes = self
                    .thinking_bytes
                    .saturating_add(u64::try_from(thinking.len()).unwrap_or(u64::MAX));
                Progress::Nothing
            }
            Delta::Unknown => Progress::Nothing,
        })
    }

    pub(in super::super) const fn is_whole(&self) -> bool {
        self.stopped
    }

    /// Why it ended; `None` when the model refused.
    pub(in super::super) fn stop_reason(&self) -> Option<StopReason> {
        match self.stop_reason.as_deref() {
            Some("refusal") => None,
            Some("end_turn") => Some(StopReason::EndTurn),
            Some("stop_sequence") => Some(StopReason::StopSequence),
            Some("max_tokens") => Some(StopReason::MaxTokens),
            Some("model_context_window_exceeded") => Some(StopReason::ContextWindow),
            Some(_) | None => Some(StopReason::Other),
        }
    }
}

fn told(text: Option<String>) -> Progress {
    text.filter(|text| !text.is_empty())
        .map_or(Progress::Nothing, |text| Progress::Item(CallItem::Text(text)))
}
