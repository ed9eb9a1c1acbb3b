//! Token prices: data with effective dates, per model and length of the prompt, replaceable by the
//! operator.
//!
//! The unit is a billionth of a US dollar per token, so that every price is a whole number: $1 per
//! million tokens is 1,000.

use claviger_domain::orchestration::{Cost, Usage};
use claviger_domain::text::ModelId;
use claviger_domain::timestamp::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The prices known at build time.
const BUILTIN: &str = include_str!("prices.json");

/// The price of one token in nano-USD, by kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input neither read from the cache nor written to it.
    pub input: u64,
    /// Input written to the cache for five minutes.
    pub cache_write_5m: u64,
    /// Input written to the cache for an hour.
    pub cache_write_1h: u64,
    /// Input read from the cache.
    pub cache_read: u64,
    /// Thinking and answer.
    pub output: u64,
}

/// What the price of a call depends on besides its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Terms {
    /// The table's prices.
    #[default]
    Usual,
    /// Inference in the United States only: every token costs 1.1 times as much.
    UsOnly,
    /// Nothing is billed: the model refused before it said anything.
    Free,
    /// Other prices, which are not known, or counts that were never reported.
    Unknown,
}

/// Why a price table was refused. Names the place and never guesses: a wrong price is worse than
/// none.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    #[error("the file that CLAVIGER_PRICES names cannot be opened")]
    File(#[source] std::io::Error),
    #[error("the price table is not JSON of the expected shape")]
    Json(#[from] serde_json::Error),
    #[error("the price table's date {0} is invalid: write it as 2026-10-07")]
    Date(String),
    #[error("the price table's model {0} is not a valid model id")]
    Model(String),
    #[error("the price table prices {0} twice from the same date")]
    Twice(String),
    /// Some prompt length would have no price, or two.
    #[error(
        "the price table's bands for {0} must rise, and the last, and only the last, must omit up_to"
    )]
    Bands(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    #[expect(
        dead_code,
        reason = "states the unit for editors of the file; another unit would be another format"
    )]
    unit: Unit,
    prices: Vec<Entry>,
}

#[derive(Deserialize)]
enum Unit {
    #[serde(rename = "nano-USD per token")]
    NanoUsdPerToken,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    models: Vec<String>,
    from: String,
    bands: Vec<Band>,
}

/// The price of a whole request whose total input is at most `up_to` tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Band {
    #[serde(default)]
    up_to: Option<u64>,
    price: Price,
}

#[derive(Clone, Debug)]
pub struct PriceTable {
    version: String,
    /// By model, then by effective date.
    prices: BTreeMap<String, BTreeMap<Timestamp, Vec<Band>>>,
}

impl PriceTable {
    /// The built-in table.
    ///
    /// # Errors
    /// Never in practice: a test parses the same bytes.
    pub fn builtin() -> Result<Self, PriceError> {
        Self::parse(BUILTIN)
    }

    /// Parses an operator's table.
    ///
    /// # Errors
    /// [`PriceError`], which names the place.
    pub fn parse(json: &str) -> Result<Self, PriceError> {
        let file: File = serde_json::from_str(json)?;
        let mut prices: BTreeMap<String, BTreeMap<Timestamp, Vec<Band>>> = BTreeMap::new();
        for Entry { models, from, bands } in file.prices {
            let at =
                Timestamp::parse(&format!("{from}T00:00:00Z")).ok_or(PriceError::Date(from))?;
            for model in models {
                if ModelId::parse(&model).is_none() {
                    return Err(PriceError::Model(model));
                }
                if !rise(&bands) {
                    return Err(PriceError::Bands(model));
                }
                if prices.entry(model.clone()).or_default().insert(at, bands.clone()).is_some() {
                    return Err(PriceError::Twice(model));
                }
            }
        }
        Ok(Self { version: file.version, prices })
    }

    /// Identifies this table in a run's events.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The price of a request to `model` at this time, where `total_input` is the sum of all three
    /// kinds of input tokens. `None` means unpriced, which is never the same as free. A dated
    /// snapshot (`claude-haiku-4-5-20251001`) costs what its model does.
    pub fn price(&self, model: &str, at: Timestamp, total_input: u64) -> Option<Price> {
        let dates = self.prices.get(model).or_else(|| self.prices.get(undated(model)?))?;
        let (_, bands) = dates.range(..=at).next_back()?;
        bands
            .iter()
            .find(|band| band.up_to.is_none_or(|up_to| total_input <= up_to))
            .map(|band| band.price)
    }
}

