//! Sums of the usage of calls.

use super::words::Pattern;
use crate::answer::budget;
use crate::context::{fault, ports};
use crate::error::top_level;
use crate::scalars::{DateTime, UInt64, int};
use async_graphql::{Context, Enum, Error, ID, SimpleObject};
use claviger_application::UsageCell;
use claviger_application::ids::{self, IdKind};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{KeyId, RunId, UserId};
use claviger_domain::orchestration::{self as domain, Cost, Usage};
use claviger_projections::activity::KeyActivity;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of days per request: a leap year.
const MOST_DAYS: u64 = 366;
const DAY_MS: u64 = 24 * 3600 * 1000;

/// Bytes of a cell, about.
const CELL: usize = 192;

/// Numbers of tokens. The three kinds of input add up to the whole input.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub(crate) struct TokenUsage {
    /// Input tokens neither read from the cache nor written to it.
    input_tokens: UInt64,
    /// Output tokens, thinking included.
    output_tokens: UInt64,
    /// Input tokens written to the cache.
    cache_creation_input_tokens: UInt64,
    /// Input tokens read from the cache.
    cache_read_input_tokens: UInt64,
}

impl From<Usage> for TokenUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: UInt64(usage.input),
            output_tokens: UInt64(usage.output),
            cache_creation_input_tokens: UInt64(usage.cache_write()),
            cache_read_input_tokens: UInt64(usage.cache_read),
        }
    }
}

/// The dimensions by which usage can be grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum UsageDimension {
    /// The user's key; null for the operator's credentials.
    Key,
    /// The model.
    Model,
    /// The UTC day on which the calls ended.
    Day,
    /// The orchestration's pattern.
    Pattern,
}

/// The usage of one group of calls.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub(crate) struct UsageRow {
    /// The key, if rows are grouped by it; null for the operator's credentials.
    key_id: Option<ID>,
    /// The model, if rows are grouped by it.
    model: Option<String>,
    /// The UTC day, such as 2026-11-23, if rows are grouped by it.
    day: Option<String>,
    /// The pattern, if rows are grouped by it.
    pattern: Option<Pattern>,
    /// Number of orchestrations.
    runs: i32,
    /// Number of calls.
    calls: i32,
    /// Tokens that the calls used.
    usage: TokenUsage,
    /// The cost of the calls; null if a model in the row has no price, or the usage of a call is
    /// unknown.
    cost_nano_usd: Option<UInt64>,
}

/// The group of a row. Rows are sorted by these fields in this order, newest day first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    day: Option<Reverse<u64>>,
    key: Option<KeyId>,
    model: Option<String>,
    pattern: Option<domain::Pattern>,
}

/// A row while it is summed.
#[derive(Default)]
struct Sum {
    runs: BTreeSet<RunId>,
    calls: u64,
    usage: Usage,
    cost: Cost,
}

impl Sum {
    fn add(&mut self, cell: &UsageCell) {
        self.runs.insert(cell.run);
        self.calls = self.calls.saturating_add(cell.calls);
        self.usage = self.usage.plus(cell.usage);
        self.cost = self.cost.plus(cell.cost);
    }
}

/// Sums cells. Without dimensions there is exactly one row, even if there are no cells.
pub(super) fn add_up(cells: &[UsageCell], by: &[UsageDimension]) -> Vec<UsageRow> {
    let is_by = |dimension| by.contains(&dimension);
    let mut sums: BTreeMap<Group, Sum> = BTreeMap::new();
    if by.is_empty() {
        sums.insert(Group::default(), Sum::default());
    }
    for cell in cells {
        let group = Group {
            day: is_by(UsageDimension::Day).then_some(Reverse(cell.day)),
            key: cell.key.filter(|_| is_by(UsageDimension::Key)),
            model: is_by(UsageDimension::Model).then(|| cell.model.clone()),
            pattern: is_by(UsageDimension::Pattern).then_some(cell.pattern),
        };
        sums.entry(group).or_default().add(cell);
    }
    sums.into_iter().map(|(group, sum)| row(group, &sum)).collect()
}

fn row(group: Group, sum: &Sum) -> UsageRow {
    UsageRow {
        key_id: group.key.map(|key| ID(ids::encode(IdKind::ApiKey, key.0))),
        model: group.model,
        day: group
            .day
            .map(|Reverse(day)| KeyActivity::start_of(day).to_datetime().date().to_string()),
        pattern: group.pattern.map(Pattern::from),
        runs: int(sum.runs.len()),
        calls: int(sum.calls),
        usage: sum.usage.into(),
        cost_nano_usd: sum.cost.0.map(UInt64),
    }
}

async fn cells(
    ctx: &Context<'_>,
    owner: UserId,
    from: DateTime,
    to: DateTime,
) -> Result<Vec<UsageCell>, Error> {
    if from.0 >= to.0 {
        return Err(top_level(
            &Failure::new(ErrorCode::Validation, "from must be before to").at(&["from"]),
        ));
    }
    if to.0.ms_since(from.0) > MOST_DAYS * DAY_MS {
        let message =
            format!("from and to must be at most {MOST_DAYS} days apart: request a shorter period");
        return Err(top_level(&Failure::new(ErrorCode::LimitExceeded, message).at(&["to"])));
    }
    let budget = budget(ctx)?;
    let reading = budget.reading().await.map_err(fault)?;
    let cells = ports(ctx)?.run_reads.usage(owner, from.0, to.0).await.map_err(fault)?;
    budget.read(cells.len().saturating_mul(CELL)).map_err(fault)?;
    drop(reading);
    budget.turn().await;
    Ok(cells)
}

