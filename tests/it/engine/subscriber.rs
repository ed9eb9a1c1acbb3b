//! A subscriber that follows the client's rule for text, and checks the messages that it receives
//! against it: a piece begins within what is held of its attempt, and a superseded attempt keeps
//! the bytes that its message names.

use claviger_domain::id::StepId;
use claviger_domain::orchestration::{RunEvent, StepState};
use claviger_projections::run_feed::{Body, FeedCursor, FeedMessage, Superseded};
use std::collections::{HashMap, HashSet};

/// What a subscriber holds of one run, over all its connections.
#[derive(Debug, Default)]
pub(super) struct Subscriber {
    /// Where it left off, and where it was before: stock clients resend what they sent first.
    pub(super) cursors: Vec<FeedCursor>,
    /// Text by step and attempt.
    held: HashMap<(StepId, u32), String>,
    /// Attempts whose text was declared void.
    void: HashSet<(StepId, u32)>,
    /// Events come one after another, from the first connection to the last.
    version: u64,
    /// Of this connection.
    last: Option<FeedCursor>,
    /// Steps whose text added up.
    pub(super) added_up: usize,
    /// Gaps it received.
    pub(super) gaps: usize,
    pub(super) is_over: bool,
}

impl Subscriber {
    /// Begins another connection behind this cursor.
    pub(super) fn connects(&mut self, after: Option<FeedCursor>) {
        self.last = after;
    }

    /// Takes a message in.
    pub(super) fn take(&mut self, message: FeedMessage) {
        let FeedMessage { cursor, body } = message;
        assert!(!self.is_over, "nothing follows the end");
        assert!(self.last.is_none_or(|last| last < cursor), "{:?} {cursor:?}", self.last);
        self.last = Some(cursor);
        self.cursors.push(cursor);
        match body {
            Body::Snapshot { view, partial } => {
                assert_eq!(self.version, 0, "a snapshot comes first");
                self.version = view.run.version;
                for one in partial.iter() {
                    self.held.insert((one.step, one.attempt), one.text.clone());
                }
            }
            Body::Event { event, .. } => {
                assert!(
                    event.version() <= self.version + 1,
                    "an event is missing before {}",
                    event.version()
                );
                self.version = self.version.max(event.version());
                if let RunEvent::StepCompleted(facts, Some(reply)) = &event.event {
                    self.completed(facts.step, facts.attempt, &reply.text);
                }
            }
            Body::Delta(delta) => {
                let held = self.held.entry((delta.step, delta.attempt)).or_default();
                let known = (held.len() as u64)
                    .checked_sub(delta.offset)
                    .expect("no text is missing before this piece");
                // What is held already is dropped; it may be all of the piece.
                let known = usize::try_from(known).unwrap();
                if let Some((again, new)) = delta.text.split_at_checked(known) {
                    assert!(held.ends_with(again), "the same place has the same text");
                    held.push_str(new);
                }
            }
            Body::AttemptSuperseded { step, attempt, keep_bytes, reason } => {
                let held = self.held.entry((step, attempt)).or_default();
                match reason {
                    Superseded::TakenOver => {
                        let keep = usize::try_from(keep_bytes).unwrap();
                        assert!(keep <= held.len(), "what is kept was received before");
                        held.truncate(keep);
                    }
                    Superseded::Failed(_) => {
                        assert_eq!(keep_bytes, 0);
                        self.void.insert((step, attempt));
                    }
                }
            }
            Body::Gap(texts) => {
                self.gaps += 1;
                for one in texts.iter() {
                    self.held.insert((one.step, one.attempt), one.text.clone());
                }
            }
            Body::Terminal(view) => {
                self.is_over = true;
                let running = view
                    .run
                    .steps
                    .iter()
                    .any(|step| matches!(step.state, StepState::Running { .. }));
                assert!(view.run.phase.is_final() && !running);
            }
        }
    }

    /// The text of a completed step is what was received of its attempt, byte for byte; text of its
    /// earlier attempts was declared void.
    fn completed(&mut self, step: StepId, attempt: u32, text: &str) {
        let told = self.held.get(&(step, attempt)).map_or("", String::as_str);
        assert_eq!(told, text, "attempt {attempt}");
        self.added_up += 1;
        let marked = |(of, before): &(StepId, u32)| {
            *of != step || *before == attempt || self.void.contains(&(*of, *before))
        };
        let seen = self.held.iter().filter(|(_, text)| !text.is_empty()).map(|(place, _)| place);
        assert!(seen.into_iter().all(marked), "void text isn't marked");
        assert!(!self.void.contains(&(step, attempt)), "the text that counts is marked as void");
    }
}
