//! Stores that are broken in how they use transactions, and the cases that must distinguish them
//! from a whole one. The store has no switch for that: what it sends is changed on its way to the
//! server.

use super::super::sqlite::append;
use super::contract::run;
use super::harness::MongoHarness;
use super::rewriting::{Rewrite, Rewriting, Statement};
use crate::harness::mongo::{TestServer, server};
use claviger_domain::id::KeyId;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{
    Append, AppendError, Appended, Expected, Log, Rotation, RowChange, Rows, SecretRow,
    StoreKeyRow, UserKeyRow, UserKeyState, UserRows,
};
use claviger_store::mongo::MongoStore;
use claviger_suite::{FaultHooks, Outcome, cases};
use futures::future::join;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use uuid::Uuid;

/// How a case ends on a store whose words are changed like this, and how many were.
async fn outcome(server: &'static TestServer, rewrite: Rewrite, name: &str) -> (Outcome, usize) {
    let case = cases().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"));
    let proxy = Rewriting::before(server, rewrite).await;
    let ended = run(case, MongoHarness::behind(server, &proxy), 60).await;
    (ended, proxy.rewritten())
}

/// The case passes.
async fn passes(server: &'static TestServer, rewrite: Rewrite, name: &str) {
    let (ended, rewritten) = outcome(server, rewrite, name).await;
    assert_eq!(ended, Ok(()), "{name} with {rewrite:?}");
    assert_eq!(rewritten > 0, rewrite != Rewrite::Nothing, "{name} with {rewrite:?}");
}

