//! The models, and by what a run would be paid.

use super::call::Call;
use super::{Answer, RestFace};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse as _;
use claviger_application::ModelInfo;
use claviger_domain::failure::Failure;
use claviger_domain::orchestration::CredentialSource;
use claviger_domain::text::Context;
use serde_json::json;
use std::sync::Arc;

/// What the earlier service's clients compute with where the size is not known.
const CONTEXT_WINDOW: i32 = 200_000;

fn described(model: &ModelInfo) -> String {
    let size = model.max_output_tokens.map(|most| format!("answers of up to {most} tokens"));
    let price = if model.priced { "its price is known" } else { "its price is not known" };
    size.into_iter().chain([price.to_owned()]).collect::<Vec<_>>().join(", ")
}

pub(super) async fn models(State(face): State<Arc<RestFace>>, _call: Call) -> Answer {
    let models = face.ports.credentials.models().await?;
    let default = models.iter().find(|model| model.is_default).map(|model| model.id.clone());
    let models: Vec<_> = models
        .iter()
        .map(|model| {
            json!({
                "id": model.id,
                "name": model.name,
                "description": described(model),
                "context_window": model.max_input_tokens.unwrap_or(CONTEXT_WINDOW),
                "is_default": model.is_default,
            })
        })
        .collect();
    let default = default.unwrap_or_default();
    Ok(Json(json!({ "models": models, "default_model_id": default })).into_response())
}

pub(super) async fn mode(State(face): State<Arc<RestFace>>, call: Call) -> Answer {
    let context = Context::parse("default").map_err(|_| Failure::internal())?;
    let (owner, roles) = (call.owner(), call.principal.roles.clone());
    let candidates = face.ports.credentials.resolution(owner, roles, context, None).await?;
    let chosen = candidates.iter().find(|candidate| candidate.chosen);
    let is_plan = chosen.is_some_and(|chosen| chosen.source == CredentialSource::MaxPlan);
    let description = match chosen {
        Some(chosen) if is_plan => format!("Max Plan: {}", chosen.reason),
        Some(chosen) => format!("API key: {}", chosen.reason),
        None => "API key: none can be used, add one and make it your default".to_owned(),
    };
    let mode = if is_plan { "max-plan" } else { "api-key" };
    let body = json!({ "mode": mode, "use_max_plan": is_plan, "description": description });
    Ok(Json(body).into_response())
}
