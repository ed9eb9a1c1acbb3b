//! Commands on keys.

use super::input::canonical;
use super::{Bus, Commands, MAX_TRIES, RECORD_MS, contended, same_request};
use crate::keychain::UserKeys;
use crate::keychain::scrub;
use crate::keychain::seal_events;
use crate::system::failure::store_failure;
use crate::views::{KeyRingRows, open_key};
use claviger_application::{Answer, Call, Commit, KeyCommand, KeyCommands, KeyDone};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::code::ErrorCode;
use claviger_domain::event::Payload as _;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{CommandId, EventId, KeyId, UserId};
use claviger_domain::key_ring::{
    ActivateKey, AddKey, ClearDefault, DeactivateKey, DeleteKey, KeyRing, KeyRingCommand,
    KeyRingError, KeyRingEvent, RenameKey, ReplaceSecret, SetDefault, SetExpiry,
};
use claviger_domain::stream::StreamName;
use claviger_projections::keys::KeysView;
use claviger_projections::ports::{
    Append, AppendError, ClaimChange, ClaimKind, CommandRecord, Expected, KEYS, RecordChange,
    RowChange,
};
use claviger_vault::ContentKey;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A key command in progress: the parts that stay the same however often it is decided again.
pub(super) struct Order {
    pub(super) call: Call,
    pub(super) keys: UserKeys,
    pub(super) command_id: CommandId,
    /// Set if there is an idempotency key: a command record is then kept.
    pub(super) request_hash: Option<[u8; 32]>,
    pub(super) causation: Option<EventId>,
}

impl Order {
    pub(super) const fn stream(&self) -> StreamName {
        StreamName::KeyRing(self.call.owner)
    }
}

/// The effects of an append besides its events, and the command they depend on.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) command: KeyRingCommand,
    pub(super) secret: Option<ApiKeySecret>,
    pub(super) subject: Option<KeyId>,
    pub(super) record: Option<RecordChange>,
}

impl KeyCommands for Commands {
    fn run(&self, call: Call, command: KeyCommand) -> Answer<'_, KeyDone> {
        let bus = Arc::clone(&self.0);
        Box::pin(async move {
            self.0.detached(async move { bus.run_key_command(call, command).await }).await
        })
    }
}

impl Bus {
    async fn run_key_command(&self, call: Call, command: KeyCommand) -> Result<KeyDone, Failure> {
        let keys = self.keys_of(call.owner).await?;
        let (mutation, input) = canonical(&command);
        let (command_id, request_hash) = match &call.idempotency_key {
            Some(key) => (
                keys.index.command_id(mutation, key.as_str()),
                Some(keys.index.request_hash(mutation, &input)),
            ),
            None => (CommandId(self.env.ids.next().into_bytes()), None),
        };
        drop(input);
        let order = Order { call, keys, command_id, request_hash, causation: None };
        if let Some(done) = self.replayed(&order).await? {
            return Ok(done);
        }
        if let KeyCommand::Test { key, level, model } = command {
            return self.test_key(order, key, level, model).await;
        }
        let plan = self.plan(&order, command)?;
        self.execute(&order, plan).await.map(|(done, _)| done)
    }

    pub(super) async fn keys_of(&self, owner: UserId) -> Result<UserKeys, Failure> {
        self.keychain.user(owner).await?.ok_or_else(|| Failure::not_found("account"))
    }

    /// The result of the first request if this one is a repeat. Waits for the first if it is still
    /// running.
    async fn replayed(&self, order: &Order) -> Result<Option<KeyDone>, Failure> {
        let Some(request_hash) = &order.request_hash else { return Ok(None) };
        let record = self
            .store
            .command_record(order.command_id)
            .await
            .map_err(|error| store_failure(&error))?;
        let Some(record) = record else { return Ok(None) };
        same_request(&record, request_hash)?;
        self.replay(record).await.map(Some)
    }

    /// The result in a command record, once the record is closed.
    pub(super) async fn replay(&self, record: CommandRecord) -> Result<KeyDone, Failure> {
        let record = if record.open { self.closed(record.command_id).await? } else { record };
        let commit = Commit {
            position: record.position,
            stream: record.stream,
            version: record.version,
            event_ids: record.event_ids,
            replayed: true,
        };
        Ok(KeyDone { commit, key: record.subject.map(KeyId) })
    }