/// Usage of a user's calls.
pub(crate) async fn usage_by(
    ctx: &Context<'_>,
    owner: UserId,
    from: DateTime,
    to: DateTime,
    by: &[UsageDimension],
) -> Result<Vec<UsageRow>, Error> {
    Ok(add_up(&cells(ctx, owner, from, to).await?, by))
}

/// Usage of calls with one key.
pub(crate) async fn usage_of_key(
    ctx: &Context<'_>,
    owner: UserId,
    key: KeyId,
    from: DateTime,
    to: DateTime,
) -> Result<UsageRow, Error> {
    let mut cells = cells(ctx, owner, from, to).await?;
    cells.retain(|cell| cell.key == Some(key));
    let mut sum = Sum::default();
    for cell in &cells {
        sum.add(cell);
    }
    Ok(row(Group { key: Some(key), ..Group::default() }, &sum))
}

#[cfg(test)]
mod tests {
    use super::UsageDimension::{Day, Key, Model, Pattern as ByPattern};
    use super::*;
    use uuid::Uuid;

    const KEY: KeyId = KeyId(Uuid::from_u128(5));

    /// Key, model, day, pattern; runs, calls, cost.
    type Row<'a> =
        (Option<&'a str>, Option<&'a str>, Option<&'a str>, Option<Pattern>, i32, i32, Option<u64>);

    /// Two runs on two days with two models; one call with the operator's credential, one of
    /// unknown cost.
    fn cells() -> Vec<UsageCell> {
        let cell = |run, day, key, model: &str, pattern, calls, cost| UsageCell {
            run: RunId(Uuid::from_u128(run)),
            day,
            key,
            model: model.to_owned(),
            pattern,
            calls,
            usage: Usage {
                input: 10 * calls,
                output: calls,
                cache_write_5m: 1,
                cache_write_1h: 2,
                cache_read: 4,
            },
            cost: Cost(cost),
        };
        vec![
            cell(1, 20_000, Some(KEY), "a", domain::Pattern::Debate, 2, Some(100)),
            cell(1, 20_001, Some(KEY), "a", domain::Pattern::Debate, 3, Some(50)),
            cell(2, 20_001, Some(KEY), "b", domain::Pattern::Parallel, 1, None),
            cell(3, 20_001, None, "a", domain::Pattern::Parallel, 4, Some(7)),
        ]
    }

    #[test]
    fn rows_are_grouped_by_the_dimensions_and_count_each_run_once() {
        let key = ids::encode(IdKind::ApiKey, KEY.0);
        let (first, second) = ("2024-10-04", "2024-10-05");
        let key = Some(key.as_str());
        let cases: [(&[UsageDimension], &[Row]); 6] = [
            (&[], &[(None, None, None, None, 3, 10, None)]),
            (
                &[Key],
                &[(None, None, None, None, 1, 4, Some(7)), (key, None, None, None, 2, 6, None)],
            ),
            (
                &[Model],
                &[
                    (None, Some("a"), None, None, 2, 9, Some(157)),
                    (None, Some("b"), None, None, 1, 1, None),
                ],
            ),
            (
                &[Day],
                &[
                    (None, None, Some(second), None, 3, 8, None),
                    (None, None, Some(first), None, 1, 2, Some(100)),
                ],
            ),
            (
                &[ByPattern],
                &[
                    (None, None, None, Some(Pattern::Debate), 1, 5, Some(150)),
                    (None, None, None, Some(Pattern::Parallel), 2, 5, None),
                ],
            ),
            (
                &[ByPattern, Day, Model, Key, Key],
                &[
                    (None, Some("a"), Some(second), Some(Pattern::Parallel), 1, 4, Some(7)),
                    (key, Some("a"), Some(second), Some(Pattern::Debate), 1, 3, Some(50)),
                    (key, Some("b"), Some(second), Some(Pattern::Parallel), 1, 1, None),
                    (key, Some("a"), Some(first), Some(Pattern::Debate), 1, 2, Some(100)),
                ],
            ),
        ];
        for (by, expected) in cases {
            let rows = add_up(&cells(), by);
            let found: Vec<Row> = rows
                .iter()
                .map(|row| {
                    let cost = row.cost_nano_usd.map(|cost| cost.0);
                    let (key, model, day) = (
                        row.key_id.as_ref().map(|id| id.as_str()),
                        row.model.as_deref(),
                        row.day.as_deref(),
                    );
                    (key, model, day, row.pattern, row.runs, row.calls, cost)
                })
                .collect();
            assert_eq!(found, expected, "{by:?}");
        }
    }

    #[test]
    fn tokens_are_summed_and_no_cells_give_one_zero_row_or_no_rows() {
        let row = add_up(&cells(), &[]).remove(0);
        let tokens = |input, output, written, read| TokenUsage {
            input_tokens: UInt64(input),
            output_tokens: UInt64(output),
            cache_creation_input_tokens: UInt64(written),
            cache_read_input_tokens: UInt64(read),
        };
        assert_eq!(row.usage, tokens(100, 10, 12, 16));
        let nothing = add_up(&[], &[]);
        assert_eq!(nothing.len(), 1);
        assert_eq!(
            (nothing[0].runs, nothing[0].calls, nothing[0].cost_nano_usd),
            (0, 0, Some(UInt64(0)))
        );
        assert_eq!(add_up(&[], &[Day]), []);
    }
}
