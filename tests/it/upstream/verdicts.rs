//! Every scenario gives exactly its row of the table of verdicts, by exactly one call.

use super::{LEVELS, leaks, probe, secret, tested};
use crate::harness::environment::NOW;
use crate::harness::upstream::{held, simulator};
use claviger::simulator::Simulator;
use claviger::simulator::SimulatorConfig;
use claviger::simulator::counts::Endpoint;
use claviger::simulator::keys::{Scenario, key};
use claviger_domain::key_test::KeyTestLevel::{self, Authentic, Full, Model};
use claviger_domain::key_test::KeyTestStatus::{self, Failed, Inconclusive, Success};
use claviger_domain::key_test::Verdict::{self, No, Unknown, Yes};
use claviger_domain::text::ModelId;
use claviger_domain::timestamp::Timestamp;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::net::TcpListener;

type Row = (KeyTestStatus, Verdict, Verdict, Verdict, Option<u16>);

const REVOKED: Row = (Failed, No, Unknown, Unknown, Some(401));

fn good(level: KeyTestLevel) -> Row {
    match level {
        Authentic => (Success, Yes, Unknown, Unknown, Some(200)),
        Model => (Success, Yes, Unknown, Yes, Some(200)),
        Full => (Success, Yes, Yes, Yes, Some(200)),
    }
}

fn no_credit(status: u16) -> Row {
    (Failed, Yes, No, Unknown, Some(status))
}

fn no_model(status: u16) -> Row {
    (Failed, Yes, Unknown, No, Some(status))
}

fn nothing(status: Option<u16>) -> Row {
    (Inconclusive, Unknown, Unknown, Unknown, status)
}

/// The row that this scenario must give at this level.
fn expected(scenario: Scenario, level: KeyTestLevel) -> Row {
    use Scenario as S;
    let limited = (Inconclusive, Yes, Unknown, Unknown, Some(429));
    match (scenario, level) {
        (S::Revoked, _) => REVOKED,
        (S::NoCredit400 | S::SpendLimit400 | S::WorkspaceLimit400, Full)
        | (S::OnHold, Model | Full) => no_credit(400),
        (S::NoCredit402, Full) => no_credit(402),
        (S::SpendLimit429 | S::ContractLimit429, Full) => no_credit(429),
        (S::ForbiddenModel, Model | Full) => no_model(403),
        (S::UnknownModel, Model | Full) => no_model(404),
        (S::RateLimited | S::RateLimitedDate | S::RateLimitedReset, _) => limited,
        (S::Conflict, _) => nothing(Some(409)),
        (S::TooLarge, _) => nothing(Some(413)),
        (S::BadRequest | S::Echo, _) => nothing(Some(400)),
        (S::Server500, _) => nothing(Some(500)),
        (S::Server503, _) => nothing(Some(503)),
        (S::Server504, _) => nothing(Some(504)),
        (S::Overloaded, _) | (S::Flaky, Full) => nothing(Some(529)),
        (S::Cut | S::WrongType | S::Garbage | S::Huge, _) => nothing(Some(200)),
        (S::Redirect, _) => nothing(Some(302)),
        (S::Reset | S::Hang, _) => nothing(None),
        (
            S::Good
            | S::NoCredit400
            | S::NoCredit402
            | S::SpendLimit400
            | S::WorkspaceLimit400
            | S::OnHold
            | S::SpendLimit429
            | S::ContractLimit429
            | S::ForbiddenModel
            | S::UnknownModel
            | S::Flaky
            | S::Slow
            | S::StreamCut
            | S::StreamCutOnce
            | S::StreamError
            | S::Split
            | S::Refusal
            | S::MaxTokens,
            level,
        ) => good(level),
    }
}

fn endpoint(level: KeyTestLevel) -> Endpoint {
    match level {
        Authentic => Endpoint::Models,
        Model => Endpoint::CountTokens,
        Full => Endpoint::Messages,
    }
}

#[tokio::test]
async fn every_scenario_gives_its_row_by_one_call() {
    for &scenario in Scenario::ALL {
        for level in LEVELS {
            let simulator = simulator().await;
            let (outcome, key) = tested(&simulator, scenario, level).await;
            let verdict = &outcome.verdict;
            let row = (
                verdict.status,
                verdict.authentic,
                verdict.has_credit,
                verdict.model_allowed,
                verdict.upstream_status,
            );
            assert_eq!(
                row,
                expected(scenario, level),
                "{} at {level:?}: {outcome:?}",
                scenario.name()
            );
            let counts = simulator.counts();
            assert_eq!(
                (counts.of(&key, endpoint(level)), counts.total()),
                (1, 1),
                "{} at {level:?}",
                scenario.name()
            );
            assert!(!leaks(&key, &format!("{outcome:?}")), "{}: {outcome:?}", scenario.name());
            let model = (level != Authentic).then_some("claude-haiku-5-5");
            assert_eq!(outcome.model_tested.as_deref(), model);
            simulator.stop().await;
        }
    }
}