/// The case fails with this message.
async fn fails(server: &'static TestServer, rewrite: Rewrite, (name, says): (&str, &str)) {
    let (ended, rewritten) = outcome(server, rewrite, name).await;
    let failure = ended.err().unwrap_or_else(|| panic!("a store with {rewrite:?} passes {name}"));
    println!("{rewrite:?}, {name}: {failure}");
    assert!(
        failure.0.contains(says),
        "{name} fails with {rewrite:?} for another reason: {failure}"
    );
    assert!(rewritten > 0, "{name} with {rewrite:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_writes_without_a_session_fails() {
    let Some(server) = server().await else { return };
    for case in [
        ("nothing_is_seen_of_an_append_before_its_commit", "seen before its commit"),
        ("a_failed_commit_leaves_nothing", "it left something behind"),
        (
            "a_kill_before_the_commit_leaves_nothing_of_it",
            "something of an uncommitted append survived",
        ),
    ] {
        passes(server, Rewrite::Nothing, case.0).await;
        fails(server, Rewrite::NoSession, case).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_tries_a_statement_again_instead_of_its_transaction_fails() {
    let Some(server) = server().await else { return };
    let last: Statement = ("update", "log_head");
    for (statement, case) in [
        (last, ("whoever_reads_after_an_answer_sees_the_append", "position 1 is missing")),
        (last, ("a_value_is_taken_once", "an append that must be refused got position")),
        (("update", "views"), ("a_restart_keeps_everything", "position 1 is missing")),
    ] {
        passes(server, Rewrite::Conflict(statement), case.0).await;
        fails(server, Rewrite::RetryAlone(statement), case).await;
    }
}

/// Two processes behind a proxy.
struct Pair {
    proxy: Rewriting,
    harness: MongoHarness,
    holder: Arc<MongoStore>,
    other: Arc<MongoStore>,
}

/// How a request ended that came while another process stood before its commit.
struct Beside<T> {
    held: Result<Appended, AppendError>,
    answer: T,
    /// It was answered before the other process went on.
    meanwhile: bool,
}

impl Pair {
    async fn new(server: &'static TestServer, rewrite: Rewrite) -> Self {
        let proxy = Rewriting::before(server, rewrite).await;
        let harness = MongoHarness::behind(server, &proxy);
        let (holder, other) = (harness.open().await.unwrap(), harness.open().await.unwrap());
        Self { proxy, harness, holder, other }
    }

    /// One process stands before the commit of `held`; the other receives a request meanwhile. The
    /// first goes on when that was answered, or was in conflict with it for the second time.
    async fn beside<T>(&self, held: Append, question: impl Future<Output = T>) -> Beside<T> {
        self.harness.gate.park();
        let beside = async {
            self.harness.gate.parked().await;
            let mut question = pin!(question);
            let early = tokio::select! {
                answer = &mut question => Some(answer),
                () = self.proxy.conflicts(2) => None,
            };
            self.harness.gate.release();
            match early {
                Some(answer) => (answer, true),
                None => (question.await, false),
            }
        };
        let (held, (answer, meanwhile)) = join(self.holder.append(held), beside).await;
        Beside { held, answer, meanwhile }
    }
}

/// Whether nobody commits while a process holds the head, if only to refuse.
async fn the_head_has_one_holder(server: &'static TestServer, rewrite: Rewrite) -> bool {
    let pair = Pair::new(server, rewrite).await;
    let refused = Append { expected: Expected::Exact(7), ..append(0) };
    let Beside { held, answer, meanwhile } =
        pair.beside(refused, pair.other.append(append(1))).await;
    assert_eq!(held, Err(AppendError::Conflict { actual: 0 }));
    assert_eq!(answer.unwrap().position, 1);
    pair.harness.finish().await;
    !meanwhile
}

/// Whether the first store key is the first.
async fn the_first_store_key_is_the_first(server: &'static TestServer, rewrite: Rewrite) -> bool {
    let pair = Pair::new(server, rewrite).await;
    let row = |kek: u8| StoreKeyRow {
        kek: [kek; 8],
        wrapped_index_key: vec![kek; 105],
        canary: vec![kek; 81],
    };
    let held = Append { rows: vec![RowChange::PutStoreKey(row(1))], ..append(0) };
    let Beside { held, answer, .. } = pair.beside(held, pair.other.init_store_key(row(2))).await;
    held.unwrap();
    let first = answer.unwrap();
    assert_eq!(pair.other.store_keys().await.unwrap().len(), 1 + usize::from(first));
    pair.harness.finish().await;
    !first
}

/// Whether a secret that comes in beside a new user key is sealed under it, or keeps the key from
/// coming.
async fn no_secret_is_lost(server: &'static TestServer, rewrite: Rewrite) -> bool {
    let pair = Pair::new(server, rewrite).await;
    let first = append(0);
    let owner = first.owner.unwrap();
    let key = |version| UserKeyRow { owner, version, kek: [1; 8], wrapped: vec![1; 105] };
    pair.holder
        .append(Append { rows: vec![RowChange::PutUserKey(key(1))], ..first })
        .await
        .unwrap();
    let secret = SecretRow {
        owner,
        key: KeyId(owner.0),
        secret_version: 1,
        user_key_version: 1,
        wrapped_data_key: vec![4; 105],
        sealed: vec![5; 181],
    };
    // A stream of its own, so that it is in nobody's way but the rotation's.
    let stream = StreamName::Run(Uuid::max());
    let held = Append {
        stream,
        owner: Some(owner),
        rows: vec![RowChange::PutSecret(secret)],
        ..append(1)
    };
    let from = pair.other.user_rows(owner).await.unwrap().unwrap();
    let to = UserRows { key: UserKeyState { row: key(2), worn: false }, ..from.clone() };
    let Beside { held, answer, .. } = pair.beside(held, pair.other.rekey_user(from, to)).await;
    held.unwrap();
    let rows = pair.other.user_rows(owner).await.unwrap().unwrap();
    let newest = rows.key.row.version;
    assert_eq!(newest, 1 + u32::from(answer.unwrap()));
    assert_eq!(rows.secrets.len(), 1);
    pair.harness.finish().await;
    rows.secrets.iter().all(|secret| secret.user_key_version == newest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_touch_changes_nothing_fails() {
    let Some(server) = server().await else { return };
    for (rewrite, holds) in [(Rewrite::Nothing, true), (Rewrite::NoTouch, false)] {
        let head = the_head_has_one_holder(server, rewrite).await;
        let first = the_first_store_key_is_the_first(server, rewrite).await;
        let secret = no_secret_is_lost(server, rewrite).await;
        assert_eq!((head, first, secret), (holds, holds, holds), "{rewrite:?}");
    }
}
