//! Integrity of the log: positions, times and versions without a gap, every event's leaf, and the
//! tree. It needs no key and no view.

use super::report::Report;
use claviger_domain::id::write_hex;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{Head, StoredEvent};
use claviger_proof::{Frontier, leaf_hash};
use std::collections::HashMap;

/// The log as read so far.
#[derive(Default)]
pub(super) struct Integrity {
    frontier: Frontier,
    last_at: Timestamp,
    versions: HashMap<StreamName, u64>,
}

impl Integrity {
    /// Checks the next event.
    pub(super) fn take(&mut self, event: &StoredEvent, report: &mut Report) {
        let envelope = &event.envelope;
        let position = envelope.position;
        report.events += 1;
        if position != report.events {
            report.problem(format!("found position {position} instead of {}", report.events));
        }
        if envelope.at < self.last_at {
            report.problem(format!("position {position} is earlier than the one before it"));
        }
        self.last_at = envelope.at;
        let version = self.versions.entry(envelope.stream).or_default();
        *version += 1;
        if envelope.version != *version {
            report.problem(format!(
                "position {position}: {} has version {} instead of {version}",
                envelope.stream, envelope.version
            ));
        }
        let hash = leaf_hash(envelope, &event.facts, &event.content);
        if hash != event.leaf {
            report.problem(format!("position {position}: the event does not match its leaf"));
        }
        self.frontier.push(hash);
    }

    /// The root of the tree over the events so far.
    pub(super) fn root(&self) -> [u8; 32] {
        self.frontier.root()
    }

    /// Compares the stored head with the whole log.
    pub(super) fn end(self, head: &Head, report: &mut Report) {
        if head.position != report.events {
            report
                .problem(format!("the head is at {}, the log at {}", head.position, report.events));
        }
        if head.frontier.as_slice() != self.frontier.roots() {
            report.problem("the head's tree is not the tree of the log".to_owned());
        }
        let mut root = String::new();
        if write_hex(&mut root, &self.frontier.root()).is_ok() {
            report.root = root;
        }
        report.streams = self.versions.len() as u64;
    }
}
