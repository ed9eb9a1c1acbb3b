//! The available models: Anthropic's list, fetched with the operator's own key; else its last
//! response; else the built-in table. A user's secret is never opened for this, because opening it
//! requires an event, and reads must leave none.

use crate::anthropic::client::AnthropicClient;
use crate::anthropic::models::{self, builtin_models, cheapest_model, is_same_model};
use crate::anthropic::prices::PriceTable;
use claviger_application::ModelInfo;
use claviger_domain::secret::SecretText;
use claviger_domain::text::ModelId;
use claviger_domain::timestamp::Timestamp;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a response stays fresh: an hour.
const FRESH_MS: u64 = 3_600_000;

/// How long anybody waits for Anthropic's list. It only improves what is known.
const PATIENCE: Duration = Duration::from_secs(2);

/// After a failure the list is not asked for again for so long: what begins meanwhile does not wait.
const REST: Duration = Duration::from_secs(30);

/// One request for the list, on which all wait who need it meanwhile; `None` if it brought nothing.
type Fetch = Shared<BoxFuture<'static, Option<Vec<models::ModelInfo>>>>;

#[derive(Default)]
struct Cache {
    last: Option<(Timestamp, Vec<models::ModelInfo>)>,
    fetch: Option<Fetch>,
    /// Nothing is asked before.
    rests_until: Option<Instant>,
}

/// The list of models, with a cache of Anthropic's last response.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct ModelList {
    client: AnthropicClient,
    prices: Arc<PriceTable>,
    secret: Option<SecretText>,
    default: Option<ModelId>,
    cache: Mutex<Cache>,
}

impl ModelList {
    /// `secret` is the operator's own key, if there is one; `default` the configured model.
    pub fn new(
        client: AnthropicClient,
        prices: Arc<PriceTable>,
        secret: Option<SecretText>,
        default: Option<ModelId>,
    ) -> Self {
        Self { client, prices, secret, default, cache: Mutex::default() }
    }

    /// The model used where none is named: the configured one, else the cheapest current one.
    pub fn default_model(&self, now: Timestamp) -> Option<ModelId> {
        self.default.clone().or_else(|| cheapest_model(&self.prices, now))
    }

    /// The models. Never fails, and waits for two seconds at most: an older list is used if
    /// Anthropic is unavailable.
    pub async fn list(&self, now: Timestamp) -> Vec<ModelInfo> {
        let default = self.default_model(now);
        self.known(now)
            .await
            .into_iter()
            .map(|model| ModelInfo {
                is_default: default
                    .as_ref()
                    .is_some_and(|default| is_same_model(default.as_str(), model.id.as_str())),
                priced: self.prices.price(model.id.as_str(), now, 0).is_some(),
                max_input_tokens: model
                    .max_input_tokens
                    .and_then(|tokens| i32::try_from(tokens).ok()),
                max_output_tokens: model
                    .max_output_tokens
                    .and_then(|tokens| i32::try_from(tokens).ok()),
                id: model.id.as_str().to_owned(),
                name: model.display_name,
            })
            .collect()
    }

    /// The ids that Anthropic lists for the operator's key; `None` without such a list.
    pub async fn known_to_operator(&self, now: Timestamp) -> Option<Vec<ModelId>> {
        self.secret.as_ref()?;
        self.known(now).await;
        self.last().map(|(_, models)| models.into_iter().map(|model| model.id).collect())
    }

    /// Whether a model of this name is among those with these ids: by one rule for every credential.
    pub fn is_among(model: &str, known: &[ModelId]) -> bool {
        known.iter().any(|id| is_same_model(model, id.as_str()))
    }

    /// Most tokens of thinking and output that a model produces; `None` if unknown.
    pub fn max_output_tokens(&self, model: &str) -> Option<u64> {
        let models = self.last().map_or_else(builtin_models, |(_, models)| models);
        models
            .iter()
            .find(|known| is_same_model(model, known.id.as_str()))
            .and_then(|known| known.max_output_tokens)
    }

    fn last(&self) -> Option<(Timestamp, Vec<models::ModelInfo>)> {
        self.cache().last.clone()
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn known(&self, now: Timestamp) -> Vec<models::ModelInfo> {
        let last = self.last();
        if let Some((at, models)) = &last
            && now.0.abs_diff(at.0) < FRESH_MS
        {
            return models.clone();
        }
        if let Some(fetch) = self.fetch(now) {
            let fetched = fetch.clone().await;
            let mut cache = self.cache();
            // Of those who waited, the first one keeps the outcome.
            if cache.fetch.as_ref().is_some_and(|running| running.ptr_eq(&fetch)) {
                cache.fetch = None;
                match &fetched {
                    Some(models) => cache.last = Some((now, models.clone())),
                    None => cache.rests_until = Some(Instant::now() + REST),
                }
            }
            if let Some(models) = fetched {
                return models;
            }
        }
        last.map_or_else(builtin_models, |(_, models)| models)
    }

    /// The request that is under way, or a new one; `None` while none may be made.
    fn fetch(&self, now: Timestamp) -> Option<Fetch> {
        let secret = self.secret.clone()?;
        let mut cache = self.cache();
        if cache.fetch.is_none() {
            if cache.rests_until.is_some_and(|until| Instant::now() < until) {
                return None;
            }
            let client = self.client.clone();
            // Whoever waits drives it: it needs no task, and ends in time when everybody is gone.
            let fetch = async move {
                match timeout(PATIENCE, client.models(&secret, now)).await {
                    Ok(Ok(answer)) => Some(answer.body).filter(|models| !models.is_empty()),
                    Ok(Err(failure)) => {
                        tracing::warn!(class = ?failure.class, "cannot fetch Anthropic's list of models");
                        None
                    }
                    Err(_) => {
                        tracing::warn!("Anthropic does not answer with its list of models");
                        None
                    }
                }
            };
            cache.fetch = Some(fetch.boxed().shared());
        }
        cache.fetch.clone()
    }
}
