//! Integrity of the log: positions, times and versions without a gap, every event's leaf, and the
//! tree. It needs no key and no view. After a gap, or an event that can't be read, it goes on with
//! what comes next: one loss is one problem.

use super::report::Report;
use claviger_domain::id::write_hex;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{Head, StoredEvent};
use claviger_proof::{Frontier, leaf_hash};
use std::collections::HashMap;

/// The log as read so far.
pub(super) struct Integrity {
    /// The head before the log was read.
    head: Head,
    /// The tree's frontier and the time at that head, once it is reached.
    at_head: Option<(Vec<[u8; 32]>, Timestamp)>,
    frontier: Frontier,
    last_at: Timestamp,
    /// The last position that was found.
    last: u64,
    /// Events are missing or can't be read, so versions and the tree can't be as they were.
    has_holes: bool,
    versions: HashMap<StreamName, u64>,
}

impl Integrity {
    /// Nothing is read yet.
    pub(super) fn new(head: Head) -> Self {
        let at_head = (head.position == 0).then(|| (Vec::new(), head.at));
        Self {
            head,
            at_head,
            frontier: Frontier::default(),
            last_at: Timestamp::default(),
            last: 0,
            has_holes: false,
            versions: HashMap::new(),
        }
    }

    /// Checks the next event. Returns whether it matches its leaf.
    pub(super) fn take(&mut self, event: &StoredEvent, report: &mut Report) -> bool {
        let envelope = &event.envelope;
        let position = envelope.position;
        report.events += 1;
        self.reach(position, report);
        if envelope.at < self.last_at {
            report.problem(format!("position {position} is earlier than the one before it"));
        }
        self.last_at = envelope.at;
        let last = self.versions.insert(envelope.stream, envelope.version).unwrap_or_default();
        let expected = last.saturating_add(1);
        let may_skip = self.has_holes && envelope.version > expected;
        if envelope.version != expected && !may_skip {
            report.problem(format!(
                "position {position}: {} has version {} instead of {expected}",
                envelope.stream, envelope.version
            ));
        }
        let hash = leaf_hash(envelope, &event.facts, &event.content);
        if hash != event.leaf {
            report.problem(format!("position {position}: the event does not match its leaf"));
        }
        self.frontier.push(hash);
        if position == self.head.position {
            self.at_head = Some((self.frontier.roots().to_vec(), envelope.at));
        }
        hash == event.leaf
    }

    /// The root of the tree over the events so far.
    pub(super) fn root(&self) -> [u8; 32] {
        self.frontier.root()
    }

    /// An event can't be read.
    pub(super) fn unreadable(&mut self, position: Option<u64>, why: &str, report: &mut Report) {
        report.events += 1;
        if let Some(position) = position {
            self.reach(position, report);
            report.problem(format!("position {position} cannot be read: {why}"));
        } else {
            report.problem(format!("an event cannot be read: {why}"));
        }
        self.has_holes = true;
    }

    fn reach(&mut self, position: u64, report: &mut Report) {
        let expected = self.last.saturating_add(1);
        if position > expected {
            let last = position - 1;
            report.problem(if last == expected {
                format!("position {expected} is missing: restore the log from a backup")
            } else {
                format!("positions {expected} to {last} are missing: restore the log from a backup")
            });
            self.has_holes = true;
        } else if position < expected {
            report.problem(format!("found position {position} instead of {expected}"));
        }
        self.last = self.last.max(position);
    }

    /// Whether events are missing or unreadable so far.
    pub(super) const fn has_holes(&self) -> bool {
        self.has_holes
    }

    /// The last position that was found.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// Compares the head with the log up to it. Events behind it were appended meanwhile.
    pub(super) fn end(self, report: &mut Report) {
        let head = &self.head;
        if head.position > self.last {
            report.problem(format!("the head is at {}, the log at {}", head.position, self.last));
        }
        match &self.at_head {
            Some((_, at)) if head.at != *at => {
                report.problem("the head has another time than the last event".to_owned());
            }
            Some(_) | None => {}
        }
        if self.at_head.as_ref().map(|(roots, _)| roots) != Some(&head.frontier) {
            report.problem("the head's tree is not the tree of the log".to_owned());
        }
        let mut root = String::new();
        if write_hex(&mut root, &self.frontier.root()).is_ok() {
            report.root = root;
        }
        report.streams = self.versions.len() as u64;
    }
}
