//! Assembles a message from its events: a state machine that does no IO.
//!
//! It takes what Anthropic's own clients take (`ops/anthropic-sdk`), and passes over what it doesn't
//! know. It is strict about what changes the text or the bill.

use super::super::error::Malformed;
use super::super::headers::clean_id;
use super::super::prices::Terms;
use super::super::words::clean;
use super::blocks::Blocks;
use super::counts::Counts;
use super::item::CallItem;
use super::json::{Count, Fields};
use claviger_domain::orchestration::{StopReason, Usage};

/// The result of one event.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Progress {
    Items(Vec<CallItem>),
    /// An `error` event: the caller has its bytes.
    Error,
}

const NOTHING: Progress = Progress::Items(Vec::new());

/// A message as far as it has arrived.
#[derive(Debug, Default)]
pub(in super::super) struct Message {
    id: Option<String>,
    /// Whether another message may follow and make this one void.
    may_restart: bool,
    /// Whether the events of this message have names. One without a name is none of them then.
    is_named: bool,
    blocks: Blocks,
    counts: Counts,
    stop_reason: Option<String>,
    /// Upstream's words about a refusal.
    refusal: Option<String>,
    stopped: bool,
    /// Bytes of thinking that were discarded.
    pub(in super::super) thinking_bytes: u64,
}

impl Message {
    /// A message that its sender may start again. Over HTTP a call has exactly one.
    pub(in super::super) fn restartable() -> Self {
        Self { may_restart: true, ..Self::default() }
    }

    /// Takes one event: its name, if it has one, and its data.
    ///
    /// # Errors
    /// [`Malformed::Unreadable`] for an event that is out of order, or of which a part cannot be
    /// read that the text depends on.
    pub(in super::super) fn take(
        &mut self,
        name: Option<&[u8]>,
        data: &[u8],
    ) -> Result<Progress, Malformed> {
        let name = name.map(|name| str::from_utf8(name).unwrap_or_default());
        match name {
            Some("error") => return Ok(Progress::Error),
            Some("ping") => return Ok(NOTHING),
            None if self.is_named => return Ok(NOTHING),
            _ => {}
        }
        let is_ours = name.map_or(self.id.is_some(), is_known);
        let fields = match Fields::read(data) {
            Some(fields) => fields,
            None if data.is_empty() && name == Some("message_stop") => Fields::default(),
            // A name alone, the end mark of other services, or an event that is not known.
            None if data.is_empty() || data == b"[DONE]" || !is_ours => return Ok(NOTHING),
            None => return Err(Malformed::Unreadable),
        };
        let kind = fields.text("type");
        let kind = kind.as_deref().or(name).unwrap_or_default();
        if kind == "error" {
            return Ok(Progress::Error);
        }
        if !is_known(kind) {
            return Ok(NOTHING);
        }
        if kind == "message_start" {
            return self.start(&fields, name.is_some());
        }
        if self.id.is_none() {
            return Err(Malformed::Unreadable);
        }
        self.go_on(kind, &fields)
    }

    /// An event after the start.
    fn go_on(&mut self, kind: &str, fields: &Fields<'_>) -> Result<Progress, Malformed> {
        let index = match fields.count("index") {
            Count::Known(index) => Some(index),
            Count::Absent => None,
            Count::Unreadable => return Err(Malformed::Unreadable),
        };
        Ok(match kind {
            "content_block_start" => {
                let block = fields.object("content_block").unwrap_or_default();
                said(self.block(index, &block)?)
            }
            "content_block_delta" => said(self.delta(index, fields)?),
            "content_block_stop" => said(self.blocks.stop(index)),
            "message_delta" => {
                let delta = fields.object("delta").unwrap_or_default();
                self.stop_reason = delta.text("stop_reason").or(self.stop_reason.take());
                let details = delta.object("stop_details");
                self.refusal =
                    details.and_then(|details| in_words(&details)).or(self.refusal.take());
                self.counts.end(fields.object("usage").as_ref());
                Progress::Items(vec![CallItem::Usage(self.usage())])
            }
            "message_stop" => {
                self.stopped = true;
                said(self.blocks.finish())
            }
            _ => NOTHING,
        })
    }

