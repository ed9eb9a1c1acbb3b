//! `/api/auth/usage-stats`: what the caller's runs used.

use super::call::Call;
use super::problem::Refusal;
use super::{Answer, RestFace};
use axum::Json;
use axum::extract::{Query, State};
use axum::response::IntoResponse as _;
use claviger_application::RunFilter;
use claviger_application::ids::{self, IdKind};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::Usage;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::Page;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct Period {
    period_start: Option<String>,
    period_end: Option<String>,
}

fn moment(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    // A plus in a query string is a space to many programs, and Python writes no zone for UTC.
    let text = text.replace(' ', "+");
    let parsed = Timestamp::parse(&text).or_else(|| Timestamp::parse(&format!("{text}Z")));
    parsed.map(Some).ok_or_else(|| {
        let message = format!("{name} must be a time such as 2026-01-31T00:00:00Z");
        Failure::new(ErrorCode::Validation, message).into()
    })
}

/// Four decimals.
fn dollars(nano_usd: u64) -> f64 {
    let units = nano_usd.div_ceil(100_000);
    // Exact below 2^53 units, which is more than anybody owes.
    f64::from(u32::try_from(units).unwrap_or(u32::MAX)) / 10_000.0
}

impl RestFace {
    /// From the request to the end of each of these runs, together.
    async fn execution_ms(&self, owner: UserId, mut runs: BTreeSet<RunId>) -> Result<u64, Refusal> {
        let (mut sum, mut page) = (0_u64, Page { limit: AT_A_TIME, ..Page::default() });
        while !runs.is_empty() {
            let found = self.ports.run_reads.runs(owner, RunFilter::default(), page).await?;
            for run in found.runs.iter().filter(|run| runs.remove(&run.id)) {
                let end = run.facts.finished_at;
                sum += end.map_or(0, |end| end.ms_since(run.facts.created_at));
            }
            let Some(last) = found.runs.last().filter(|_| found.more) else { break };
            let after = Some((last.facts.created_at.0, last.id.0));
            page = Page { after, limit: AT_A_TIME, ..Page::default() };
        }
        Ok(sum)
    }
}

/// Runs read at a time.
const AT_A_TIME: usize = 100;

pub(super) async fn stats(
    State(face): State<Arc<RestFace>>,
    Query(period): Query<Period>,
    call: Call,
) -> Answer {
    let from = moment("period_start", period.period_start.as_deref())?;
    let to = moment("period_end", period.period_end.as_deref())?;
    let (first, last) = (from.unwrap_or(Timestamp(0)), to.unwrap_or(Timestamp::MAX));
    let cells = face.ports.run_reads.usage(call.owner(), first, last).await?;
    let usage = cells.iter().fold(Usage::default(), |sum, cell| sum.plus(cell.usage));
    let known: u64 = cells.iter().filter_map(|cell| cell.cost.0).sum();
    let runs: BTreeSet<_> = cells.iter().map(|cell| cell.run).collect();
    let instances: u64 = cells.iter().map(|cell| cell.calls).sum();
    let account = face.ports.reads.account(call.owner()).await?;
    let username = account.and_then(|account| account.content).map(|content| content.username);
    let total = usage.input + usage.output + usage.cache_write() + usage.cache_read;
    let body = json!({
        "user_id": ids::encode(IdKind::User, call.owner().0),
        "username": username,
        "total_workflows": runs.len(),
        "total_instances": instances,
        "total_tokens": total,
        "total_input_tokens": usage.input,
        "total_output_tokens": usage.output,
        "total_cache_creation_tokens": usage.cache_write(),
        "total_cache_read_tokens": usage.cache_read,
        "total_cost_usd": dollars(known),
        "cost_is_complete": cells.iter().all(|cell| !cell.cost.is_unknown()),
        "total_execution_time_ms": face.execution_ms(call.owner(), runs).await?,
        "period_start": from.map(|at| at.to_string()),
        "period_end": to.map(|at| at.to_string()),
        "token_breakdown": {
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "cache_creation_input_tokens": usage.cache_write(),
            "cache_read_input_tokens": usage.cache_read,
            "total_tokens": total,
        },
    });
    Ok(Json(body).into_response())
}
