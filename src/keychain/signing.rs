//! How a store that an earlier program made comes to require signatures, and whether a log is this
//! store's.

use super::Keychain;
use super::evidence::Evidence;
use super::user_keys::{KeychainError, store_key_row};
use crate::system::environment::Environment;
use claviger_domain::actor::Actor;
use claviger_domain::event::Payload as _;
use claviger_domain::id::{CommandId, CorrelationId, EventId, TreeRoot};
use claviger_domain::stream::StreamName;
use claviger_domain::system::{Signing, SystemEvent};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, AppendError, Expected, Head, InlineViews, NewEvent, Placed, Reliance, RowChange, Store,
    StoreError, StoreKeyRow, StoredEvent,
};
use claviger_proof::Frontier;
use claviger_vault::StoreKey;
use std::sync::Arc;

/// How often it is tried: another process may append between the reading of the head and the event
/// that vouches for it.
const MAX_TRIES: usize = 10;

/// Events read at a time.
const BATCH: usize = 500;

/// An append of one event to the installation's stream, which is at `version`.
pub(super) fn system_append(
    env: &Environment,
    version: u64,
    event: &SystemEvent,
    rows: Vec<RowChange>,
) -> Result<Append, StoreError> {
    let unwritable = |_| StoreError::Corrupt("an event can't be written".to_owned());
    let (parts, ids) = (event.parts().map_err(unwritable)?, &env.ids);
    let event = NewEvent {
        id: EventId(ids.next()),
        kind: parts.kind.to_owned(),
        schema: parts.schema,
        facts: parts.facts,
        content: Vec::new(),
        subject: None,
    };
    Ok(Append {
        stream: StreamName::System,
        owner: None,
        expected: if version == 0 { Expected::NoStream } else { Expected::Exact(version) },
        relies_on: Reliance::default(),
        events: vec![event],
        at: env.clock.now(),
        actor: Actor::OPERATOR,
        command_id: CommandId(ids.next().into_bytes()),
        correlation_id: CorrelationId(ids.next()),
        causation_id: None,
        rows,
        claims: Vec::new(),
        inline: None,
        record: None,
    })
}

/// Puts the store's key with the position after which events are signed, if the event comes right
/// after it. In the transaction of the event, so no unsigned one can come between.
struct PutAfter {
    since: u64,
    row: StoreKeyRow,
}

impl InlineViews for PutAfter {
    fn rows(&self, placed: &[Placed]) -> Result<Vec<RowChange>, StoreError> {
        if placed.first().map(|placed| placed.position) == self.since.checked_add(1) {
            return Ok(vec![RowChange::PutStoreKey(self.row.clone())]);
        }
        Err(StoreError::Unavailable("the log has moved on".to_owned()))
    }
}

impl Keychain {
    /// Makes a store of an earlier program require signatures, as soon as every live process signs.
    /// An event vouches for the log as it is now. Called when a server starts; does nothing in a
    /// store that requires them.
    ///
    /// # Errors
    /// When the store fails, or its key does not open.
    pub async fn require_signatures(&self) -> Result<(), KeychainError> {
        for _ in 0..MAX_TRIES {
            let rows = self.store.store_keys().await?;
            // Not in the middle of a rotation: the copies of the key must stay alike.
            let [row] = rows.as_slice() else { return Ok(()) };
            let keks = self.keks.having(row.kek);
            let key = StoreKey::unwrap(&keks, row.kek, &row.wrapped_index_key)?;
            if let Some(since) = key.signed_since {
                self.evidence().require_after(since);
                return Ok(());
            }
            let head = self.store.head().await?;
            let (since, root) = (head.position, TreeRoot(root_of(&head)?));
            let key = StoreKey { signed_since: Some(since), ..key };
            let row = store_key_row(keks.get(row.kek)?, &key, &*self.env.entropy)?;
            let version = system_version(&*self.store).await?;
            let event = SystemEvent::SigningStarted(Signing { since, root });
            let append = Append {
                inline: Some(Arc::new(PutAfter { since, row })),
                ..system_append(&self.env, version, &event, Vec::new())?
            };
            match self.store.append(append).await {
                Ok(_) => {
                    tracing::info!(since, "events of this store are signed from here on");
                    self.evidence().require_after(since);
                    return Ok(());
                }
                Err(AppendError::NotReadByAll { process, .. }) => {
                    tracing::warn!(
                        process,
                        "signatures of events are not required yet: an older process is at work; \
                         the first server that starts after it has stopped will require them"
                    );
                    return Ok(());
                }
                Err(AppendError::Conflict { .. } | AppendError::Store(_)) => {}
                Err(
                    AppendError::Unmet(_)
                    | AppendError::ClaimTaken { .. }
                    | AppendError::Repeated(_)
                    | AppendError::Malformed(_)
                    | AppendError::UserKeyMoved { .. }
                    | AppendError::MasterKeyMoved { .. },
                ) => {
                    return Err(
                        StoreError::Corrupt("the stream of the installation".to_owned()).into()
                    );
                }
            }
        }
        tracing::warn!("signatures of events are not required yet: too many writers at once");
        Ok(())
    }

