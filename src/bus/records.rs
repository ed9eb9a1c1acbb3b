//! Idempotency: a command with a key leaves a record, and a repeat of it returns the recorded
//! result.

use super::Bus;
use super::executor::PreparedCommand;
use super::preconditions::{Caller, Precondition};
use crate::keychain::UserKeys;
use crate::system::failure::store_failure;
use claviger_application::{CommandContext, Commit};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::CommandId;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{CommandRecord, RecordChange};
use std::time::Duration;
use uuid::Uuid;

/// How long a command record is kept: seven days.
pub(crate) const RECORD_MS: u64 = 7 * 24 * 3600 * 1000;

/// How much longer than a test's timeout a repeated request waits for it, in milliseconds.
const WAIT_GRACE_MS: u64 = 10_000;

/// How a command affects command records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// Leaves one, if it has an idempotency key.
    Complete,
    /// Leaves an open one, which a later command closes. Until then a repeat waits.
    Open,
    /// Closes that of an earlier command.
    Close(CommandId),
}

/// The result of the first request, for a repeat of it.
pub(super) struct Repeat {
    pub(super) commit: Commit,
    /// The object that the record names.
    pub(super) subject: Option<Uuid>,
}

impl PreparedCommand {
    /// The change of the records that is committed with the events.
    pub(super) fn record_change(
        &self,
        subject: Option<Uuid>,
        now: Timestamp,
    ) -> Option<RecordChange> {
        let open = match self.record {
            RecordKind::Complete => false,
            RecordKind::Open => true,
            RecordKind::Close(command_id) => return Some(RecordChange::Close { command_id }),
        };
        self.request_hash.map(|request_hash| RecordChange::Insert {
            request_hash,
            subject,
            open,
            expires_at: now.plus_ms(RECORD_MS),
        })
    }
}

impl Bus {
    /// A command of its caller, whose sign-in must still be valid. With an idempotency key its id and its request hash are
    /// computed from the key and the canonical input, under the user's key.
    pub(super) fn prepared(
        &self,
        context: CommandContext,
        keys: &UserKeys,
        (mutation, input): (&str, &[u8]),
    ) -> PreparedCommand {
        let (command_id, request_hash) = match &context.idempotency_key {
            Some(key) => (
                keys.index.command_id(mutation, key.as_str()),
                Some(keys.index.request_hash(mutation, input)),
            ),
            None => (self.new_command_id(), None),
        };
        let caller = Caller::of(&context).unwrap_or(Precondition::NotErased);
        let prepared = PreparedCommand::of(context, command_id).requiring(caller);
        PreparedCommand { request_hash, ..prepared }
    }

    pub(super) fn new_command_id(&self) -> CommandId {
        CommandId(self.env.ids.next().into_bytes())
    }

    /// The result of the first request if this one is a repeat. Waits for the first if it is still
    /// running.
    pub(super) async fn repeated(
        &self,
        prepared: &PreparedCommand,
    ) -> Result<Option<Repeat>, Failure> {
        match self.first(prepared).await? {
            Some(record) => self.replay(record).await.map(Some),
            None => Ok(None),
        }
    }

    /// The result in a command record, once the record is closed.
    pub(super) async fn replay(&self, record: CommandRecord) -> Result<Repeat, Failure> {
        let record = if record.open { self.closed(record.command_id).await? } else { record };
        let commit = Commit {
            position: record.position,
            stream: record.stream,
            version: record.version,
            event_ids: record.event_ids,
            replayed: true,
        };
        Ok(Repeat { commit, subject: record.subject })
    }

    async fn first(&self, prepared: &PreparedCommand) -> Result<Option<CommandRecord>, Failure> {
        let (Some(request_hash), RecordKind::Complete | RecordKind::Open) =
            (&prepared.request_hash, prepared.record)
        else {
            return Ok(None);
        };
        let record = self.store.command_record(prepared.command_id).await;
        let record = record.map_err(|error| store_failure(&error))?;
        if let Some(record) = &record {
            same_request(record, request_hash)?;
        }
        Ok(record)
    }

    /// Waits until the test that a record belongs to has ended.
    async fn closed(&self, command_id: CommandId) -> Result<CommandRecord, Failure> {
        let limit = Duration::from_millis(self.config.test_timeout_ms + WAIT_GRACE_MS);
        let waiting = self.closing(command_id);
        tokio::time::timeout(limit, waiting).await.unwrap_or_else(|_| {
            Err(Failure::new(
                ErrorCode::Timeout,
                "the first request with this idempotency key is still running: send it again later",
            ))
        })
    }

    async fn closing(&self, command_id: CommandId) -> Result<CommandRecord, Failure> {
        let mut commits = self.store.watch();
        loop {
            commits.mark_unchanged();
            let record = self.store.command_record(command_id).await;
            match record.map_err(|error| store_failure(&error))? {
                Some(record) if !record.open => return Ok(record),
                Some(_) => {}
                None => return Err(Failure::internal()),
            }
            if commits.changed().await.is_err() {
                return Err(Failure::new(
                    ErrorCode::ShuttingDown,
                    "the server is shutting down: send the request again",
                ));
            }
        }
    }
}

/// Checks that the record belongs to the same request.
pub(super) fn same_request(record: &CommandRecord, request_hash: &[u8; 32]) -> Result<(), Failure> {
    if record.request_hash == *request_hash {
        return Ok(());
    }
    Err(Failure::new(
        ErrorCode::IdempotencyKeyReused,
        "this idempotency key was used before with another request: use a new key, or send exactly \
         the same request again",
    )
    .at(&["idempotencyKey"]))
}