#[tokio::test]
async fn a_rate_limit_names_its_end() {
    let simulator = simulator().await;
    let in_30_s = NOW.plus_ms(30_000);
    for (scenario, from, to) in [
        // The wait counts from the answer, which came a little after the question.
        (Scenario::RateLimited, in_30_s, in_30_s.plus_ms(5_000)),
        (Scenario::RateLimitedDate, in_30_s, in_30_s.plus_ms(5)),
        (Scenario::RateLimitedReset, in_30_s, in_30_s),
        (Scenario::SpendLimit429, december(), december()),
        (Scenario::ContractLimit429, december(), december()),
    ] {
        let (outcome, _) = tested(&simulator, scenario, Full).await;
        let until = outcome.verdict.rate_limited_until.unwrap();
        assert!((from..=to).contains(&until), "{}: {until}", scenario.name());
        assert!(outcome.notes.message.contains(&until.to_string()), "{}", outcome.notes.message);
    }
    let (outcome, _) = tested(&simulator, Scenario::SpendLimit400, Full).await;
    assert_eq!(outcome.verdict.rate_limited_until, None);
}

fn december() -> Timestamp {
    Timestamp::parse("2026-12-01T00:00:00Z").unwrap()
}

#[tokio::test]
async fn the_notes_name_who_answered() {
    let simulator = simulator().await;
    let (good, key) = tested(&simulator, Scenario::Good, Authentic).await;
    let call = &simulator.counts().calls(&key)[0];
    assert_eq!(good.notes.upstream_request_id.as_ref(), Some(&call.request_id));
    assert!(good.notes.organization_id.is_some() && good.notes.workspace_id.is_some());
    let other = probe(&simulator.base_url(), Duration::from_secs(5));
    let other = other.test(&secret(&super::key(Scenario::Good, 2)), Authentic, None, NOW).await;
    assert_eq!(other.notes.organization_id, good.notes.organization_id);
    assert_ne!(other.notes.workspace_id, good.notes.workspace_id);
    let (revoked, _) = tested(&simulator, Scenario::Revoked, Authentic).await;
    assert!(revoked.notes.upstream_request_id.is_some() && revoked.notes.organization_id.is_none());
    let (echo, _) = tested(&simulator, Scenario::Echo, Authentic).await;
    assert_eq!(
        (echo.notes.upstream_request_id, echo.notes.organization_id, echo.notes.workspace_id),
        (None, None, None)
    );
}

#[tokio::test]
async fn the_model_that_is_named_is_the_model_that_is_asked() {
    let simulator =
        Simulator::start(SimulatorConfig { record_bodies: true, ..held() }).await.unwrap();
    let (probe, key) =
        (probe(&simulator.base_url(), Duration::from_secs(5)), key(Scenario::Good, 1));
    let asked = ModelId::parse("claude-opus-5-5").unwrap();
    let outcome = probe.test(&secret(&key), Full, Some(&asked), NOW).await;
    assert_eq!(outcome.model_tested.as_deref(), Some("claude-opus-5-5"));
    let body = simulator.counts().calls(&key)[0].body.clone().unwrap();
    assert_eq!(
        (body["model"].as_str(), body["max_tokens"].as_u64()),
        (Some("claude-opus-5-5"), Some(1))
    );
    for parameter in ["temperature", "top_p", "top_k", "stream"] {
        assert!(body.get(parameter).is_none());
    }
    let unknown = ModelId::parse("claude-0").unwrap();
    let outcome = probe.test(&secret(&key), Model, Some(&unknown), NOW).await;
    assert_eq!((outcome.verdict.status, outcome.verdict.model_allowed), (Failed, No));
    assert!(outcome.notes.message.contains("claude-0"));
}

#[tokio::test]
async fn an_unreachable_address_proves_nothing_about_the_key() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let key = key(Scenario::Good, 1);
    for level in LEVELS {
        let outcome = probe(&format!("http://{address}"), Duration::from_secs(5))
            .test(&secret(&key), level, None, NOW)
            .await;
        let verdict = &outcome.verdict;
        assert_eq!(
            (verdict.status, verdict.authentic, verdict.upstream_status),
            (Inconclusive, Unknown, None)
        );
        assert!(!format!("{outcome:?}").contains(&address.to_string()));
    }
}

#[tokio::test]
async fn an_address_that_is_not_the_apis_proves_nothing_about_the_key() {
    let simulator = simulator().await;
    let key = key(Scenario::Good, 1);
    for level in LEVELS {
        let elsewhere =
            probe(&format!("{}/elsewhere", simulator.base_url()), Duration::from_secs(5));
        let outcome = elsewhere.test(&secret(&key), level, None, NOW).await;
        let verdict = &outcome.verdict;
        assert_eq!(
            (verdict.status, verdict.authentic, verdict.upstream_status),
            (Inconclusive, Unknown, Some(404))
        );
    }
}
