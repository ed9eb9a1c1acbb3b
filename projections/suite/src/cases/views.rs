//! Views and defaults.

use claviger_projections::ports::{ACCOUNTS, Append, KEYS, Page, PageOf, RUNS, RowChange, Store, ViewRow};
use crate::build::{Maker, inline, key, tag, user, uuid, view_row};
use crate::case::{Failure, cases, ensure, equal};
use crate::check::WHOLE;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// Twelve rows, several with the same sort key, newest first, beside rows of other users and of
/// another view.
async fn filled(store: &dyn Store, make: &Maker) -> Result<Vec<ViewRow>, Failure> {
    let mut rows: Vec<_> = (0..12).map(|n| view_row(user(1), uuid(n * 7 % 12), 100 + n / 4)).collect();
    let strangers = (0..12).map(|n| view_row(user(2), uuid(n), 101));
    let accounts = (0..5).map(|n| ViewRow { view: ACCOUNTS, ..view_row(user(1), uuid(n), 101) });
    let puts = rows.iter().cloned().chain(strangers).chain(accounts).map(RowChange::PutView).collect();
    store.append(make.rows(user(1), 0, puts)).await?;
    rows.sort_by_key(|row| std::cmp::Reverse((row.sort, row.id)));
    Ok(rows)
}

/// A second implementation of paging.
fn expected(rows: &[ViewRow], page: Page) -> PageOf {
    let inside = |row: &&ViewRow| {
        page.after.is_none_or(|after| (row.sort, row.id) < after) && page.before.is_none_or(|before| (row.sort, row.id) > before)
    };
    let within: Vec<ViewRow> = rows.iter().filter(inside).cloned().collect();
    let skipped = if page.from_end { within.len().saturating_sub(page.limit) } else { 0 };
    let more = within.len() > page.limit;
    PageOf { rows: within.into_iter().skip(skipped).take(page.limit).collect(), total: rows.len() as u64, more }
}

fn places() -> Vec<Option<(u64, Uuid)>> {
    let ends = [(0, Uuid::nil()), (u64::MAX, Uuid::max()), (101, Uuid::nil()), (101, Uuid::max())];
    let ties = (0..12).step_by(3).map(|n| (101, uuid(n)));
    [None].into_iter().chain(ends.into_iter().chain(ties).map(Some)).collect()
}

