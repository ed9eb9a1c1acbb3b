//! Leases.

use claviger_projections::ports::{Hold, Holder, LeaseName, Store};
use crate::build::uuid;
use crate::case::{Failure, cases, ensure, equal};
use futures::future::join_all;

/// Longer than any case.
const LONG_MS: u64 = 600_000;

fn holder(n: u64) -> Holder {
    Holder(uuid(0x4_0000 + n))
}

/// The token of a lease that must be granted.
async fn taken(store: &dyn Store, name: LeaseName, by: u64, ttl_ms: u64) -> Result<u64, Failure> {
    match store.hold(name, holder(by), ttl_ms).await? {
        Hold::Ours { token } => Ok(token),
        Hold::Theirs { holder, .. } => Err(Failure(format!("{name} is with {holder:?}, and {by} should have it"))),
    }
}

/// A lease that must be refused.
async fn missed(store: &dyn Store, name: LeaseName, by: u64, has: u64) -> Result<(), Failure> {
    match store.hold(name, holder(by), LONG_MS).await? {
        Hold::Ours { token } => Err(Failure(format!("{name} went to {by} with token {token}, and {has} has it"))),
        Hold::Theirs { holder: found, left_ms } => {
            equal!(found, holder(has), "the holder");
            ensure!(left_ms > 0 && left_ms <= LONG_MS, "{left_ms} ms are left of {LONG_MS}");
            Ok(())
        }
    }
}

cases! {
    async fn a_lease_has_one_holder(harness) {
        let store = harness.fresh().await?;
        let token = taken(store.as_ref(), LeaseName::Timers, 1, LONG_MS).await?;
        ensure!(token > 0, "the first token is 0, which is reserved");
        missed(store.as_ref(), LeaseName::Timers, 2, 1).await?;
        taken(store.as_ref(), LeaseName::Follower("keys"), 2, LONG_MS).await?;
        missed(store.as_ref(), LeaseName::Follower("keys"), 1, 2).await?;
    }

    async fn renewing_a_lease_keeps_its_token(harness) {
        let store = harness.fresh().await?;
        let token = taken(store.as_ref(), LeaseName::Timers, 1, 0).await?;
        for ttl_ms in [LONG_MS, 0, LONG_MS] {
            equal!(taken(store.as_ref(), LeaseName::Timers, 1, ttl_ms).await?, token, "the token");
        }
        missed(store.as_ref(), LeaseName::Timers, 2, 1).await?;
    }

    async fn a_lapsed_lease_changes_hands_with_a_higher_token(harness) {
        let store = harness.fresh().await?;
        let first = taken(store.as_ref(), LeaseName::Timers, 1, 0).await?;
        let second = taken(store.as_ref(), LeaseName::Timers, 2, 0).await?;
        let third = taken(store.as_ref(), LeaseName::Timers, 1, LONG_MS).await?;
        ensure!(first < second && second < third, "tokens {first}, {second}, {third}");
        missed(store.as_ref(), LeaseName::Timers, 2, 1).await?;
    }

    async fn a_released_lease_is_free_at_once(harness) {
        let store = harness.fresh().await?;
        let first = taken(store.as_ref(), LeaseName::Timers, 1, LONG_MS).await?;
        ensure!(store.release(LeaseName::Timers, holder(1)).await?, "the release was none");
        let second = taken(store.as_ref(), LeaseName::Timers, 2, LONG_MS).await?;
        ensure!(second > first, "token {second} after {first}");
        ensure!(store.release(LeaseName::Timers, holder(2)).await?, "the second release was none");
        let third = taken(store.as_ref(), LeaseName::Timers, 2, LONG_MS).await?;
        ensure!(third > second, "token {third} after {second}");
    }

    async fn a_strangers_release_does_nothing(harness) {
        let store = harness.fresh().await?;
        ensure!(!store.release(LeaseName::Timers, holder(1)).await?, "a lease that was never taken was released");
        let token = taken(store.as_ref(), LeaseName::Timers, 1, LONG_MS).await?;
        ensure!(!store.release(LeaseName::Timers, holder(2)).await?, "a stranger released");
        missed(store.as_ref(), LeaseName::Timers, 2, 1).await?;
        equal!(taken(store.as_ref(), LeaseName::Timers, 1, LONG_MS).await?, token, "the token");
    }

    async fn racing_for_a_lease_has_one_winner(harness) {
        let store = harness.fresh().await?;
        let second = harness.another().await?;
        let processes = [Some(&store), second.as_ref()].into_iter().flatten();
        let asked: Vec<_> = processes
            .flat_map(|process| (0..8).map(move |_| process))
            .zip(1..)
            .map(|(process, n)| process.hold(LeaseName::Timers, holder(n), LONG_MS))
            .collect();
        let mut winners = 0;
        for answer in join_all(asked).await {
            winners += usize::from(matches!(answer?, Hold::Ours { .. }));
        }
        equal!(winners, 1, "winners");
    }
}
