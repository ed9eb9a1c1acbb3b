//! The part of the log that an owner sees.

use claviger_projections::ports::{Append, Direction, HistoryFilter, NewEvent, Store, StoredEvent};
use crate::build::{Maker, key, user};
use crate::case::{Failure, cases, ensure, equal};
use crate::check::ALL;
use claviger_domain::stream::StreamName;

const KINDS: [&str; 3] = ["KeyAdded", "KeyRenamed", "Key\"Tested' OR 1"];

/// 36 events of three owners in turn, of three types and about three keys or none.
async fn filled(store: &dyn Store) -> Result<Vec<StoredEvent>, Failure> {
    let make = Maker::default();
    for n in 0..12 {
        for owner in 0..3 {
            let kind = KINDS.iter().cycle().nth(n).copied().unwrap_or_default().to_owned();
            let subject = (n % 4 != 0).then(|| key(n as u64 % 4).0);
            let events = vec![NewEvent { kind, subject, ..make.event() }];
            let stream = if n < 6 { StreamName::Account(user(owner)) } else { StreamName::KeyRing(user(owner)) };
            let version = n as u64 % 6;
            store.append(Append { stream, events, ..make.append(user(owner), version, 0) }).await?;
        }
    }
    Ok(store.read(0, ALL).await?)
}

/// A second implementation of the filter.
fn passes(event: &StoredEvent, filter: &HistoryFilter) -> bool {
    event.envelope.owner == Some(user(1))
        && filter.subject.is_none_or(|subject| event.subject == Some(subject))
        && (filter.kinds.is_empty() || filter.kinds.contains(&event.envelope.kind))
        && filter.above.is_none_or(|above| event.envelope.position > above)
        && filter.below.is_none_or(|below| event.envelope.position < below)
}

fn filters() -> Vec<HistoryFilter> {
    let kinds = [vec![], vec![0], vec![1, 2], vec![2]]
        .map(|chosen| chosen.iter().filter_map(|n: &usize| KINDS.get(*n)).map(|kind| (*kind).to_owned()).collect::<Vec<_>>());
    let mut all = Vec::new();
    for subject in [None, Some(key(1).0), Some(key(3).0), Some(key(77).0)] {
        for kinds in &kinds {
            for (above, below) in
                [(None, None), (Some(9), None), (None, Some(20)), (Some(5), Some(31)), (Some(36), None), (None, Some(u64::MAX))]
            {
                all.push(HistoryFilter { subject, kinds: kinds.clone(), above, below });
            }
        }
    }
    all.push(HistoryFilter { kinds: vec!["NoSuchType".to_owned()], ..HistoryFilter::default() });
    all
}

cases! {
    async fn a_history_goes_both_ways(harness) {
        let store = harness.fresh().await?;
        let log = filled(store.as_ref()).await?;
        let mine: Vec<_> = log.into_iter().filter(|event| event.envelope.owner == Some(user(1))).collect();
        let forward = store.history(user(1), HistoryFilter::default(), Direction::Forward, ALL).await?;
        ensure!(forward == mine, "forward it is not the owner's part of the log");
        let mut backward = store.history(user(1), HistoryFilter::default(), Direction::Backward, ALL).await?;
        backward.reverse();
        ensure!(backward == mine, "backward it is not the owner's part of the log");
    }

    async fn a_history_filters_by_everything_at_once(harness) {
        let store = harness.fresh().await?;
        let log = filled(store.as_ref()).await?;
        for filter in filters() {
            let expected: Vec<_> = log.iter().filter(|event| passes(event, &filter)).cloned().collect();
            let found = store.history(user(1), filter.clone(), Direction::Forward, ALL).await?;
            ensure!(found == expected, "{filter:?} gives {} events, expected {}", found.len(), expected.len());
        }
    }

    async fn a_history_is_paged_by_position(harness) {
        let store = harness.fresh().await?;
        filled(store.as_ref()).await?;
        for direction in [Direction::Forward, Direction::Backward] {
            let whole = store.history(user(1), HistoryFilter::default(), direction, ALL).await?;
            let mut pages: Vec<StoredEvent> = Vec::new();
            loop {
                let last = pages.last().map(|event| event.envelope.position);
                let filter = match direction {
                    Direction::Forward => HistoryFilter { above: last, ..HistoryFilter::default() },
                    Direction::Backward => HistoryFilter { below: last, ..HistoryFilter::default() },
                };
                let page = store.history(user(1), filter, direction, 5).await?;
                ensure!(page.len() <= 5, "a page of {}", page.len());
                if page.is_empty() {
                    break;
                }
                pages.extend(page);
            }
            ensure!(pages == whole, "pages don't make up the history, {direction:?}");
        }
        let none = store.history(user(1), HistoryFilter::default(), Direction::Forward, 0).await?;
        equal!(none.len(), 0, "events for a limit of none");
    }

    async fn a_history_shows_nobody_elses_events(harness) {
        let store = harness.fresh().await?;
        filled(store.as_ref()).await?;
        for owner in [user(0), user(1), user(2)] {
            let found = store.history(owner, HistoryFilter::default(), Direction::Backward, ALL).await?;
            equal!(found.len(), 12, "events of one owner");
            ensure!(found.iter().all(|event| event.envelope.owner == Some(owner)), "another owner's event");
        }
        equal!(store.history(user(9), HistoryFilter::default(), Direction::Backward, ALL).await?.len(), 0, "a stranger's events");
    }
}