cases! {
    async fn a_view_is_paged_forward(harness) {
        let store = harness.fresh().await?;
        let rows = filled(store.as_ref(), &Maker::default()).await?;
        for limit in [1, 2, 5, 12, 50] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = store.page(KEYS, user(1), Page { after, limit, ..Page::default() }).await?;
                equal!(page.total, 12, "the total");
                equal!(page.more, found.len() + page.rows.len() < 12, "whether there are more");
                after = page.rows.last().map(|row| (row.sort, row.id));
                found.extend(page.rows);
                if !page.more {
                    break;
                }
            }
            ensure!(found == rows, "pages of {limit} don't make up the view");
        }
    }

    async fn a_view_is_paged_backward(harness) {
        let store = harness.fresh().await?;
        let rows = filled(store.as_ref(), &Maker::default()).await?;
        for limit in [1, 2, 5, 12, 50] {
            let (mut found, mut before) = (Vec::new(), None);
            loop {
                let page = store.page(KEYS, user(1), Page { before, limit, from_end: true, ..Page::default() }).await?;
                equal!(page.more, found.len() + page.rows.len() < 12, "whether there are more");
                before = page.rows.first().map(|row| (row.sort, row.id));
                found.splice(0..0, page.rows);
                if !page.more {
                    break;
                }
            }
            ensure!(found == rows, "pages of {limit} from the end don't make up the view");
        }
    }

    async fn a_page_lies_strictly_between_its_places(harness) {
        let store = harness.fresh().await?;
        let rows = filled(store.as_ref(), &Maker::default()).await?;
        for after in places() {
            for before in places() {
                for (from_end, limit) in [(false, 0), (false, 3), (false, 100), (true, 0), (true, 3), (true, 100)] {
                    let page = Page { after, before, from_end, limit };
                    let found = store.page(KEYS, user(1), page).await?;
                    ensure!(found == expected(&rows, page), "{page:?} is not what it should be");
                }
            }
        }
    }

    async fn rows_of_a_view_come_back_as_they_were_put(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let bare = ViewRow { content: None, facts: b"{ }".to_vec(), sort: 0, ..view_row(user(1), uuid(1), 1) };
        let full = ViewRow { content: Some(vec![7; 10_000]), sort: 1 << 53, ..view_row(user(1), uuid(2), 1) };
        let puts = [&bare, &full].map(|row| RowChange::PutView(row.clone())).to_vec();
        store.append(make.rows(user(1), 0, puts)).await?;
        equal!(store.row(KEYS, user(1), uuid(1)).await?, Some(bare.clone()), "the row without content");
        equal!(store.page(KEYS, user(1), WHOLE).await?.rows, [full, bare], "the view");
    }

    async fn a_row_of_a_view_is_replaced_and_removed(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let old = view_row(user(1), uuid(1), 5);
        let new = ViewRow { facts: b"{\"new\":1}".to_vec(), content: None, ..view_row(user(1), uuid(1), 9) };
        store
            .append(make.rows(user(1), 0, vec![RowChange::PutView(old), RowChange::PutView(view_row(user(1), uuid(2), 7))]))
            .await?;
        store.append(make.rows(user(1), 1, vec![RowChange::PutView(new.clone())])).await?;
        equal!(store.page(KEYS, user(1), WHOLE).await?.rows.first(), Some(&new), "the first row");
        equal!(store.page(KEYS, user(1), WHOLE).await?.total, 2, "the total");
        let remove = RowChange::DeleteView { view: KEYS, owner: user(1), id: uuid(1) };
        store.append(make.rows(user(1), 2, vec![remove.clone(), remove])).await?;
        equal!(store.row(KEYS, user(1), uuid(1)).await?, None, "the removed row");
        equal!(store.page(KEYS, user(1), WHOLE).await?.total, 1, "the total in the end");
    }

    async fn a_view_shows_its_owner_only(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        filled(store.as_ref(), &make).await?;
        for (view, owner, total) in
            [(KEYS, user(1), 12), (KEYS, user(2), 12), (ACCOUNTS, user(1), 5), (ACCOUNTS, user(2), 0), (KEYS, user(3), 0)]
        {
            let page = store.page(view, owner, WHOLE).await?;
            equal!((page.total, page.rows.len()), (total, usize::try_from(total).unwrap_or(0)), "rows of {view}");
            ensure!(page.rows.iter().all(|row| row.owner == owner && row.view == view), "a stranger's row in {view}");
        }
        equal!(store.row(ACCOUNTS, user(1), uuid(11)).await?, None, "a row of another view");
        equal!(store.row(KEYS, user(3), uuid(1)).await?, None, "a row for a stranger");
        store.append(make.rows(user(2), 0, vec![RowChange::DeleteView { view: KEYS, owner: user(2), id: uuid(1) }])).await?;
        ensure!(store.row(KEYS, user(1), uuid(1)).await?.is_some(), "an owner's row went with a stranger's");
    }

    async fn a_context_has_one_default(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let put = |owner, n, of| RowChange::PutDefault { owner: user(owner), tag: tag(n), key: key(of) };
        store.append(make.rows(user(1), 0, vec![put(1, 1, 1), put(1, 1, 2), put(1, 2, 1), put(2, 1, 9)])).await?;
        equal!(store.default_key(user(1), tag(1)).await?, Some(key(2)), "the default");
        equal!(store.defaults(user(1)).await?, [(tag(1), key(2)), (tag(2), key(1))], "all defaults");
        let clear = RowChange::DeleteDefault { owner: user(1), tag: tag(1) };
        store.append(make.rows(user(1), 1, vec![clear])).await?;
        equal!(store.default_key(user(1), tag(1)).await?, None, "a default that was cleared");
        equal!(store.default_key(user(2), tag(1)).await?, Some(key(9)), "another owner's default");
    }

    async fn defaults_are_ordered_by_tag(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let puts =
            [200, 3, 127, 128, 0, 255].map(|n| RowChange::PutDefault { owner: user(1), tag: tag(n), key: key(u64::from(n)) });
        store.append(make.rows(user(1), 0, puts.to_vec())).await?;
        let expected = [0, 3, 127, 128, 200, 255].map(|n| (tag(n), key(u64::from(n))));
        equal!(store.defaults(user(1)).await?, expected, "defaults");
    }

    async fn owners_of_a_view_are_listed_in_order(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let rows = [5, 1, 4, 1, 3].into_iter().zip(0..).map(|(n, id)| RowChange::PutView(view_row(user(n), uuid(id), 1)));
        let elsewhere = RowChange::PutView(ViewRow { view: ACCOUNTS, ..view_row(user(2), uuid(1), 1) });
        store.append(make.rows(user(1), 0, rows.chain([elsewhere]).collect())).await?;
        equal!(store.owners(KEYS, None, 100).await?, [user(1), user(3), user(4), user(5)], "owners");
        equal!(store.owners(KEYS, None, 2).await?, [user(1), user(3)], "the first two");
        equal!(store.owners(KEYS, Some(user(3)), 2).await?, [user(4), user(5)], "the next two");
        equal!(store.owners(KEYS, Some(user(5)), 2).await?, [], "owners after the last");
        equal!(store.owners(ACCOUNTS, None, 100).await?, [user(2)], "owners of another view");
    }

    async fn rows_of_all_owners_are_listed_in_order(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let places = [(2, 1), (1, 2), (1, 1), (3, 0)];
        let rows = places.into_iter().zip(1..).map(|((n, id), sort)| RowChange::PutView(view_row(user(n), uuid(id), sort)));
        // One of the other views has a name of the same length as this one's.
        let elsewhere = [ACCOUNTS, RUNS].map(|view| RowChange::PutView(ViewRow { view, ..view_row(user(1), uuid(3), 1) }));
        store.append(make.rows(user(1), 0, rows.chain(elsewhere).collect())).await?;
        let place = |row: &ViewRow| (row.owner, row.id);
        let all: Vec<_> = store.rows_of_all(KEYS, None, 100).await?.iter().map(place).collect();
        let expected = [(user(1), uuid(1)), (user(1), uuid(2)), (user(2), uuid(1)), (user(3), uuid(0))];
        equal!(all, expected, "rows");
        let behind: Vec<_> = store.rows_of_all(KEYS, Some((user(1), uuid(1))), 2).await?.iter().map(place).collect();
        equal!(behind, [(user(1), uuid(2)), (user(2), uuid(1))], "the next two");
        equal!(store.rows_of_all(KEYS, Some((user(3), uuid(0))), 2).await?, [], "rows after the last");
        let elsewhere: Vec<_> = store.rows_of_all(RUNS, None, 2).await?.iter().map(place).collect();
        equal!(elsewhere, [(user(1), uuid(3))], "rows of another view");
    }

    async fn an_inline_view_knows_where_its_events_are(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.append(user(2), 0, 3)).await?;
        let rows = inline(|placed| {
            Ok(placed.iter().map(|p| RowChange::PutView(view_row(user(1), p.id.0, p.position * 1000 + p.version))).collect())
        });
        let appended = store.append(Append { inline: rows, ..make.append(user(1), 0, 2) }).await?;
        let found: Vec<_> = store.page(KEYS, user(1), WHOLE).await?.rows.into_iter().map(|row| (row.id, row.sort)).collect();
        let placed: Vec<_> = appended.placed.iter().rev().map(|p| (p.id.0, p.position * 1000 + p.version)).collect();
        equal!(found, placed, "rows");
    }

    async fn an_inline_view_is_applied_once(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        // The function may be called again when a transaction is repeated; only the rows of one
        // call may remain.
        let rows = inline(move |_| {
            let call = counted.fetch_add(1, Ordering::SeqCst);
            Ok(vec![RowChange::PutView(view_row(user(1), uuid(call), call))])
        });
        store.append(Append { inline: rows, ..make.append(user(1), 0, 1) }).await?;
        ensure!(calls.load(Ordering::SeqCst) > 0, "the view was never called");
        equal!(store.page(KEYS, user(1), WHOLE).await?.total, 1, "rows");
    }
}
