//! Converts between domain events and their stored form.

use crate::system::environment::Effects;
use crate::system::failure::vault_failure;
use claviger_domain::event::Halved;
use claviger_domain::failure::Failure;
use claviger_domain::id::{EventId, UserId};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{NewEvent, StoredEvent};
use claviger_vault::{ContentAd, ContentKey, open_content, seal_content};
use zeroize::Zeroizing;

/// Seals events for an append that begins after `version`.
pub(crate) fn seal_events<E: Halved>(
    events: &[E],
    key: &ContentKey,
    (owner, stream, version): (UserId, StreamName, u64),
    effects: &Effects,
) -> Result<Vec<NewEvent>, Failure> {
    let mut sealed = Vec::with_capacity(events.len());
    for (event, version) in events.iter().zip(version + 1..) {
        let halves = event.halves().map_err(|error| {
            tracing::error!(%error, "cannot encode an event");
            Failure::internal()
        })?;
        let ad = ContentAd { owner, stream, version, kind: halves.kind, schema: halves.schema };
        let content = match &halves.content {
            Some(json) => seal_content(key, &ad, json, &*effects.entropy)
                .map_err(|error| vault_failure(&error))?,
            None => Vec::new(),
        };
        sealed.push(NewEvent {
            id: EventId(effects.ids.next()),
            kind: halves.kind.to_owned(),
            schema: halves.schema,
            facts: halves.facts,
            content,
            subject: halves.subject,
        });
    }
    Ok(sealed)
}

/// Encodes events without content, for an append.
pub(crate) fn plain_events<E: Halved>(
    events: &[E],
    effects: &Effects,
) -> Result<Vec<NewEvent>, Failure> {
    let plain = |event: &E| {
        let halves =
            event.halves().ok().filter(|halves| halves.content.is_none()).ok_or_else(|| {
                tracing::error!("an event has content but there is no key to seal it");
                Failure::internal()
            })?;
        Ok(NewEvent {
            id: EventId(effects.ids.next()),
            kind: halves.kind.to_owned(),
            schema: halves.schema,
            facts: halves.facts,
            content: Vec::new(),
            subject: halves.subject,
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
pub(crate) fn decode<E: Halved>(event: &StoredEvent, content: Option<&[u8]>) -> Result<E, Failure> {
    let envelope = &event.envelope;
    E::from_halves(&envelope.kind, envelope.schema, &event.facts, content).map_err(|error| {
        tracing::error!(position = envelope.position, %error, "cannot decode an event");
        Failure::internal()
    })
}
