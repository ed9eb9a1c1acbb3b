//! The messages that wait for a slow reader, with adjacent text merged.

use super::message::{Body, FeedMessage};
use std::collections::VecDeque;

/// Messages on their way to one reader, in order. Waiting pieces of text of the same attempt are
/// merged, so that a slow reader gets fewer and larger pieces; nothing is dropped. The writer stops
/// while the outbox is full: the store, or a [`super::SharedFeed`], keeps the rest.
#[derive(Debug)]
pub struct Outbox {
    messages: VecDeque<FeedMessage>,
    /// Of the messages.
    bytes: usize,
    max_messages: usize,
    max_piece: usize,
    max_bytes: usize,
}

impl Outbox {
    /// An empty outbox that is full with `max_messages` messages. Merging makes no piece of text
    /// larger than `max_piece` bytes.
    pub const fn new(max_messages: usize, max_piece: usize) -> Self {
        let messages = VecDeque::new();
        Self { messages, bytes: 0, max_messages, max_piece, max_bytes: usize::MAX }
    }

    /// The same, also full with this many bytes.
    #[must_use]
    pub fn holding(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// About how many bytes the messages take.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing should be pushed before something is popped.
    pub fn is_full(&self) -> bool {
        self.messages.len() >= self.max_messages || self.bytes >= self.max_bytes
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Adds a message at the end.
    pub fn push(&mut self, message: FeedMessage) {
        let FeedMessage { cursor, body } = message;
        match self.merge(cursor, body) {
            None => {}
            Some(body) => {
                let message = FeedMessage { cursor, body };
                self.bytes = self.bytes.saturating_add(message.bytes());
                self.messages.push_back(message);
            }
        }
    }

    /// Removes the first message.
    pub fn pop(&mut self) -> Option<FeedMessage> {
        let message = self.messages.pop_front()?;
        self.bytes = self.bytes.saturating_sub(message.bytes());
        Some(message)
    }

    /// Merges a piece of text into the piece before it, if that one waits and only text of other
    /// attempts came in between. The merged piece keeps the earlier cursor: a reader that resumes
    /// from it has not received those other texts yet, and drops the overlap by its offset.
    fn merge(&mut self, cursor: super::FeedCursor, body: Body) -> Option<Body> {
        let Body::Delta(next) = body else { return Some(body) };
        for (back, waiting) in self.messages.iter_mut().rev().enumerate() {
            let Body::Delta(before) = &mut waiting.body else { break };
            if (before.step, before.attempt) != (next.step, next.attempt) {
                continue;
            }
            if before.end() != next.offset || before.text.len() + next.text.len() > self.max_piece {
                break;
            }
            before.text.push_str(&next.text);
            self.bytes = self.bytes.saturating_add(next.text.len());
            if back == 0 {
                waiting.cursor = cursor;
            }
            return None;
        }
        Some(Body::Delta(next))
    }
}
