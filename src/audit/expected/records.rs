//! Command records, compared with the events that they name. The log does not say which commands
//! left a record, so a missing one can't be found.

use crate::bus::RECORD_MS;
use claviger_domain::id::{CommandId, EventId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{CommandRecord, StoredEvent};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// An event that a record names.
struct Named {
    position: u64,
    stream: StreamName,
    version: u64,
    /// Who gave the command; the owner of the stream where it was nobody's.
    actor: Option<UserId>,
    subject: Option<Uuid>,
    command: CommandId,
    at: Timestamp,
}

/// The records that were in the store before the log was read.
#[derive(Default)]
pub(crate) struct Records {
    by_command: BTreeMap<CommandId, CommandRecord>,
    named: HashMap<EventId, Option<Named>>,
    /// Commands with an event that their record doesn't name.
    short: Vec<CommandId>,
}

impl Records {
    pub(crate) fn add(&mut self, record: CommandRecord) {
        self.named.extend(record.event_ids.iter().map(|id| (*id, None)));
        self.by_command.insert(record.command_id, record);
    }

    pub(super) fn take(&mut self, event: &StoredEvent) {
        let envelope = &event.envelope;
        if let Some(named) = self.named.get_mut(&envelope.id) {
            *named = Some(Named {
                position: envelope.position,
                stream: envelope.stream,
                version: envelope.version,
                actor: envelope.actor.user.or(envelope.owner),
                subject: event.subject,
                command: envelope.command_id,
                at: envelope.at,
            });
        } else if self.by_command.contains_key(&envelope.command_id) {
            self.short.push(envelope.command_id);
        }
    }

    /// Each record that the log doesn't bear out, and why.
    pub(crate) fn problems(&self) -> impl Iterator<Item = (&CommandRecord, &'static str)> {
        self.by_command.values().filter_map(|record| Some((record, self.wrong(record)?)))
    }

    fn wrong(&self, record: &CommandRecord) -> Option<&'static str> {
        let named: Option<Vec<&Named>> =
            record.event_ids.iter().map(|id| self.named.get(id)?.as_ref()).collect();
        let Some(named) = named else { return Some("names an event that is not in the log") };
        let (Some(first), Some(last)) = (named.first(), named.last()) else {
            return Some("names no event");
        };
        if first.command != record.command_id || self.short.contains(&record.command_id) {
            return Some("does not name the events of its command");
        }
        if !named.is_sorted_by_key(|event| event.position) {
            return Some("does not name its events in order");
        }
        if (last.position, last.stream, last.version)
            != (record.position, record.stream, record.version)
        {
            return Some("does not end where its last event is");
        }
        if named.iter().any(|event| event.actor != Some(record.owner)) {
            return Some("belongs to another user than the one who gave the command");
        }
        let mut subjects = named.iter().filter_map(|event| event.subject).peekable();
        if subjects.peek().is_some() && !subjects.any(|subject| Some(subject) == record.subject) {
            return Some("is about something else than its events");
        }
        (record.expires_at > first.at.plus_ms(RECORD_MS)).then_some("is kept for too long")
    }

    /// All records.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &CommandRecord> {
        self.by_command.values()
    }
}