impl PriceTable {
    /// What a call cost. Unknown if the model has no price, the terms are unknown, or the sum
    /// overflows.
    pub fn cost(&self, model: &str, at: Timestamp, usage: Usage, terms: Terms) -> Cost {
        match terms {
            Terms::Usual => self.usual_cost(model, at, usage),
            Terms::UsOnly => Cost(self.usual_cost(model, at, usage).0.and_then(times_1_1)),
            Terms::Free => Cost::default(),
            Terms::Unknown => Cost::unknown(),
        }
    }

    fn usual_cost(&self, model: &str, at: Timestamp, usage: Usage) -> Cost {
        let total_input =
            usage.input.saturating_add(usage.cache_write()).saturating_add(usage.cache_read);
        let priced = self.price(model, at, total_input).and_then(|price| {
            [
                (usage.input, price.input),
                (usage.output, price.output),
                (usage.cache_write_5m, price.cache_write_5m),
                (usage.cache_write_1h, price.cache_write_1h),
                (usage.cache_read, price.cache_read),
            ]
            .into_iter()
            .try_fold(0_u64, |sum, (tokens, each)| sum.checked_add(tokens.checked_mul(each)?))
        });
        Cost(priced)
    }
}

/// Rounded up: never too low.
fn times_1_1(cost: u64) -> Option<u64> {
    cost.checked_add(cost.div_ceil(10))
}

/// Bands must rise and end with an unbounded one, so that each length has exactly one price.
fn rise(bands: &[Band]) -> bool {
    let ends: Vec<_> = bands.iter().map(|band| band.up_to.unwrap_or(u64::MAX)).collect();
    ends.is_sorted_by(|a, b| a < b) && bands.last().is_some_and(|band| band.up_to.is_none())
}

