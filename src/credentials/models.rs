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
use std::sync::{Arc, Mutex, PoisonError};

/// How long a response stays fresh: an hour.
const FRESH_MS: u64 = 3_600_000;

/// The list of models, with a cache of Anthropic's last response.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct ModelList {
    client: AnthropicClient,
    prices: Arc<PriceTable>,
    secret: Option<SecretText>,
    default: Option<ModelId>,
    last: Mutex<Option<(Timestamp, Vec<models::ModelInfo>)>>,
}

impl ModelList {
    /// `secret` is the operator's own key, if there is one; `default` the configured model.
    pub fn new(
        client: AnthropicClient,
        prices: Arc<PriceTable>,
        secret: Option<SecretText>,
        default: Option<ModelId>,
    ) -> Self {
        Self { client, prices, secret, default, last: Mutex::new(None) }
    }

    /// The model used where none is named: the configured one, else the cheapest current one.
    pub fn default_model(&self, now: Timestamp) -> Option<ModelId> {
        self.default.clone().or_else(|| cheapest_model(&self.prices, now))
    }

    /// The models. Never fails: an older list is used if Anthropic is unavailable.
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
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn known(&self, now: Timestamp) -> Vec<models::ModelInfo> {
        let last = self.last();
        if let Some((at, models)) = &last
            && now.0.abs_diff(at.0) < FRESH_MS
        {
            return models.clone();
        }
        if let Some(secret) = &self.secret {
            match self.client.models(secret, now).await {
                Ok(answer) if !answer.body.is_empty() => {
                    let kept = Some((now, answer.body.clone()));
                    *self.last.lock().unwrap_or_else(PoisonError::into_inner) = kept;
                    return answer.body;
                }
                Ok(_) => {}
                Err(failure) => {
                    tracing::warn!(class = ?failure.class, "cannot fetch Anthropic's list of models");
                }
            }
        }
        last.map_or_else(builtin_models, |(_, models)| models)
    }
}