    fn start(&mut self, fields: &Fields<'_>, is_named: bool) -> Result<Progress, Malformed> {
        let message = fields.object("message").unwrap_or_default();
        let id = message.text("id").and_then(|id| clean_id(id.as_bytes())).unwrap_or_default();
        if self.id.is_some() && !self.may_restart {
            // Said twice, it is the same message.
            let is_same = !id.is_empty() && self.id.as_ref() == Some(&id) && self.blocks.is_empty();
            return if is_same { Ok(NOTHING) } else { Err(Malformed::Unreadable) };
        }
        let fresh = Self { may_restart: self.may_restart, is_named, ..Self::default() };
        let before = std::mem::replace(self, fresh);
        self.counts.begin(message.object("usage").as_ref());
        self.stop_reason = message.text("stop_reason");
        self.id = Some(id.clone());
        let usage = self.usage();
        let mut items = vec![match before.id {
            None => CallItem::Started { message_id: id, usage },
            Some(_) => CallItem::Restarted { message_id: id, usage, void: before.counts.usage() },
        }];
        // Upstream sends no content here; what comes here is part of the message all the same.
        for block in message.list("content") {
            let block = Fields::read(block.get().as_bytes()).unwrap_or_default();
            let text = self.block(None, &block)? + &self.blocks.stop(None);
            items.extend(item(text));
        }
        Ok(Progress::Items(items))
    }

    fn block(&mut self, index: Option<u64>, block: &Fields<'_>) -> Result<String, Malformed> {
        let is_text = block.text("type").map(|kind| kind == "text");
        let first = if is_text == Some(false) { None } else { block.wide("text") };
        self.blocks.start(index, is_text, first)
    }

    fn delta(&mut self, index: Option<u64>, fields: &Fields<'_>) -> Result<String, Malformed> {
        let delta = fields.object("delta").ok_or(Malformed::Unreadable)?;
        let kind = delta.text("type");
        match kind.as_deref() {
            Some("text_delta") => {
                self.blocks.text(index, delta.wide("text").ok_or(Malformed::Unreadable)?)
            }
            Some("thinking_delta") => {
                let bytes = delta.wide("thinking").map_or(0, |thinking| thinking.0.len());
                self.thinking_bytes =
                    self.thinking_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
                Ok(String::new())
            }
            Some(_) => Ok(String::new()),
            None => {
                delta.wide("text").map_or(Ok(String::new()), |text| self.blocks.text(index, text))
            }
        }
    }

    /// Tokens reported so far, cumulative.
    pub(in super::super) fn usage(&self) -> Usage {
        self.counts.usage()
    }

    /// The tokens of the whole message, and what its price depends on besides them.
    pub(in super::super) fn bill(&self) -> (Usage, Terms) {
        self.counts.bill(self.is_refused() && self.blocks.is_empty())
    }

    pub(in super::super) const fn has_started(&self) -> bool {
        self.id.is_some()
    }

    pub(in super::super) const fn is_whole(&self) -> bool {
        self.stopped
    }

    fn is_refused(&self) -> bool {
        self.stop_reason.as_deref() == Some("refusal")
    }

    /// Why the model refused, in a sentence; `None` if it didn't.
    pub(in super::super) fn refusal(&self) -> Option<String> {
        self.is_refused().then(|| match &self.refusal {
            Some(why) => format!("the model refused to answer: {why}"),
            None => "the model refused to answer".to_owned(),
        })
    }

    pub(in super::super) fn stop_reason(&self) -> StopReason {
        match self.stop_reason.as_deref() {
            Some("end_turn") => StopReason::EndTurn,
            Some("stop_sequence") => StopReason::StopSequence,
            Some("max_tokens") => StopReason::MaxTokens,
            Some("model_context_window_exceeded") => StopReason::ContextWindow,
            Some(_) | None => StopReason::Other,
        }
    }
}

fn is_known(kind: &str) -> bool {
    matches!(
        kind,
        "message_start"
            | "content_block_start"
            | "content_block_delta"
            | "content_block_stop"
            | "message_delta"
            | "message_stop"
    )
}

/// Upstream's details of a refusal: its category, and an explanation.
fn in_words(details: &Fields<'_>) -> Option<String> {
    let of =
        |name: &str| details.text(name).map(|text| clean(&text)).filter(|text| !text.is_empty());
    match (of("explanation"), of("category")) {
        (Some(why), Some(category)) => Some(format!("{why} (category {category})")),
        (Some(why), None) => Some(why),
        (None, Some(category)) => Some(format!("category {category}")),
        (None, None) => None,
    }
}

fn item(text: String) -> Option<CallItem> {
    (!text.is_empty()).then_some(CallItem::Text(text))
}

fn said(text: String) -> Progress {
    item(text).map_or(NOTHING, |item| Progress::Items(vec![item]))
}