/// A snapshot's model: the id without its date.
pub(super) fn undated(model: &str) -> Option<&str> {
    let (id, date) = model.rsplit_once('-')?;
    (date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(date: &str) -> Timestamp {
        Timestamp::parse(&format!("{date}T12:00:00Z")).unwrap()
    }

    fn row(price: Price) -> [u64; 5] {
        [price.input, price.cache_write_5m, price.cache_write_1h, price.cache_read, price.output]
    }

    #[test]
    fn every_model_has_its_published_price() {
        let table = PriceTable::builtin().unwrap();
        let opus = [5_000, 6_250, 10_000, 500, 25_000];
        let haiku_4 = [1_000, 1_250, 2_000, 100, 5_000];
        let sonnet_4 = [3_000, 3_750, 6_000, 300, 15_000];
        for (model, total_input, expected) in [
            ("claude-fable-5-1", 0, [10_000, 12_500, 20_000, 250, 50_000]),
            ("claude-opus-5-5", 0, [4_000, 5_000, 8_000, 200, 20_000]),
            ("claude-opus-5", 1_000_000, opus),
            ("claude-opus-4-8", 0, opus),
            ("claude-opus-4-7", 0, opus),
            ("claude-opus-4-6", 0, opus),
            ("claude-opus-4-5", 0, opus),
            ("claude-opus-4-5-20251101", 0, opus),
            ("claude-sonnet-5-5", 0, [2_000, 2_500, 4_000, 100, 10_000]),
            ("claude-sonnet-5", 0, [2_000, 2_500, 4_000, 200, 10_000]),
            ("claude-sonnet-4-6", 0, sonnet_4),
            ("claude-sonnet-4-5", 0, sonnet_4),
            ("claude-haiku-5-5", 0, [100, 125, 200, 10, 500]),
            ("claude-haiku-5-5", 100_000, [100, 125, 200, 10, 500]),
            ("claude-haiku-5-5", 100_001, [500, 625, 1_000, 50, 2_500]),
            ("claude-haiku-5-5", u64::MAX, [500, 625, 1_000, 50, 2_500]),
            ("claude-haiku-4-5", 0, haiku_4),
            ("claude-haiku-4-5-20251001", 0, haiku_4),
        ] {
            assert_eq!(
                table.price(model, at("2026-11-23"), total_input).map(row),
                Some(expected),
                "{model} {total_input}"
            );
        }
    }

    #[test]
    fn a_price_holds_from_its_date() {
        let table = PriceTable::builtin().unwrap();
        let read = |at| table.price("claude-sonnet-5-5", at, 0).map(|price| price.cache_read);
        let change = Timestamp::parse("2026-10-07T00:00:00Z").unwrap();
        assert_eq!(read(Timestamp(change.0 - 1)), Some(200));
        assert_eq!(read(change), Some(100));
        assert_eq!(read(at("2025-01-01")), None);
    }

    #[test]
    fn a_call_costs_what_each_of_its_tokens_costs() {
        let table = PriceTable::builtin().unwrap();
        let usage = Usage {
            input: 1,
            output: 10,
            cache_write_5m: 100,
            cache_write_1h: 1_000,
            cache_read: 10_000,
        };
        let priced = |model, usage, terms| table.cost(model, at("2026-11-23"), usage, terms).0;
        let of = |model, usage| priced(model, usage, Terms::Usual);
        assert_eq!(
            of("claude-opus-5-5", usage),
            Some(4_000 + 200_000 + 500_000 + 8_000_000 + 2_000_000)
        );
        // The sum of all three kinds of input chooses the band.
        assert_eq!(
            of("claude-haiku-5-5", Usage { input: 100_000, ..Usage::default() }),
            Some(10_000_000)
        );
        assert_eq!(
            of("claude-haiku-5-5", Usage { input: 99_999, cache_read: 2, ..Usage::default() }),
            Some(49_999_600)
        );
        assert_eq!(of("claude-9", usage), None);
        let one = Usage { input: 1, ..Usage::default() };
        for (model, terms, expected) in [
            ("claude-opus-5-5", Terms::UsOnly, Some(4_400)),
            ("claude-9", Terms::UsOnly, None),
            ("claude-opus-5-5", Terms::Free, Some(0)),
            ("claude-9", Terms::Free, Some(0)),
            ("claude-opus-5-5", Terms::Unknown, None),
        ] {
            assert_eq!(priced(model, one, terms), expected, "{model} {terms:?}");
        }
        assert_eq!(times_1_1(101), Some(112));
        assert_eq!(times_1_1(u64::MAX), None);
        assert_eq!(of("claude-opus-5-5", Usage { output: u64::MAX, ..usage }), None);
    }

    #[test]
    fn an_unknown_model_is_unpriced() {
        let table = PriceTable::builtin().unwrap();
        for model in [
            "",
            "claude-9",
            "claude-opus-5-99999",
            "claude-haiku-4-5-2025100x",
            "-20251001",
            "é-20251001",
        ] {
            assert_eq!(table.price(model, at("2026-11-23"), 0), None, "{model}");
        }
    }

    #[test]
    fn an_invalid_table_is_refused() {
        let price =
            r#"{"input":1,"cache_write_5m":1,"cache_write_1h":1,"cache_read":1,"output":1}"#;
        let table = |models: &str, from: &str, bands: &str| {
            let entry = format!(r#"{{"models":{models},"from":"{from}","bands":{bands}}}"#);
            PriceTable::parse(&format!(
                r#"{{"version":"x","unit":"nano-USD per token","prices":[{entry}]}}"#
            ))
        };
        let end = format!(r#"{{"price":{price}}}"#);
        let upto = |n: u64| format!(r#"{{"up_to":{n},"price":{price}}}"#);
        assert!(table(r#"["a"]"#, "2026-01-01", &format!("[{},{end}]", upto(5))).is_ok());
        for bands in [
            "[]".to_owned(),
            format!("[{}]", upto(5)),
            format!("[{end},{end}]"),
            format!("[{},{},{end}]", upto(5), upto(5)),
        ] {
            assert!(
                matches!(table(r#"["a"]"#, "2026-01-01", &bands), Err(PriceError::Bands(_))),
                "{bands}"
            );
        }
        let bands = format!("[{end}]");
        assert!(matches!(table(r#"["a"]"#, "soon", &bands), Err(PriceError::Date(_))));
        assert!(matches!(table(r#"["a b"]"#, "2026-01-01", &bands), Err(PriceError::Model(_))));
        assert!(matches!(table(r#"["a","a"]"#, "2026-01-01", &bands), Err(PriceError::Twice(_))));
        assert!(matches!(PriceTable::parse("{}"), Err(PriceError::Json(_))));
    }
}
