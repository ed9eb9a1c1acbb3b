//! How a command on keys is decided, sealed and answered.

use super::Bus;
use super::executor::{Appended, Changes, Recipe};
use super::records::Repeat;
use crate::aggregates::Folds;
use crate::keychain::UserKeys;
use crate::keychain::scrub;
use crate::keychain::seal_events;
use crate::system::failure::store_failure;
use crate::views::{KeyRingRows, open_key};
use claviger_application::{Commit, KeyDone};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::event::Payload as _;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{CommandId, KeyId, UserId};
use claviger_domain::key_ring::{KeyRing, KeyRingCommand, KeyRingError, KeyRingEvent};
use claviger_domain::stream::StreamName;
use claviger_projections::keys::KeysView;
use claviger_projections::ports::{ClaimChange, ClaimKind, KEYS, RowChange};
use claviger_vault::ContentKey;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// The aggregate's command, with what belongs to it outside of the aggregate.
pub(super) struct PlannedKeyCommand {
    pub(super) command: KeyRingCommand,
    /// The secret to seal, for commands that contain one.
    pub(super) secret: Option<ApiKeySecret>,
    /// The key that the command adds or names; `None` if only the decision determines it.
    pub(super) subject: Option<KeyId>,
}

impl PlannedKeyCommand {
    /// A command on a key, without a secret.
    pub(super) fn on(key: KeyId, command: impl Into<KeyRingCommand>) -> Self {
        Self { command: command.into(), secret: None, subject: Some(key) }
    }
}

pub(super) struct KeyRecipe {
    pub(super) keys: Arc<UserKeys>,
    /// The id that the rows of timers refer to.
    pub(super) command_id: CommandId,
    pub(super) command: PlannedKeyCommand,
}

/// The result of a key command, with the events that it committed.
pub(super) struct KeyResult {
    pub(super) done: KeyDone,
    pub(super) events: Vec<KeyRingEvent>,
}

impl Recipe for KeyRecipe {
    type State = KeyRing;
    type Output = KeyResult;

    fn stream(&self) -> StreamName {
        StreamName::KeyRing(self.keys.owner)
    }

    fn folds(bus: &Bus) -> Option<&Folds<KeyRing>> {
        Some(&bus.aggregates.rings)
    }

    async fn decide(&mut self, bus: &Bus, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, Failure> {
        let decided = self.command.command.clone().decide(ring);
        let events = decided.map_err(|error| refusal(&error))?;
        Ok(if self.is_named_so(bus, ring, &events).await? { Vec::new() } else { events })
    }

    async fn changes(
        &mut self,
        bus: &Bus,
        (version, ring): (u64, &KeyRing),
        events: &[KeyRingEvent],
    ) -> Result<Changes, Failure> {
        let (owner, stream) = (self.keys.owner, self.stream());
        let mut rows = self.secret_rows(bus, ring, events)?;
        let key = if let Some(key) = bus.keychain.content_key(&self.keys, stream).await? {
            key
        } else {
            let (key, row) = bus.keychain.new_content_key(&self.keys, stream)?;
            rows.push(row);
            key
        };
        let before = bus.touched_keys(owner, events, &key).await?;
        Ok(Changes {
            events: seal_events(events, &key, (owner, stream, version), &bus.env)?,
            rows,
            claims: claims(owner, ring, events),
            inline: Some(Arc::new(KeyRingRows {
                before,
                events: events.to_vec(),
                owner,
                command: self.command_id,
                key: Arc::new(key),
                env: bus.env.clone(),
            })),
        })
    }

    fn subject(&self, events: &[KeyRingEvent]) -> Option<Uuid> {
        self.key_of(events).map(|key| key.0)
    }

    async fn keys_moved(&mut self, bus: &Bus) -> Result<(), Failure> {
        self.keys = bus.keys_of(self.keys.owner).await?;
        Ok(())
    }

    fn claim_taken(&self, kind: ClaimKind, subject: Uuid) -> Failure {
        match kind {
            ClaimKind::Secret => refusal(&KeyRingError::Duplicate { existing: KeyId(subject) }),
            ClaimKind::Username | ClaimKind::Email | ClaimKind::Identity => Failure::internal(),
        }
    }

    fn appended(&mut self, bus: &Bus, commit: Commit, done: Appended<KeyRingEvent>) -> KeyResult {
        let events = done.events;
        if events.iter().any(|event| {
            matches!(event, KeyRingEvent::KeyDeleted(_) | KeyRingEvent::KeySecretReplaced(..))
        }) {
            bus.scrub_soon();
        }
        KeyResult { done: KeyDone { commit, key: self.key_of(&events) }, events }
    }

    async fn unchanged(&mut self, _: &Bus, commit: Commit) -> Result<KeyResult, Failure> {
        Ok(Self::without_events(commit, self.command.subject))
    }

    fn replayed(&self, repeat: Repeat) -> Result<KeyResult, Failure> {
        Ok(Self::without_events(repeat.commit, repeat.subject.map(KeyId)))
    }
}

impl KeyRecipe {
    /// The affected key, once the command is decided.
    fn key_of(&self, events: &[KeyRingEvent]) -> Option<KeyId> {
        self.command.subject.or_else(|| events.first().and_then(subject_of))
    }

    fn without_events(commit: Commit, key: Option<KeyId>) -> KeyResult {
        KeyResult { done: KeyDone { commit, key }, events: Vec::new() }
    }

