//! Reads events, opened for their owner.

use super::StoreReads;
use crate::keychain::open_event;
use claviger_application::EventView;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::StoredEvent;
use claviger_vault::ContentKey;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

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
            views.push(EventView {
                envelope: event.envelope.clone(),
                facts: parse(event, &event.facts)?,
                content: content.map(|content| parse(event, &content)).transpose()?,
            });
        }
        Ok(views)
    }
}

fn parse(event: &StoredEvent, json: &[u8]) -> Result<serde_json::Value, Failure> {
    serde_json::from_slice(json).map_err(|_| {
        tracing::error!(position = event.envelope.position, "an event is not JSON");
        Failure::internal()
    })
}
