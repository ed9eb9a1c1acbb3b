//! The usage of a user's calls, from an asynchronous view: the newest calls may be missing for a
//! moment.

use super::StoreReads;
use crate::system::failure::store_failure;
use claviger_application::UsageCell;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{Page, USAGE, ViewRow};
use claviger_projections::usage::{UsageView, day_of, start_of};
use uuid::Uuid;

/// Rows read at a time.
const ROWS: usize = 500;

impl StoreReads {
    /// The usage of calls that ended on the UTC days that `[from, to)` touches, newest day first.
    pub(crate) async fn usage_cells(
        &self,
        user: UserId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<UsageCell>, Failure> {
        let mut cells = Vec::new();
        let Some(mut page) = days_touched(from, to) else { return Ok(cells) };
        loop {
            let found =
                self.store.page(USAGE, user, page).await.map_err(|error| store_failure(&error))?;
            page.after = found.rows.last().map(|row| (row.sort, row.id));
            for row in &found.rows {
                cells.extend(cells_of(row)?);
            }
            if !found.more {
                return Ok(cells);
            }
        }
    }
}

/// The first page of the rows of those days; `None` for an empty range.
fn days_touched(from: Timestamp, to: Timestamp) -> Option<Page> {
    let last = to.0.checked_sub(1).filter(|last| from.0 <= *last)?;
    let newest = start_of(day_of(Timestamp(last)) + 1).0;
    let before = start_of(day_of(from)).0.checked_sub(1).map(|sort| (sort, Uuid::max()));
    Some(Page { after: Some((newest, Uuid::nil())), before, from_end: false, limit: ROWS })
}

fn cells_of(row: &ViewRow) -> Result<impl Iterator<Item = UsageCell>, Failure> {
    let facts = UsageView::read(row).map_err(|reason| {
        tracing::error!(view = USAGE, row = %row.id, reason = reason.as_str(), "cannot read a view's row: run `claviger replay usage`");
        Failure::internal()
    })?;
    let (run, day, pattern) = (facts.run, facts.day, facts.pattern);
    Ok(facts.cells.into_iter().map(move |cell| UsageCell {
        run,
        day,
        key: cell.key,
        model: cell.model,
        pattern,
        calls: cell.calls,
        usage: cell.usage,
        cost: cell.cost,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600 * 1000;

    #[test]
    fn a_range_touches_the_days_between_its_ends_and_no_others() {
        let last_of = |day: u64| Some((day * DAY - 1, Uuid::max()));
        let table = [
            ((2 * DAY, 2 * DAY), None),
            ((2 * DAY + 5, 2 * DAY + 4), None),
            ((0, 0), None),
            ((2 * DAY, 2 * DAY + 1), Some((3 * DAY, last_of(2)))),
            ((2 * DAY, 3 * DAY), Some((3 * DAY, last_of(2)))),
            ((2 * DAY, 3 * DAY + 1), Some((4 * DAY, last_of(2)))),
            ((3 * DAY - 1, 3 * DAY + 1), Some((4 * DAY, last_of(2)))),
            ((5, 6), Some((DAY, None))),
        ];
        for ((from, to), expected) in table {
            let page = days_touched(Timestamp(from), Timestamp(to));
            let found = page.map(|page| (page.after.unwrap().0, page.before));
            assert_eq!(found, expected, "{from} to {to}");
            assert!(
                page.is_none_or(|page| page.after.unwrap().1.is_nil()),
                "a row of the day after the last would be in"
            );
        }
        assert!(days_touched(Timestamp(0), Timestamp(u64::MAX)).is_some(), "all time");
    }
}
