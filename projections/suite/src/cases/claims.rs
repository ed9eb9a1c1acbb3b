//! Unique values.

use claviger_projections::ports::{AppendError, ClaimChange, ClaimKind};
use crate::build::{Maker, give_back, key, take, user};
use crate::case::{cases, equal};
use crate::check::{refused, successes};
use futures::future::join_all;

cases! {
    async fn a_claim_names_its_holder(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let claim = ClaimChange::Take { kind: ClaimKind::Secret, hash: [1; 32], holder: user(1), subject: key(4).0 };
        store.append(make.claims(user(1), 0, vec![claim])).await?;
        equal!(store.claim(ClaimKind::Secret, [1; 32]).await?, Some((user(1), key(4).0)), "the holder");
        equal!(store.claim(ClaimKind::Secret, [2; 32]).await?, None, "the holder of another value");
    }

    async fn a_value_is_taken_once(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.claims(user(1), 0, vec![take(ClaimKind::Email, 1, user(1))])).await?;
        let refusal = refused(store.as_ref(), make.claims(user(2), 0, vec![take(ClaimKind::Email, 1, user(2))])).await?;
        let taken = AppendError::ClaimTaken { kind: ClaimKind::Email, holder: user(1), subject: user(1).0 };
        equal!(refusal, taken, "the second holder's error");
        equal!(store.claim(ClaimKind::Email, [1; 32]).await?, Some((user(1), user(1).0)), "the holder");
    }

    async fn taking_what_one_has_is_no_conflict(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        for version in 0..2 {
            store.append(make.claims(user(1), version, vec![take(ClaimKind::Email, 1, user(1))])).await?;
        }
        let twice = vec![take(ClaimKind::Username, 2, user(1)), take(ClaimKind::Username, 2, user(1))];
        store.append(make.claims(user(1), 2, twice)).await?;
    }

    async fn one_holder_has_a_value_for_one_subject(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let secret = |of: u64| ClaimChange::Take { kind: ClaimKind::Secret, hash: [1; 32], holder: user(1), subject: key(of).0 };
        store.append(make.claims(user(1), 0, vec![secret(1)])).await?;
        let refusal = refused(store.as_ref(), make.claims(user(1), 1, vec![secret(2)])).await?;
        let taken = AppendError::ClaimTaken { kind: ClaimKind::Secret, holder: user(1), subject: key(1).0 };
        equal!(refusal, taken, "the second subject's error");
    }

    async fn a_value_given_back_is_free(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        store.append(make.claims(user(1), 0, vec![take(ClaimKind::Username, 1, user(1))])).await?;
        store.append(make.claims(user(1), 1, vec![give_back(ClaimKind::Username, 1), give_back(ClaimKind::Username, 2)])).await?;
        equal!(store.claim(ClaimKind::Username, [1; 32]).await?, None, "the holder");
        store.append(make.claims(user(2), 0, vec![take(ClaimKind::Username, 1, user(2))])).await?;
    }

    async fn claims_change_in_the_order_given(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let claims = vec![
            take(ClaimKind::Username, 1, user(1)),
            give_back(ClaimKind::Username, 1),
            take(ClaimKind::Username, 1, user(2)),
            take(ClaimKind::Username, 2, user(1)),
            give_back(ClaimKind::Username, 2),
        ];
        store.append(make.claims(user(1), 0, claims)).await?;
        equal!(store.claim(ClaimKind::Username, [1; 32]).await?, Some((user(2), user(2).0)), "a value given back and taken");
        equal!(store.claim(ClaimKind::Username, [2; 32]).await?, None, "a value taken and given back");
    }

    async fn kinds_keep_values_apart(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        for (kind, n) in [(ClaimKind::Username, 1), (ClaimKind::Email, 2), (ClaimKind::Secret, 3)] {
            store.append(make.claims(user(n), 0, vec![take(kind, 1, user(n))])).await?;
        }
        store.append(make.claims(user(2), 1, vec![give_back(ClaimKind::Email, 1)])).await?;
        equal!(store.claim(ClaimKind::Username, [1; 32]).await?, Some((user(1), user(1).0)), "the username's holder");
        equal!(store.claim(ClaimKind::Secret, [1; 32]).await?, Some((user(3), user(3).0)), "the secret's holder");
    }

    async fn racing_claims_have_one_winner(harness) {
        let (store, make) = (harness.fresh().await?, Maker::default());
        let second = harness.another().await?;
        let answers = join_all((0..16).map(|n| {
            let through = second.as_ref().filter(|_| n % 2 == 1).unwrap_or(&store);
            through.append(make.claims(user(n), 0, vec![take(ClaimKind::Email, 1, user(n))]))
        }))
        .await;
        equal!(successes(&answers).len(), 1, "winners");
        let holder = store.claim(ClaimKind::Email, [1; 32]).await?.map(|(holder, _)| holder);
        let log = store.read(0, 10).await?;
        equal!(log.first().and_then(|event| event.envelope.owner), holder, "the winner holds it");
    }
}
