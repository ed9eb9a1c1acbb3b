//! `GET /v1/models`, paged like the API's.

use super::script::Refusal;
use crate::anthropic::models::{ModelInfo, builtin_models, is_same_model};
use claviger_domain::timestamp::Timestamp;
use serde_json::{Value, json};

/// 2026-10-01: the made-up date of the newest model; each older model is dated thirty days earlier.
const NEWEST: Timestamp = Timestamp(1_790_812_800_000);
const APART_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// All models, newest first.
fn all() -> Vec<Value> {
    let mut at = NEWEST;
    let model = |model: ModelInfo| {
        let created = at;
        at = Timestamp(at.0.saturating_sub(APART_MS));
        // Anthropic lists its older models by their snapshots, and takes both names.
        let id = match model.id.as_str() {
            "claude-haiku-4-5" => "claude-haiku-4-5-20251001",
            id => id,
        };
        json!({
            "type": "model",
            "id": id,
            "display_name": model.display_name,
            "created_at": created.to_string(),
            "max_input_tokens": model.max_input_tokens.unwrap_or(200_000),
            "max_tokens": model.max_output_tokens.unwrap_or(64_000),
        })
    };
    builtin_models().into_iter().map(model).collect()
}

fn id(model: &Value) -> Option<&str> {
    model.get("id").and_then(Value::as_str)
}

/// The model with this name.
pub(super) fn one(wanted: &str) -> Option<Value> {
    all().into_iter().find(|model| id(model).is_some_and(|id| is_same_model(wanted, id)))
}

/// One page, as requested by the URL's query.
pub(super) fn page(query: &[(String, String)]) -> Result<Value, Refusal> {
    let given =
        |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let invalid = |message: &str| Refusal::new(400, "invalid_request_error", message);
    let limit = match given("limit").map(str::parse::<usize>) {
        None => 20,
        Some(Ok(limit @ 1..=1000)) => limit,
        Some(_) => return Err(invalid("limit: Input should be between 1 and 1000")),
    };
    let all = all();
    let place = |name: &str| {
        let wanted =
            given(name).map(|wanted| all.iter().position(|model| id(model) == Some(wanted)));
        wanted.map(|place| place.ok_or_else(|| invalid(&format!("{name}: no such model"))))
    };
    let (from, to) = match (place("after_id").transpose()?, place("before_id").transpose()?) {
        (Some(_), Some(_)) => {
            return Err(invalid("only one of before_id and after_id can be given"));
        }
        (Some(after), None) => (after + 1, (after + 1 + limit).min(all.len())),
        (None, Some(before)) => (before.saturating_sub(limit), before),
        (None, None) => (0, limit.min(all.len())),
    };
    let data = all.get(from..to).unwrap_or_default();
    let has_more = if given("before_id").is_some() { from > 0 } else { to < all.len() };
    let (first_id, last_id) = (data.first().and_then(id), data.last().and_then(id));
    Ok(json!({"data": data, "has_more": has_more, "first_id": first_id, "last_id": last_id}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &[(&str, &str)]) -> Result<(Vec<String>, bool), u16> {
        let query: Vec<_> = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let page = page(&query).map_err(|refusal| refusal.status)?;
        let ids: Vec<_> = page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(page["first_id"].as_str(), ids.first().map(String::as_str));
        assert_eq!(page["last_id"].as_str(), ids.last().map(String::as_str));
        Ok((ids, page["has_more"].as_bool().unwrap()))
    }

    #[test]
    fn pages_join_into_the_whole_list_in_both_directions() {
        let (whole, more) = asked(&[]).unwrap();
        assert!(!more && whole.len() > 5);
        let (mut forward, mut more) = asked(&[("limit", "5")]).unwrap();
        while more {
            let page = asked(&[("limit", "5"), ("after_id", forward.last().unwrap())]).unwrap();
            forward.extend(page.0);
            more = page.1;
        }
        assert_eq!(forward, whole);
        let (mut backward, mut more) = (vec![whole.last().unwrap().clone()], true);
        while more {
            let mut page = asked(&[("limit", "5"), ("before_id", &backward[0])]).unwrap();
            more = page.1;
            page.0.append(&mut backward);
            backward = page.0;
        }
        assert_eq!(backward, whole);
    }

    #[test]
    fn invalid_queries_are_refused() {
        for (name, value) in [
            ("limit", "0"),
            ("limit", "1001"),
            ("limit", "x"),
            ("after_id", "x"),
            ("before_id", "x"),
        ] {
            assert_eq!(asked(&[(name, value)]).unwrap_err(), 400);
        }
        assert!(
            one("claude-haiku-4-5-20251001").is_some()
                && one("claude-haiku-4-5").is_some()
                && one("claude-haiku-4-5-2025").is_none()
                && one("gpt").is_none()
        );
    }
}
