//! Converts between domain events and their stored form.

use crate::system::environment::Environment;
use crate::system::failure::vault_failure;
use claviger_domain::event::Payload;

use claviger_domain::failure::Failure;
use claviger_domain::id::{EventId, UserId};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{NewEvent, StoredEvent};
use claviger_vault::{ContentAd, ContentKey, open_content, seal_content};
use zeroize::Zeroizing;

/// Seals events for an append that begins after `version`.
pub(crate) fn seal_events<E: Payload>(
    events: &[E],
    key: &ContentKey,
    (owner, stream, version): (UserId, StreamName, u64),
    env: &Environment,
) -> Result<Vec<NewEvent>, Failure> {
    let mut sealed = Vec::with_capacity(events.len());
    for (event, version) in events.iter().zip(version + 1..) {
        let parts = event.parts().map_err(|error| {
            tracing::error!(%error, "an event can't be written");
            Failure::internal()
        })?;
        let ad = ContentAd { owner, stream, version, kind: parts.kind, schema: parts.schema };
        let content = match &parts.content {
            Some(json) => seal_content(key, &ad, json, &*env.entropy)
                .map_err(|error| vault_failure(&error))?,
            None => Vec::new(),
        };
        sealed.push(NewEvent {
            id: EventId(env.ids.next()),
            kind: parts.kind.to_owned(),
            schema: parts.schema,
            facts: parts.facts,
            content,
            subject: parts.subject,
        });
    }
    Ok(sealed)
}

/// Events that have no content, for an append.
pub(crate) fn plain_events<E: Payload>(
    events: &[E],
    env: &Environment,
) -> Result<Vec<NewEvent>, Failure> {
    let plain = |event: &E| {
        let parts =
            event.parts().ok().filter(|parts| parts.content.is_none()).ok_or_else(|| {
                tracing::error!("an event has content that nothing can seal");
                Failure::internal()
            })?;
        Ok(NewEvent {
            id: EventId(env.ids.next()),
            kind: parts.kind.to_owned(),
            schema: parts.schema,
            facts: parts.facts,
            content: Vec::new(),
            subject: parts.subject,
        })
    };
    events.iter().map(plain).collect()
}

/// Opens an event's content; `None` if it has none, or its key was destroyed.
pub(crate) fn open_event(
    event: &StoredEvent,
    key: Option<&ContentKey>,
) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let (Some(key), Some(owner), false) = (key, event.envelope.owner, event.content.is_empty())
    else {
        return Ok(None);
    };
    let envelope = &event.envelope;
    let ad = ContentAd {
        owner,
        stream: envelope.stream,
        version: envelope.version,
        kind: &envelope.kind,
        schema: envelope.schema,
    };
    open_content(key, &ad, &event.content).map(Some).map_err(|error| {
        tracing::error!(position = envelope.position, "cannot open an event's content");
        vault_failure(&error)
    })
}

/// Decodes a stored event; `content` is its opened content, where that is needed and available.
pub(crate) fn decode<E: Payload>(
    event: &StoredEvent,
    content: Option<&[u8]>,
) -> Result<E, Failure> {
    let envelope = &event.envelope;
    E::decode(&envelope.kind, envelope.schema, &event.facts, content).map_err(|error| {
        tracing::error!(position = envelope.position, %error, "cannot decode an event");
        Failure::internal()
    })
}
