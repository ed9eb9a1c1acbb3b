//! How much of the text under way a stream has sent.
//!
//! A feed may join pieces of one agent's text that have another's between them, and then says how
//! far the text reaches by offsets. The events of this face have no offsets, so what was sent before
//! is cut off here, and the ids of events say how much that was.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::id::StepId;
use claviger_domain::orchestration::RunEvent;
use claviger_projections::run_feed::{Body, FeedMessage, TextDelta};
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// Bytes of an entry: step, attempt, end.
const ENTRY: usize = 28;

/// By step: the attempt, and the bytes of its text that have been sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SentTexts(BTreeMap<Uuid, (u32, u64)>);

/// What is left of a message.
pub(super) enum Rest {
    All,
    Some(FeedMessage),
    Nothing,
}

impl SentTexts {
    /// Reads what [`fmt::Display`] wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (entries, left) = bytes.as_chunks::<ENTRY>();
        let entry = |bytes: &[u8; ENTRY]| {
            let (step, rest) = bytes.split_first_chunk()?;
            let (attempt, end) = rest.split_first_chunk()?;
            let end = u64::from_be_bytes(end.try_into().ok()?);
            Some((Uuid::from_bytes(*step), (u32::from_be_bytes(*attempt), end)))
        };
        let sent = entries.iter().map(entry).collect::<Option<_>>()?;
        left.is_empty().then_some(Self(sent))
    }

    /// The part of a message that has not been sent. From now on it counts as sent.
    pub(super) fn rest_of(&mut self, message: &FeedMessage) -> Rest {
        match &message.body {
            Body::Delta(delta) => self.rest_of_delta(message, delta),
            Body::Event { event, .. } => {
                if let Some(step) = settled(&event.event) {
                    self.0.remove(&step.0);
                }
                Rest::All
            }
            Body::Terminal(_) => {
                self.0.clear();
                Rest::All
            }
            Body::Snapshot { .. } | Body::AttemptSuperseded { .. } | Body::Gap(_) => Rest::All,
        }
    }

    fn rest_of_delta(&mut self, message: &FeedMessage, delta: &TextDelta) -> Rest {
        let sent = self.0.get(&delta.step.0).filter(|(attempt, _)| *attempt == delta.attempt);
        let sent = sent.map_or(0, |(_, end)| *end);
        if delta.end() <= sent {
            return Rest::Nothing;
        }
        self.0.insert(delta.step.0, (delta.attempt, delta.end()));
        let known = usize::try_from(sent.saturating_sub(delta.offset)).unwrap_or(usize::MAX);
        match delta.text.get(known..) {
            // A made-up id may point into a character: then all of it is sent.
            Some(_) if known == 0 => Rest::All,
            None => Rest::All,
            Some(text) => {
                let part = TextDelta { offset: sent, text: text.to_owned(), ..delta.clone() };
                Rest::Some(FeedMessage { cursor: message.cursor, body: Body::Delta(part) })
            }
        }
    }
}

/// The step whose text has no more to come, or begins anew.
const fn settled(event: &RunEvent) -> Option<StepId> {
    match event {
        RunEvent::StepCompleted(facts, _) => Some(facts.step),
        RunEvent::StepAttemptFailed(facts, _) => Some(facts.step),
        RunEvent::RunRequested(..)
        | RunEvent::RunClaimed(_)
        | RunEvent::StepsPlanned(_)
        | RunEvent::StepAttemptStarted(_)
        | RunEvent::StepSkipped(_)
        | RunEvent::FallbackApplied(..)
        | RunEvent::RunPaused(_)
        | RunEvent::RunHalted(_)
        | RunEvent::RunStalled(_)
        | RunEvent::PartsGiven(_)
        | RunEvent::RunResumed(_)
        | RunEvent::RunCancelled(_)
        | RunEvent::RunCompleted(_)
        | RunEvent::RunFailed(..) => None,
    }
}

impl fmt::Display for SentTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(self.0.len() * ENTRY);
        for (step, (attempt, end)) in &self.0 {
            bytes.extend_from_slice(step.as_bytes());
            bytes.extend_from_slice(&attempt.to_be_bytes());
            bytes.extend_from_slice(&end.to_be_bytes());
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}