    /// Whether a key would be renamed to the name it has. Names are sealed, so the aggregate
    /// does not hold them, but the key's row does. If the row's version differs from the fold's,
    /// this returns `false` and the append decides: it succeeds if the stream is still at the
    /// folded version, and conflicts otherwise.
    async fn is_named_so(
        &self,
        bus: &Bus,
        ring: &KeyRing,
        events: &[KeyRingEvent],
    ) -> Result<bool, Failure> {
        let [KeyRingEvent::KeyRenamed(facts, Some(named))] = events else { return Ok(false) };
        let content_key = bus.keychain.content_key(&self.keys, self.stream()).await?;
        let Some(content_key) = content_key else { return Ok(false) };
        let rows = bus.touched_keys(self.keys.owner, events, &content_key).await?;
        let (Some(folded), Some(row)) = (ring.keys.get(&facts.key), rows.keys().get(&facts.key))
        else {
            return Ok(false);
        };
        let is_same = row.content.as_ref().is_some_and(|content| content.name == named.name);
        Ok(is_same && row.facts.version == folded.version)
    }

    /// The secrets to seal and to shred with the events.
    fn secret_rows(
        &self,
        bus: &Bus,
        ring: &KeyRing,
        events: &[KeyRingEvent],
    ) -> Result<Vec<RowChange>, Failure> {
        let mut rows = Vec::new();
        let (keys, owner) = (&*self.keys, self.keys.owner);
        let shred = |key: KeyId| {
            let version = ring.keys.get(&key).map(|key| key.secret_version);
            version.map(|secret_version| RowChange::DeleteSecret { owner, key, secret_version })
        };
        for event in events {
            if let KeyRingEvent::KeyAdded(facts, _) = event {
                let secret = self.command.secret.as_ref().ok_or_else(Failure::internal)?;
                rows.push(bus.keychain.seal_secret(
                    keys,
                    facts.key,
                    facts.secret_version,
                    secret,
                )?);
            } else if let KeyRingEvent::KeySecretReplaced(facts, _) = event {
                let secret = self.command.secret.as_ref().ok_or_else(Failure::internal)?;
                rows.extend(shred(facts.key));
                rows.push(bus.keychain.seal_secret(
                    keys,
                    facts.key,
                    facts.secret_version,
                    secret,
                )?);
            } else if let KeyRingEvent::KeyDeleted(facts) = event {
                rows.extend(shred(facts.key));
            }
        }
        Ok(rows)
    }
}

impl Bus {
    /// Starts a scrub, which removes the bytes of shredded secrets once no reader blocks it.
    fn scrub_soon(&self) {
        let store = Arc::clone(&self.store);
        self.tracker.spawn(async move { scrub(&*store).await });
    }

    /// The rows of the keys that the events affect. Read after the fold: if a row is newer than the
    /// fold, the append conflicts.
    async fn touched_keys(
        &self,
        owner: UserId,
        events: &[KeyRingEvent],
        key: &ContentKey,
    ) -> Result<KeysView, Failure> {
        let mut ids: BTreeSet<KeyId> = events.iter().filter_map(subject_of).collect();
        ids.extend(events.iter().filter_map(|event| {
            if let KeyRingEvent::DefaultSet(facts, _) = event { facts.previous } else { None }
        }));
        let mut keys = Vec::with_capacity(ids.len());
        for id in ids {
            let row =
                self.store.row(KEYS, owner, id.0).await.map_err(|error| store_failure(&error))?;
            if let Some(row) = row {
                keys.push(open_key(&row, Some(key))?);
            }
        }
        Ok(KeysView::of(keys))
    }
}

/// The fingerprints to claim and to release with the events.
fn claims(owner: UserId, ring: &KeyRing, events: &[KeyRingEvent]) -> Vec<ClaimChange> {
    let take = |hash, key: KeyId| ClaimChange::Take {
        kind: ClaimKind::Secret,
        hash,
        holder: owner,
        subject: key.0,
    };
    let release = |key: KeyId| {
        let hash = ring.keys.get(&key).map(|key| key.fingerprint.0);
        hash.map(|hash| ClaimChange::Release { kind: ClaimKind::Secret, hash })
    };
    let mut claims = Vec::new();
    for event in events {
        if let KeyRingEvent::KeyAdded(facts, _) = event {
            claims.push(take(facts.fingerprint.0, facts.key));
        } else if let KeyRingEvent::KeySecretReplaced(facts, _) = event {
            claims.extend(release(facts.key));
            claims.push(take(facts.fingerprint.0, facts.key));
        } else if let KeyRingEvent::KeyDeleted(facts) = event {
            claims.extend(release(facts.key));
        }
    }
    claims
}

fn subject_of(event: &KeyRingEvent) -> Option<KeyId> {
    event.subject().map(KeyId)
}

/// The aggregate's refusal, as every face shows it.
fn refusal(error: &KeyRingError) -> Failure {
    let failure = Failure::new(error.code(), error.to_string());
    match error {
        KeyRingError::VersionMismatch { expected, actual } => failure
            .with(FailureDetail::Versions { expected: Some(*expected), actual: Some(*actual) }),
        KeyRingError::NoDefaultToCompare { expected } => {
            failure.with(FailureDetail::Versions { expected: Some(*expected), actual: None })
        }
        KeyRingError::Duplicate { existing } => {
            failure.at(&["secret"]).with(FailureDetail::Existing(*existing))
        }
        KeyRingError::ExpiryInPast { .. } => failure.at(&["expiresAt"]),
        KeyRingError::NotFound
        | KeyRingError::Inactive
        | KeyRingError::Expired { .. }
        | KeyRingError::TooMany { .. }
        | KeyRingError::IdInUse => failure,
    }
}
