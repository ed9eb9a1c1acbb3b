//! Reads events, opened for their owner.

use super::StoreReads;
use crate::keychain::open_event;
use claviger_application::EventView;
use claviger_domain::catalogue::upcast;

use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::StoredEvent;
use claviger_vault::ContentKey;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use zeroize::Zeroizing;

impl StoreReads {
    /// Opens events of one user. Each stream's content key is opened only once.
    pub(crate) async fn open_events(
        &self,
        user: UserId,
        events: &[StoredEvent],
    ) -> Result<Vec<EventView>, Failure> {
        let keys = self.keychain.user(user).await?;
        let mut content_keys: HashMap<StreamName, Option<ContentKey>> = HashMap::new();
        let mut views = Vec::with_capacity(events.len());
        for event in events {
            let stream = event.envelope.stream;
            let key = match content_keys.entry(stream) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(self.content_key(keys.as_ref(), stream).await?)
                }
            };
            let key = key.as_ref();
            let content = open_event(event, key)?;
            views.push(shown(event, content.as_ref().map(|content| content.as_slice()))?);
        }
        Ok(views)
    }
}

/// An event as it is shown. One of an older schema is shown in the current one, with that schema's
/// number, so that a client needs to know one shape; its leaf is made of the stored bytes.
pub(crate) fn shown(event: &StoredEvent, content: Option<&[u8]>) -> Result<EventView, Failure> {
    let mut envelope = event.envelope.clone();
    let parts = upcast(&envelope.kind, envelope.schema, &event.facts, content);
    let parts = parts.map_err(|error| {
        tracing::error!(position = envelope.position, %error, "an event can't be read");
        Failure::internal()
    })?;
    let Some(parts) = parts else {
        let (facts, content) = (parse(event, &event.facts)?, content);
        let content = content.map(|content| parse(event, content)).transpose()?;
        return Ok(EventView { envelope, facts, content });
    };
    envelope.schema = parts.schema;
    let content = parts.content.map(Zeroizing::new);
    Ok(EventView {
        envelope,
        facts: parse(event, &parts.facts)?,
        content: content.map(|content| parse(event, &content)).transpose()?,
    })
}

fn parse(event: &StoredEvent, json: &[u8]) -> Result<serde_json::Value, Failure> {
    serde_json::from_slice(json).map_err(|_| {
        tracing::error!(position = event.envelope.position, "an event is not JSON");
        Failure::internal()
    })
}
