//! The models: upstream's list for a key, and a built-in list until one is known.

use super::prices::{PriceTable, undated};
use super::wire::{WireModel, WirePage};
use claviger_domain::api_key::contains_secret;
use claviger_domain::text::ModelId;
use claviger_domain::timestamp::Timestamp;

/// Longest display name kept, in characters.
const MAX_NAME_CHARS: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    pub id: ModelId,
    pub display_name: String,
    /// When it was published, if upstream reports it.
    pub created_at: Option<Timestamp>,
    pub max_input_tokens: Option<u64>,
    /// Maximum tokens of thinking and answer together.
    pub max_output_tokens: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPage {
    /// Newest first. Models with invalid ids are left out.
    pub models: Vec<ModelInfo>,
    /// The id after which the next page begins; `None` on the last.
    pub next: Option<ModelId>,
}

impl ModelPage {
    pub(super) fn from_wire(page: WirePage) -> Self {
        let next = page
            .last_id
            .as_deref()
            .filter(|_| page.has_more && !page.data.is_empty())
            .and_then(ModelId::parse);
        Self { models: page.data.into_iter().filter_map(ModelInfo::from_wire).collect(), next }
    }
}

impl ModelInfo {
    fn from_wire(model: WireModel) -> Option<Self> {
        let id = ModelId::parse(&model.id)?;
        let name = model.display_name.map(|name| {
            name.trim().chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect()
        });
        let display_name = name.filter(|name: &String| !name.is_empty() && !contains_secret(name));
        Some(Self {
            display_name: display_name.unwrap_or_else(|| id.as_str().to_owned()),
            id,
            created_at: model.created_at.as_deref().and_then(Timestamp::parse),
            max_input_tokens: model.max_input_tokens,
            max_output_tokens: model.max_tokens,
        })
    }
}

/// Id, name, maximum input tokens, maximum output tokens. Limits appear only where they are known:
/// a wrong one would refuse valid requests.
type Builtin = (&'static str, &'static str, Option<u64>, Option<u64>);

const BUILTIN: [Builtin; 13] = [
    ("claude-haiku-5-5", "Claude Haiku 5.5", None, None),
    ("claude-sonnet-5-5", "Claude Sonnet 5.5", None, None),
    ("claude-opus-5-5", "Claude Opus 5.5", None, None),
    ("claude-fable-5-1", "Claude Fable 5.1", None, None),
    ("claude-opus-5", "Claude Opus 5", None, None),
    ("claude-sonnet-5", "Claude Sonnet 5", None, None),
    ("claude-opus-4-8", "Claude Opus 4.8", None, None),
    ("claude-opus-4-7", "Claude Opus 4.7", None, None),
    ("claude-opus-4-6", "Claude Opus 4.6", None, Some(128_000)),
    ("claude-sonnet-4-6", "Claude Sonnet 4.6", None, Some(64_000)),
    ("claude-opus-4-5", "Claude Opus 4.5", Some(200_000), Some(64_000)),
    ("claude-sonnet-4-5", "Claude Sonnet 4.5", Some(200_000), Some(64_000)),
    ("claude-haiku-4-5", "Claude Haiku 4.5", Some(200_000), Some(64_000)),
];

/// The models known at build time, newest families first. Shown until a key's own list is known,
/// and never a reason to refuse a model.
pub fn builtin_models() -> Vec<ModelInfo> {
    let model = |&(id, name, max_input_tokens, max_output_tokens): &Builtin| {
        let id = ModelId::parse(id)?;
        Some(ModelInfo {
            id,
            display_name: name.to_owned(),
            created_at: None,
            max_input_tokens,
            max_output_tokens,
        })
    };
    BUILTIN.iter().filter_map(model).collect()
}

/// Whether two names mean one model. Anthropic lists a model with the day of its snapshot and takes its
/// name without the day, or with `latest` instead, for every key alike; two days are two models.
pub fn is_same_model(name: &str, listed: &str) -> bool {
    let bare = |id| undated(id).unwrap_or(id);
    let is_open = |id: &str| undated(id).is_none();
    let name = name.strip_suffix("-latest").unwrap_or(name);
    name == listed || (bare(name) == bare(listed) && (is_open(name) || is_open(listed)))
}

/// The cheapest built-in model at this time: the default of runs and of full tests. `None` only if
/// the table prices none of them.
pub fn cheapest_model(prices: &PriceTable, at: Timestamp) -> Option<ModelId> {
    let cost = |model: &ModelInfo| {
        prices.price(model.id.as_str(), at, 0).map(|price| (price.output, price.input))
    };
    let offers = builtin_models().into_iter().filter_map(|model| Some((cost(&model)?, model)));
    offers.min_by_key(|(cost, _)| *cost).map(|(_, model)| model.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_list_is_whole_and_priced() {
        let prices = PriceTable::builtin().unwrap();
        let at = Timestamp::parse("2026-11-23T00:00:00Z").unwrap();
        assert_eq!(builtin_models().len(), BUILTIN.len());
        for model in builtin_models() {
            assert!(prices.price(model.id.as_str(), at, 0).is_some(), "{}", model.id.as_str());
        }
        assert_eq!(cheapest_model(&prices, at).unwrap().as_str(), "claude-haiku-5-5");
    }

    #[test]
    fn a_model_is_known_by_its_aliases_and_its_snapshots() {
        for (name, listed, expected) in [
            ("claude-haiku-4-5", "claude-haiku-4-5-20251001", true),
            ("claude-haiku-4-5-20251001", "claude-haiku-4-5", true),
            ("claude-haiku-4-5-20251001", "claude-haiku-4-5-20251001", true),
            ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", true),
            ("claude-opus-5", "claude-opus-5", true),
            ("claude-haiku-4-5-20251001", "claude-haiku-4-5-20260101", false),
            ("claude-haiku-4", "claude-haiku-4-5-20251001", false),
            ("claude-haiku-4-5", "claude-haiku-4-5-preview", false),
            ("claude-haiku", "claude-haiku-4-5-20251001", false),
            ("claude-opus-5", "claude-opus-5-5", false),
            ("", "claude-opus-5", false),
        ] {
            assert_eq!(is_same_model(name, listed), expected, "{name} and {listed}");
        }
    }

    #[test]
    fn a_page_from_upstream_is_cleaned() {
        let page: WirePage = serde_json::from_str(
            r#"{"data":[
                {"type":"model","id":"claude-a","display_name":" A\u0007 one ","created_at":"2026-01-02T03:04:05Z","max_input_tokens":5,"max_tokens":6},
                {"id":"no good"},
                {"id":"claude-b","display_name":"sk-ant-api03-x","created_at":"long ago"}
            ],"has_more":true,"first_id":"claude-a","last_id":"claude-b"}"#,
        )
        .unwrap();
        let page = ModelPage::from_wire(page);
        assert_eq!(page.next, ModelId::parse("claude-b"));
        let seen: Vec<_> = page
            .models
            .iter()
            .map(|m| (m.id.as_str(), m.display_name.as_str(), m.max_output_tokens))
            .collect();
        assert_eq!(seen, [("claude-a", "A one", Some(6)), ("claude-b", "claude-b", None)]);
        assert_eq!(page.models[0].created_at, Timestamp::parse("2026-01-02T03:04:05Z"));
        assert_eq!(page.models[1].created_at, None);
    }
}