    /// Whether another process has made the store require signatures since this one opened it.
    /// Reads only while it is not known.
    ///
    /// # Errors
    /// When the store fails, or its key does not open.
    pub(crate) async fn look_for_signatures(&self) -> Result<(), KeychainError> {
        if self.evidence().signed_since().is_some() {
            return Ok(());
        }
        if let Some(row) = self.store.store_keys().await?.first() {
            let keks = self.keks.having(row.kek);
            let key = StoreKey::unwrap(&keks, row.kek, &row.wrapped_index_key)?;
            if let Some(since) = key.signed_since {
                self.evidence().require_after(since);
            }
        }
        Ok(())
    }
}

fn root_of(head: &Head) -> Result<[u8; 32], StoreError> {
    let roots: Vec<u8> = head.frontier.iter().flatten().copied().collect();
    let frontier = Frontier::from_bytes(head.position, &roots);
    frontier.map(|frontier| frontier.root()).ok_or(StoreError::Corrupt("the head".to_owned()))
}

async fn system_version(store: &dyn Store) -> Result<u64, StoreError> {
    let mut version = 0;
    loop {
        let events = store.read_stream(StreamName::System, version, BATCH).await?;
        version = events.last().map_or(version, |event| event.envelope.version);
        if events.len() < BATCH {
            return Ok(version);
        }
    }
}

/// Refuses to make the first keys of a store that is not new.
pub(super) async fn refuse_lost_keys(store: &dyn Store) -> Result<(), KeychainError> {
    let head = store.head().await?;
    if head.position > 0 || !store.user_keys_by_kek().await?.is_empty() {
        return Err(KeychainError::StoreKeysLost);
    }
    Ok(())
}

/// Refuses a log that is not the one of these keys: shorter than it was, or signed by another key.
/// A single event that was changed is left to those who read it, and to `verify`, but for the last
/// one if its time lies ahead.
pub(super) async fn refuse_foreign_log(
    store: &dyn Store,
    evidence: &Evidence,
    now: Timestamp,
) -> Result<(), KeychainError> {
    let Some(since) = evidence.signed_since() else { return Ok(()) };
    let head = store.head().await?.position;
    if head < since || (head == 0 && !store.user_keys_by_kek().await?.is_empty()) {
        return Err(KeychainError::LogLost { head });
    }
    let (mut seen, mut signed) = (false, false);
    // Up to the end when signatures began, there is nothing to compare.
    let ends = if head > since { &[since, head - 1][..] } else { &[] };
    for after in ends {
        match store.read(*after, 1).await {
            Ok(events) => {
                seen = true;
                signed |= events.iter().any(|event| evidence.is_signed(event));
                // No event is earlier than the one before it: the next one takes this time over.
                let is_ahead = |event: &&StoredEvent| event.envelope.at > now;
                if *after + 1 == head
                    && let Some(last) = events.iter().find(is_ahead)
                    && let Err(error) = evidence.check_signature(last)
                {
                    return Err(KeychainError::LastEvent(error));
                }
            }
            Err(StoreError::Gap { .. } | StoreError::Corrupt(_)) => {}
            Err(error @ (StoreError::Unavailable(_) | StoreError::Closed)) => {
                return Err(error.into());
            }
        }
    }
    if seen && !signed { Err(KeychainError::ForeignLog) } else { Ok(()) }
}
