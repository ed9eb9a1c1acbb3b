//! Lists runs, opened for their owner.

use super::StoreReads;
use crate::system::failure::store_failure;
use crate::views::open_run;
use claviger_application::{RunFilter, RunPage};
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_projections::ports::{Page, PageOf, RUNS, ViewRow};
use claviger_projections::runs::RunFacts;
use std::collections::VecDeque;
use uuid::Uuid;

/// Rows read at a time when a filter applies.
const ROWS: usize = 500;

impl StoreReads {
    /// A page of a user's runs. Only the page's rows are opened, each with its run's content key.
    pub(crate) async fn runs_page(
        &self,
        user: UserId,
        filter: RunFilter,
        page: Page,
    ) -> Result<RunPage, Failure> {
        let found = if filter.states.is_empty() && filter.patterns.is_empty() {
            self.store.page(RUNS, user, page).await.map_err(|error| store_failure(&error))?
        } else {
            self.passing(user, &filter, page).await?
        };
        let keys = if found.rows.is_empty() { None } else { self.keychain.user(user).await? };
        let mut runs = Vec::with_capacity(found.rows.len());
        for row in &found.rows {
            let key = if row.content.is_some() {
                self.content_key(keys.as_ref(), row.stream).await?
            } else {
                None
            };
            runs.push(open_run(row, key.as_ref())?);
        }
        Ok(RunPage { runs, total: found.total, more: found.more })
    }

    /// A page of the rows that pass a filter. The store can't filter on the contents of rows, so
    /// all of the owner's rows are read.
    async fn passing(
        &self,
        user: UserId,
        filter: &RunFilter,
        page: Page,
    ) -> Result<PageOf, Failure> {
        let mut kept = Kept::new(page);
        let mut next = Page { limit: ROWS, ..Page::default() };
        loop {
            let found =
                self.store.page(RUNS, user, next).await.map_err(|error| store_failure(&error))?;
            next.after = found.rows.last().map(|row| (row.sort, row.id));
            for row in found.rows {
                if passes(filter, &open_run(&row, None)?.facts) {
                    kept.take(row);
                }
            }
            if !found.more {
                return Ok(kept.page());
            }
        }
    }
}

fn passes(filter: &RunFilter, facts: &RunFacts) -> bool {
    (filter.states.is_empty() || filter.states.contains(&facts.state))
        && (filter.patterns.is_empty() || filter.patterns.contains(&facts.pattern))
}

/// Selects a page from rows in order, newest first, and never holds more than the page may show.
struct Kept {
    page: Page,
    rows: VecDeque<ViewRow>,
    total: u64,
    more: bool,
}

impl Kept {
    const fn new(page: Page) -> Self {
        Self { page, rows: VecDeque::new(), total: 0, more: false }
    }

    fn take(&mut self, row: ViewRow) {
        self.total += 1;
        let place: (u64, Uuid) = (row.sort, row.id);
        let is_within = self.page.after.is_none_or(|after| place < after)
            && self.page.before.is_none_or(|before| place > before);
        if !is_within {
            return;
        }
        if self.page.from_end {
            self.rows.push_back(row);
            if self.rows.len() > self.page.limit {
                self.rows.pop_front();
                self.more = true;
            }
        } else if self.rows.len() < self.page.limit {
            self.rows.push_back(row);
        } else {
            self.more = true;
        }
    }

    fn page(self) -> PageOf {
        PageOf { rows: self.rows.into(), total: self.total, more: self.more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_domain::stream::StreamName;

    fn row(n: u128, sort: u64) -> ViewRow {
        let (owner, id) = (UserId(Uuid::from_u128(1)), Uuid::from_u128(n));
        ViewRow {
            view: RUNS,
            owner,
            id,
            sort,
            stream: StreamName::Run(id),
            facts: Vec::new(),
            content: None,
        }
    }

    /// What a store returns if all rows pass.
    #[test]
    fn filtered_rows_are_paged_as_a_store_pages() {
        let rows: Vec<ViewRow> =
            [(6, 3), (5, 3), (4, 2), (3, 2), (2, 2), (1, 1)].map(|(n, sort)| row(n, sort)).to_vec();
        let id = |n: u128, sort: u64| Some((sort, Uuid::from_u128(n)));
        let page = |after, before, from_end, limit| Page { after, before, from_end, limit };
        let table = [
            (page(None, None, false, 2), vec![6, 5], true),
            (page(None, None, false, 6), vec![6, 5, 4, 3, 2, 1], false),
            (page(id(5, 3), None, false, 2), vec![4, 3], true),
            (page(id(5, 3), id(2, 2), false, 2), vec![4, 3], false),
            (page(None, None, true, 2), vec![2, 1], true),
            (page(None, id(3, 2), true, 2), vec![5, 4], true),
            (page(id(6, 3), id(3, 2), true, 2), vec![5, 4], false),
            (page(id(1, 1), None, false, 2), vec![], false),
            (page(None, None, false, 0), vec![], true),
            (page(None, None, true, 0), vec![], true),
        ];
        for (page, expected, more) in table {
            let mut kept = Kept::new(page);
            rows.iter().cloned().for_each(|row| kept.take(row));
            let found = kept.page();
            let ids: Vec<u128> = found.rows.iter().map(|row| row.id.as_u128()).collect();
            assert_eq!((ids, found.more, found.total), (expected, more, 6), "{page:?}");
        }
    }
}
