//! What the tables beside the log must hold, folded from the log. It grows with accounts, keys,
//! runs and unforgotten command records, not with events or text.

mod records;
mod run;
mod user;

pub(super) use records::Records;
pub(super) use run::RunText;
pub(super) use user::{Began, User};

use crate::keychain::Keychain;
use claviger_domain::account::AccountEvent;
use claviger_domain::catalogue::{Readable, Requirement};
use claviger_domain::event::{EnvelopeVersion, Payload};
use claviger_domain::id::{MasterKeyId, RunId, UserId};
use claviger_domain::key_ring::KeyRingEvent;
use claviger_domain::orchestration::{RunControlEvent, RunEvent};
use claviger_domain::stream::StreamName;
use claviger_domain::system::SystemEvent;
use claviger_projections::ports::StoredEvent;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A stream with sealed content.
pub(super) struct Sealed {
    pub(super) owner: UserId,
    /// Position of its first event with content.
    pub(super) first: u64,
    /// Number of its events with content.
    pub(super) events: u64,
}

#[derive(Default)]
pub(super) struct Expected {
    pub(super) users: BTreeMap<UserId, User>,
    pub(super) runs: BTreeMap<RunId, RunText>,
    pub(super) sealed: BTreeMap<StreamName, Sealed>,
    /// Number of boxes of each event that has several.
    pub(super) boxes: BTreeMap<u64, u64>,
    /// What a program must be able to read, beyond what every program reads, and the first position
    /// that needs it.
    pub(super) required: BTreeMap<Requirement, u64>,
    /// The newest master key, once there was a rotation.
    pub(super) master_key: Option<MasterKeyId>,
    pub(super) records: Records,
}

impl Expected {
    pub(super) fn new(records: Records) -> Self {
        Self { records, ..Self::default() }
    }

    /// Folds an event, whose content was opened where it could be. An event that can't be decoded
    /// is another's to report. Returns the problems of its filter columns.
    pub(super) fn take(
        &mut self,
        event: &StoredEvent,
        content: Option<&[u8]>,
        keychain: &Keychain,
    ) -> Option<&'static str> {
        let envelope = &event.envelope;
        self.records.take(event);
        self.require(event);
        if event.content.len() > 1 {
            self.boxes.insert(envelope.position, event.content.len() as u64);
        }
        if let (Some(owner), false) = (envelope.owner, event.content.is_empty()) {
            let first = envelope.position;
            let sealed = Sealed { owner, first, events: 0 };
            self.sealed.entry(envelope.stream).or_insert(sealed).events += 1;
        }
        let subject = self.fold(event, content, keychain)?;
        if envelope.owner.is_some() && envelope.owner != owner_of(envelope.stream, envelope.owner) {
            return Some("the owner is not that of its stream");
        }
        (subject != event.subject).then_some("the subject is not what the event says")
    }

    /// What the event is about; `None` if it can't be decoded.
    #[expect(clippy::option_option, reason = "undecodable, about nothing, or about something")]
    fn fold(
        &mut self,
        event: &StoredEvent,
        content: Option<&[u8]>,
        keychain: &Keychain,
    ) -> Option<Option<Uuid>> {
        let envelope = &event.envelope;
        match envelope.stream {
            StreamName::KeyRing(owner) => {
                let decoded = decode::<KeyRingEvent>(event, content)?;
                let subject = decoded.subject();
                let user = self.users.entry(owner).or_default();
                user.key_event(owner, decoded, (envelope.command_id, envelope.at));
                Some(subject)
            }
            StreamName::Account(owner) => {
                let decoded = decode::<AccountEvent>(event, content)?;
                let subject = decoded.subject();
                if matches!(decoded, AccountEvent::AccountErased(_)) {
                    self.runs
                        .values_mut()
                        .filter(|run| run.owner == owner)
                        .for_each(RunText::erase);
                }
                self.users.entry(owner).or_default().account_event(
                    decoded,
                    (envelope.position, envelope.at),
                    keychain,
                );
                Some(subject)
            }
            StreamName::Run(run) => {
                let decoded = decode::<RunEvent>(event, content)?;
                if let Some(owner) = envelope.owner {
                    let run = self.runs.entry(RunId(run)).or_insert_with(|| RunText::of(owner));
                    run.take(&decoded, envelope.version, envelope.at);
                }
                Some(decoded.subject())
            }
            StreamName::RunControl(_) => Some(decode::<RunControlEvent>(event, content)?.subject()),
            StreamName::System => {
                let decoded = decode::<SystemEvent>(event, content)?;
                let subject = decoded.subject();
                match decoded {
                    SystemEvent::MasterKeyRotationStarted(facts) => {
                        self.master_key = Some(facts.to);
                    }
                    SystemEvent::MasterKeyRotated(_)
                    | SystemEvent::ProjectionRebuilt(_)
                    | SystemEvent::SigningStarted(_) => {}
                }
                Some(subject)
            }
        }
    }

    fn require(&mut self, event: &StoredEvent) {
        let envelope = &event.envelope;
        let version = envelope.envelope_version;
        let newer = (version != EnvelopeVersion::V1).then(|| Requirement::envelope(version));
        let kind = (!Readable::by_all(&envelope.kind, envelope.schema))
            .then(|| Requirement::event(&envelope.kind, envelope.schema));
        for requirement in newer.into_iter().chain(kind) {
            self.required.entry(requirement).or_insert(envelope.position);
        }
    }

    /// Whether a user's rows are destroyed.
    pub(super) fn is_erased(&self, owner: UserId) -> bool {
        self.users.get(&owner).is_some_and(|user| user.account.is_erased)
    }

    /// Users who must have a user key and an index key.
    pub(super) fn keyed(&self) -> BTreeSet<UserId> {
        let registered = self.users.iter().filter(|(_, user)| user.account.is_registered);
        let sealed = self.sealed.values().map(|sealed| sealed.owner);
        let all = registered.map(|(owner, _)| *owner).chain(sealed);
        all.filter(|owner| !self.is_erased(*owner)).collect()
    }

    /// The owner of a stream that the log knows.
    pub(super) fn owner(&self, stream: StreamName) -> Option<UserId> {
        match stream {
            StreamName::Account(owner) | StreamName::KeyRing(owner) => {
                self.users.contains_key(&owner).then_some(owner)
            }
            StreamName::Run(run) => self.runs.get(&RunId(run)).map(|run| run.owner),
            StreamName::RunControl(_) | StreamName::System => None,
        }
    }
}

/// Decoded without a line in the log: the fold of the views writes one.
fn decode<E: Payload>(event: &StoredEvent, content: Option<&[u8]>) -> Option<E> {
    E::decode(&event.envelope.kind, event.envelope.schema, &event.facts, content).ok()
}

fn owner_of(stream: StreamName, owner: Option<UserId>) -> Option<UserId> {
    match stream {
        StreamName::Account(owner) | StreamName::KeyRing(owner) => Some(owner),
        StreamName::Run(_) | StreamName::RunControl(_) => owner,
        StreamName::System => None,
    }
}