    /// Converts the API's command to the aggregate's, and adds keyed hashes and ids.
    fn plan(&self, order: &Order, command: KeyCommand) -> Result<Plan, Failure> {
        let (index, now) = (&order.keys.index, self.env.clock.now());
        let mut secret_of_plan = None;
        let (subject, command) = match command {
            KeyCommand::Add { name, secret, make_default, context, expires_at } => {
                let key = KeyId(self.env.ids.next());
                let (preview, fingerprint) = (secret.preview(), index.fingerprint(&secret));
                secret_of_plan = Some(secret);
                let context_tag = index.context_tag(context.as_str());
                let max_keys = self.config.max_keys;
                let command = AddKey {
                    key,
                    name,
                    preview,
                    fingerprint,
                    make_default,
                    context,
                    context_tag,
                    expires_at,
                    now,
                    max_keys,
                };
                (Some(key), command.into())
            }
            // Handled before: a test is two commits with a call between them.
            KeyCommand::Test { .. } => return Err(Failure::internal()),
            KeyCommand::SetDefault { key, context, expected } => {
                let context_tag = index.context_tag(context.as_str());
                (Some(key), SetDefault { key, context, context_tag, expected, now }.into())
            }
            KeyCommand::ClearDefault { context, expected } => {
                let context_tag = index.context_tag(context.as_str());
                (None, ClearDefault { context, context_tag, expected }.into())
            }
            KeyCommand::Activate { key, expected } => {
                (Some(key), ActivateKey { key, expected }.into())
            }
            KeyCommand::Deactivate { key, expected } => {
                (Some(key), DeactivateKey { key, expected }.into())
            }
            KeyCommand::Rename { key, name, expected } => {
                (Some(key), RenameKey { key, name, expected }.into())
            }
            KeyCommand::ReplaceSecret { key, secret, expected } => {
                let (preview, fingerprint) = (secret.preview(), index.fingerprint(&secret));
                secret_of_plan = Some(secret);
                (Some(key), ReplaceSecret { key, fingerprint, preview, expected }.into())
            }
            KeyCommand::SetExpiry { key, expires_at, expected } => {
                (Some(key), SetExpiry { key, expires_at, expected, now }.into())
            }
            KeyCommand::Delete { key, expected } => (Some(key), DeleteKey { key, expected }.into()),
        };
        let record = order.request_hash.map(|request_hash| RecordChange::Insert {
            request_hash,
            subject: subject.map(|key| key.0),
            open: false,
            expires_at: now.plus_ms(RECORD_MS),
        });
        Ok(Plan { command, secret: secret_of_plan, subject, record })
    }

    /// Decides and appends, and decides again after a conflict with another process. Also returns
    /// the decided events.
    pub(super) async fn execute(
        &self,
        order: &Order,
        plan: Plan,
    ) -> Result<(KeyDone, Vec<KeyRingEvent>), Failure> {
        let turn = self.locks.lock(order.stream()).await;
        let mut newer = None;
        for _ in 0..MAX_TRIES {
            let (version, ring) = self.rings.load(&*self.store, order.stream()).await?;
            let keys = newer.as_ref().unwrap_or(&order.keys);
            let events = match plan.command.clone().decide(&ring) {
                Ok(events) if self.is_named_so(order, keys, &ring, &events).await? => Vec::new(),
                Ok(events) => events,
                // A repeat that raced its first request must not be refused because of the first
                // one's effects.
                Err(error) => {
                    // The first request may be a test in progress, which needs this lock to finish.
                    drop(turn);
                    return match self.replayed(order).await? {
                        Some(done) => Ok((done, Vec::new())),
                        None => Err(refusal(&error)),
                    };
                }
            };
            if events.is_empty() {
                // Nor may it succeed with a result of its own if the first already did everything:
                // the result is the first one's commit.
                if matches!(plan.record, Some(RecordChange::Insert { .. }))
                    && let Some(done) = self.replayed(order).await?
                {
                    return Ok((done, events));
                }
                return self.nothing_to_do(order, &plan, version).await.map(|done| (done, events));
            }
            let subject = plan.subject.or_else(|| events.first().and_then(subject_of));
            let plan = Plan { record: about(plan.record.clone(), subject), ..plan.clone() };
            let append = self.prepare(order, keys, &plan, (version, &ring), events.clone()).await?;
            match self.append(append).await {
                Ok(appended) => {
                    self.keep(order.stream(), ring, &events, appended.version);
                    let commit = Commit {
                        position: appended.position,
                        stream: order.stream(),
                        version: appended.version,
                        event_ids: appended.placed.iter().map(|placed| placed.id).collect(),
                        replayed: false,
                    };
                    return Ok((KeyDone { commit, key: subject }, events));
                }
                Err(AppendError::Conflict { .. }) => {}
                // A rotation came between: seal again under the current key.
                Err(AppendError::UserKeyMoved { .. }) => {
                    newer = Some(self.keys_of(order.call.owner).await?)
                }
                Err(AppendError::Repeated(record)) => {
                    drop(turn);
                    if let Some(request_hash) = &order.request_hash {
                        same_request(&record, request_hash)?;
                    }
                    return self.replay(*record).await.map(|done| (done, Vec::new()));
                }
                Err(error) => return Err(append_failure(&error)),
            }
        }
        Err(contended())
    }

