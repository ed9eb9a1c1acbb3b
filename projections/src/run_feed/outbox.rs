//! What waits for a slow reader, with its text put together.

use super::message::{Body, FeedMessage};
use std::collections::VecDeque;

/// Messages on their way to one reader, in order. Text that waits is put together, piece to piece of the same attempt, so that who reads
/// slowly gets fewer and larger pieces; nothing is dropped. Whoever fills it stops while it is full: the store keeps the rest.
#[derive(Debug)]
pub struct Outbox {
    messages: VecDeque<FeedMessage>,
    max_messages: usize,
    max_bytes: usize,
}

impl Outbox {
    /// An empty one, full with so many messages; no piece of text is made larger than `max_bytes`.
    pub const fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self { messages: VecDeque::new(), max_messages, max_bytes }
    }

    /// No more should be put in before something is taken out.
    pub fn is_full(&self) -> bool {
        self.messages.len() >= self.max_messages
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Puts a message behind the others.
    pub fn push(&mut self, message: FeedMessage) {
        let FeedMessage { cursor, body } = message;
        match self.merge(cursor, body) {
            None => {}
            Some(body) => self.messages.push_back(FeedMessage { cursor, body }),
        }
    }

    /// Takes the first message out.
    pub fn pop(&mut self) -> Option<FeedMessage> {
        self.messages.pop_front()
    }

    /// Puts a piece of text to the one before it, if that waits and nothing but text of other attempts came since. Then the piece keeps
    /// its own, earlier cursor: a reader that comes back with it hasn't had those others yet, and drops what it has by its offset.
    fn merge(&mut self, cursor: super::FeedCursor, body: Body) -> Option<Body> {
        let Body::Delta(next) = body else { return Some(body) };
        for (back, waiting) in self.messages.iter_mut().rev().enumerate() {
            let Body::Delta(before) = &mut waiting.body else { break };
            if (before.step, before.attempt) != (next.step, next.attempt) {
                continue;
            }
            if before.end() != next.offset || before.text.len() + next.text.len() > self.max_bytes {
                break;
            }
            before.text.push_str(&next.text);
            if back == 0 {
                waiting.cursor = cursor;
            }
            return None;
        }
        Some(Body::Delta(next))
    }
}
