//! Used tickets.

use claviger_projections::ports::{Store, TICKET_MARGIN_MS};
use claviger_domain::timestamp::Timestamp;
use crate::build::{NOW, uuid};
use crate::case::{Failure, cases, equal};
use futures::future::join_all;
use uuid::Uuid;

fn ticket(n: u64) -> Uuid {
    uuid(0x7_0000 + n)
}

async fn used(store: &dyn Store, n: u64, now: Timestamp) -> Result<bool, Failure> {
    Ok(store.use_ticket(ticket(n), NOW.plus_ms(30_000), now).await?)
}

cases! {
    async fn a_ticket_is_used_once(harness) {
        let store = harness.fresh().await?;
        equal!(used(&*store, 1, NOW).await?, true, "the first use");
        equal!(used(&*store, 1, NOW).await?, false, "the second");
        equal!(used(&*store, 2, NOW).await?, true, "another ticket");
        equal!(store.head().await?.position, 0, "the log's end: a use is no event");
    }

    async fn of_racing_uses_of_a_ticket_one_is_the_first(harness) {
        let store = harness.fresh().await?;
        let second = harness.another().await?;
        let answers = join_all((0..10_u8).map(|n| {
            let through = second.as_ref().filter(|_| n % 2 == 1).unwrap_or(&store);
            through.use_ticket(ticket(1), NOW.plus_ms(30_000), NOW)
        }))
        .await;
        equal!(answers.iter().filter(|answer| **answer == Ok(true)).count(), 1, "first uses");
    }

    async fn a_used_ticket_survives_a_kill(harness) {
        let store = harness.fresh().await?;
        equal!(used(&*store, 1, NOW).await?, true, "the first use");
        let store = harness.reopen().await?;
        equal!(used(&*store, 1, NOW).await?, false, "the second, after the kill");
    }

    async fn a_used_ticket_is_remembered_while_a_clock_may_still_accept_it(harness) {
        let store = harness.fresh().await?;
        equal!(used(&*store, 1, NOW).await?, true, "the first use");
        // A use of another ticket is when a store may forget.
        equal!(used(&*store, 2, NOW.plus_ms(30_000 + TICKET_MARGIN_MS - 1)).await?, true, "another");
        equal!(used(&*store, 1, NOW).await?, false, "the second use, by a clock that is behind");
    }
}
