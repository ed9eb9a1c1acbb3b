//! Records a repair as an event on the installation's own stream.

use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use claviger_domain::actor::Actor;
use claviger_domain::code::ErrorCode;
use claviger_domain::event::Payload;

use claviger_domain::failure::Failure;
use claviger_domain::id::{CommandId, CorrelationId, EventId};
use claviger_domain::stream::StreamName;
use claviger_domain::system::SystemEvent;
use claviger_projections::ports::{Append, AppendError, Expected, NewEvent, Reliance, Store};

/// How often an append is retried because another process wrote to the stream meanwhile.
const MOST_TRIES: usize = 10;

/// Events read at a time.
const BATCH: usize = 500;

/// Appends an event to the installation's stream. Returns its position.
pub(super) async fn record(
    store: &dyn Store,
    env: &Environment,
    event: &SystemEvent,
) -> Result<u64, Failure> {
    let parts = event.parts().map_err(|error| {
        tracing::error!(%error, "an event can't be written");
        Failure::internal()
    })?;
    let mut version = 0;
    for _ in 0..MOST_TRIES {
        version = end_of_stream(store, version).await?;
        let event = NewEvent {
            id: EventId(env.ids.next()),
            kind: parts.kind.to_owned(),
            schema: parts.schema,
            facts: parts.facts.clone(),
            content: Vec::new(),
            subject: parts.subject,
        };
        let append = Append {
            stream: StreamName::System,
            owner: None,
            expected: if version == 0 { Expected::NoStream } else { Expected::Exact(version) },
            relies_on: Reliance::default(),
            events: vec![event],
            at: env.clock.now(),
            actor: Actor::OPERATOR,
            command_id: CommandId(env.ids.next().into_bytes()),
            correlation_id: CorrelationId(env.ids.next()),
            causation_id: None,
            rows: Vec::new(),
            claims: Vec::new(),
            inline: None,
            record: None,
        };
        match store.append(append).await {
            Ok(appended) => return Ok(appended.position),
            Err(AppendError::Conflict { .. }) => {}
            Err(AppendError::Store(error)) => return Err(store_failure(&error)),
            Err(error @ AppendError::NotReadByAll { .. }) => {
                return Err(Failure::new(ErrorCode::StoreUnavailable, error.to_string()));
            }
            Err(
                error @ (AppendError::Unmet(_)
                | AppendError::ClaimTaken { .. }
                | AppendError::Repeated(_)
                | AppendError::Malformed(_)
                | AppendError::UserKeyMoved { .. }
                | AppendError::MasterKeyMoved { .. }),
            ) => {
                tracing::error!(%error, "an event of the installation was refused");
                return Err(Failure::internal());
            }
        }
    }
    tracing::error!(tries = MOST_TRIES, "too many concurrent writers on the installation's stream");
    Err(Failure::internal())
}

/// Version of the stream's last event.
async fn end_of_stream(store: &dyn Store, mut version: u64) -> Result<u64, Failure> {
    loop {
        let events = store
            .read_stream(StreamName::System, version, BATCH)
            .await
            .map_err(|error| store_failure(&error))?;
        version = events.last().map_or(version, |event| event.envelope.version);
        if events.len() < BATCH {
            return Ok(version);
        }
    }
}