    fn keep(&self, stream: StreamName, mut ring: KeyRing, events: &[KeyRingEvent], version: u64) {
        for event in events {
            cqrs_es::Aggregate::apply(&mut ring, event.clone());
        }
        self.rings.keep(stream, version, ring);
        if events.iter().any(|event| {
            matches!(event, KeyRingEvent::KeyDeleted(_) | KeyRingEvent::KeySecretReplaced(..))
        }) {
            self.scrub_soon();
        }
    }

    /// Starts a scrub, which removes the bytes of shredded secrets once no reader blocks it.
    fn scrub_soon(&self) {
        let store = Arc::clone(&self.store);
        self.tracker.spawn(async move { scrub(&*store).await });
    }

    /// Whether a key would be renamed to the name it has. Names are sealed, so the aggregate
    /// doesn't know them, but the key's row does. If the row's version differs from the fold's,
    /// this returns `false` and the append decides: it succeeds if the stream is still at the
    /// folded version, and conflicts otherwise.
    async fn is_named_so(
        &self,
        order: &Order,
        keys: &UserKeys,
        ring: &KeyRing,
        events: &[KeyRingEvent],
    ) -> Result<bool, Failure> {
        let [KeyRingEvent::KeyRenamed(facts, Some(named))] = events else { return Ok(false) };
        let Some(content_key) = self.keychain.content_key(keys, order.stream()).await? else {
            return Ok(false);
        };
        let rows = self.touched(order, events, &content_key).await?;
        let (Some(folded), Some(row)) = (ring.keys.get(&facts.key), rows.keys().get(&facts.key))
        else {
            return Ok(false);
        };
        let is_same = row.content.as_ref().is_some_and(|content| content.name == named.name);
        Ok(is_same && row.facts.version == folded.version)
    }

    /// The state is already as requested: nothing is committed, and the result has the log's
    /// position.
    async fn nothing_to_do(
        &self,
        order: &Order,
        plan: &Plan,
        version: u64,
    ) -> Result<KeyDone, Failure> {
        let head = self.store.head().await.map_err(|error| store_failure(&error))?;
        let commit = Commit {
            position: head.position,
            stream: order.stream(),
            version,
            event_ids: Vec::new(),
            replayed: false,
        };
        Ok(KeyDone { commit, key: plan.subject })
    }

    /// Builds the append, with everything sealed.
    async fn prepare(
        &self,
        order: &Order,
        keys: &UserKeys,
        plan: &Plan,
        (version, ring): (u64, &KeyRing),
        events: Vec<KeyRingEvent>,
    ) -> Result<Append, Failure> {
        let (owner, stream) = (order.call.owner, order.stream());
        let mut rows = self.secret_rows(keys, plan, ring, &events)?;
        let key = if let Some(key) = self.keychain.content_key(keys, stream).await? {
            key
        } else {
            let (key, row) = self.keychain.new_content_key(keys, stream)?;
            rows.push(row);
            key
        };
        let before = self.touched(order, &events, &key).await?;
        let sealed = seal_events(&events, &key, (owner, stream, version), &self.env)?;
        Ok(Append {
            stream,
            owner: Some(owner),
            expected: if version == 0 { Expected::NoStream } else { Expected::Exact(version) },
            events: sealed,
            at: self.env.clock.now(),
            actor: order.call.actor,
            command_id: order.command_id,
            correlation_id: order.call.correlation,
            causation_id: order.causation,
            rows,
            claims: claims(order, ring, &events),
            inline: Some(Arc::new(KeyRingRows {
                before,
                events,
                owner,
                command: order.command_id,
                key: Arc::new(key),
                env: self.env.clone(),
            })),
            record: plan.record.clone(),
        })
    }

    /// The rows of the keys that the events affect. Read after the fold: if a row is newer than the
    /// fold, the append conflicts.
    async fn touched(
        &self,
        order: &Order,
        events: &[KeyRingEvent],
        key: &ContentKey,
    ) -> Result<KeysView, Failure> {
        let mut ids: BTreeSet<KeyId> = events.iter().filter_map(subject_of).collect();
        ids.extend(events.iter().filter_map(|event| {
            if let KeyRingEvent::DefaultSet(facts, _) = event { facts.previous } else { None }
        }));
        let mut keys = Vec::with_capacity(ids.len());
        for id in ids {
            let row = self
                .store
                .row(KEYS, order.call.owner, id.0)
                .await
                .map_err(|error| store_failure(&error))?;
            if let Some(row) = row {
                keys.push(open_key(&row, Some(key))?);
            }
        }
        Ok(KeysView::of(keys))
    }

    /// The secrets to seal and to shred with the events.
    fn secret_rows(
        &self,
        keys: &UserKeys,
        plan: &Plan,
        ring: &KeyRing,
        events: &[KeyRingEvent],
    ) -> Result<Vec<RowChange>, Failure> {
        let mut rows = Vec::new();
        let owner = keys.owner;
        let shred = |key: KeyId| {
            let version = ring.keys.get(&key).map(|key| key.secret_version);
            version.map(|secret_version| RowChange::DeleteSecret { owner, key, secret_version })
        };
        for event in events {
            if let KeyRingEvent::KeyAdded(facts, _) = event {
                let secret = plan.secret.as_ref().ok_or_else(Failure::internal)?;
                rows.push(self.keychain.seal_secret(
                    keys,
                    facts.key,
                    facts.secret_version,
                    secret,
                )?);
            } else if let KeyRingEvent::KeySecretReplaced(facts, _) = event {
                let secret = plan.secret.as_ref().ok_or_else(Failure::internal)?;
                rows.extend(shred(facts.key));
                rows.push(self.keychain.seal_secret(
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

/// The fingerprints to claim and to release with the events.
fn claims(order: &Order, ring: &KeyRing, events: &[KeyRingEvent]) -> Vec<ClaimChange> {
    let take = |hash, key: KeyId| ClaimChange::Take {
        kind: ClaimKind::Secret,
        hash,
        holder: order.call.owner,
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

/// The record, completed with the key the command turned out to affect.
fn about(record: Option<RecordChange>, key: Option<KeyId>) -> Option<RecordChange> {
    match record? {
        RecordChange::Insert { request_hash, open, expires_at, .. } => Some(RecordChange::Insert {
            request_hash,
            subject: key.map(|key| key.0),
            open,
            expires_at,
        }),
        RecordChange::Close { command_id } => Some(RecordChange::Close { command_id }),
    }
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
            failure.at(&["input", "secret"]).with(FailureDetail::Existing(*existing))
        }
        KeyRingError::ExpiryInPast { .. } => failure.at(&["input", "expiresAt"]),
        KeyRingError::NotFound
        | KeyRingError::Inactive
        | KeyRingError::Expired { .. }
        | KeyRingError::TooMany { .. }
        | KeyRingError::IdInUse => failure,
    }
}

/// The failure for an append that the store refused.
pub(super) fn append_failure(error: &AppendError) -> Failure {
    match error {
        AppendError::ClaimTaken { kind: ClaimKind::Secret, subject, .. } => {
            refusal(&KeyRingError::Duplicate { existing: KeyId(*subject) })
        }
        AppendError::ClaimTaken { kind: ClaimKind::Username, .. } => {
            Failure::new(ErrorCode::Duplicate, "this username is taken: choose another")
                .at(&["input", "username"])
        }
        AppendError::ClaimTaken { kind: ClaimKind::Email, .. } => Failure::new(
            ErrorCode::Duplicate,
            "this e-mail address has an account: sign in, or use another address",
        )
        .at(&["input", "email"]),
        AppendError::ClaimTaken { kind: ClaimKind::Identity, .. } => {
            Failure::new(ErrorCode::Duplicate, "this identity has an account already")
        }
        AppendError::Conflict { .. }
        | AppendError::UserKeyMoved { .. }
        | AppendError::MasterKeyMoved { .. } => contended(),
        AppendError::Store(error) => store_failure(error),
        AppendError::NotReadByAll { .. } => {
            tracing::warn!(%error, "an append waits for an older process to stop");
            Failure::new(ErrorCode::StoreUnavailable, error.to_string())
        }
        AppendError::Repeated(_) | AppendError::Malformed(_) => {
            tracing::error!(%error, "a valid append was refused");
            Failure::internal()
        }
    }
}
