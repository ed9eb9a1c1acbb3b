//! What the client must never do with a key, and where its patience ends.

use super::{LEVELS, client, leaks, probe, secret};
use crate::harness::environment::NOW;
use crate::harness::upstream::{held, simulator};
use claviger::anthropic::client::SHORT_ANSWER_MAX;
use claviger::anthropic::error::{FailureClass, Malformed};
use claviger::simulator::counts::Endpoint;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Raw, Refusal};
use claviger::simulator::{Simulator, SimulatorConfig};
use claviger_domain::key_test::{KeyTestLevel, KeyTestStatus};
use claviger_domain::text::ModelId;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_redirect_takes_the_key_nowhere() {
    let elsewhere = simulator().await;
    for status in [301, 302, 303, 307, 308] {
        for level in LEVELS {
            let simulator = simulator().await;
            let (key, location) =
                (key(Scenario::Good, 1), format!("{}/v1/models", elsewhere.base_url()));
            simulator.script().push(
                &key,
                Act::Raw(Raw { status, headers: vec![("location", location)], body: Vec::new() }),
            );
            let outcome =
                probe(&simulator.base_url(), PATIENCE).test(&secret(&key), level, None, NOW).await;
            assert_eq!(
                (outcome.verdict.status, outcome.verdict.upstream_status),
                (KeyTestStatus::Inconclusive, Some(status))
            );
            assert_eq!(simulator.counts().total(), 1);
        }
    }
    let simulator =
        Simulator::start(SimulatorConfig { redirect_to: elsewhere.base_url(), ..held() })
            .await
            .unwrap();
    let key = secret(&key(Scenario::Redirect, 1));
    probe(&simulator.base_url(), PATIENCE).test(&key, KeyTestLevel::Full, None, NOW).await;
    assert_eq!((simulator.counts().total(), elsewhere.counts().total()), (1, 0));
}

#[tokio::test]
async fn the_good_key_passes_every_level() {
    let simulator = simulator().await;
    let key = key(Scenario::Good, 1);
    for level in LEVELS {
        let outcome =
            probe(&simulator.base_url(), PATIENCE).test(&secret(&key), level, None, NOW).await;
        assert_eq!(outcome.verdict.status, KeyTestStatus::Success);
    }
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_ignored() {
    let proxy = simulator().await;
    // The test above, in a process whose environment names a proxy: that one must see nothing.
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "upstream::client::the_good_key_passes_every_level"])
        .env_remove("NO_PROXY")
        .env_remove("no_proxy");
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    {
        child.env(name, proxy.base_url());
    }
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(proxy.counts().total(), 0);
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_cap() {
    let simulator = simulator().await;
    let (client, key) = (client(&simulator.base_url(), PATIENCE), key(Scenario::Good, 1));
    for (length, fits) in [(SHORT_ANSWER_MAX, true), (SHORT_ANSWER_MAX + 1, false)] {
        let mut body = b"{\"data\":[]}".to_vec();
        body.resize(length, b' ');
        simulator.script().push(&key, Act::Raw(Raw { status: 200, headers: Vec::new(), body }));
        let answer = client.first_model(&secret(&key), NOW).await;
        let class = answer.map_err(|failure| failure.class);
        let expected = if fits { None } else { Some(FailureClass::Malformed(Malformed::TooBig)) };
        assert_eq!(class.err(), expected);
    }
    // Without an announced length the cap ends it as well, and the client hangs up long before the
    // 80 MiB.
    let huge = super::key(Scenario::Huge, 1);
    let failure = client.first_model(&secret(&huge), NOW).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Malformed(Malformed::TooBig));
    simulator.counts().wait(|counts| counts.open() == 0).await;
}

#[tokio::test]
async fn patience_ends_and_the_call_is_dropped() {
    let simulator =
        Simulator::start(SimulatorConfig { slow_delay: Duration::from_mins(1), ..held() })
            .await
            .unwrap();
    for scenario in [Scenario::Hang, Scenario::Slow] {
        let key = key(scenario, 1);
        let probe = probe(&simulator.base_url(), Duration::from_millis(100));
        let outcome = probe.test(&secret(&key), KeyTestLevel::Full, None, NOW).await;
        assert_eq!(outcome.verdict.status, KeyTestStatus::Inconclusive);
        assert!(outcome.verdict.duration_ms >= 100 && outcome.verdict.duration_ms < 20_000);
        assert!(
            outcome.notes.message.contains("did not answer in time"),
            "{}",
            outcome.notes.message
        );
        simulator.counts().wait(|counts| counts.open() == 0).await;
        assert_eq!(simulator.counts().of(&key, Endpoint::Messages), 1);
    }
}

#[tokio::test]
async fn no_failure_shows_the_key_or_the_address() {
    let simulator = simulator().await;
    let model = ModelId::parse("claude-haiku-5-5").unwrap();
    for &scenario in Scenario::ALL {
        let (client, key) =
            (client(&simulator.base_url(), Duration::from_millis(500)), key(scenario, 1));
        let Err(failure) = client.one_token(&secret(&key), &model, NOW).await else { continue };
        let shown = format!("{failure} {failure:?} {client:?}");
        assert!(
            !leaks(&key, &shown) && !shown.contains("127.0.0.1"),
            "{}: {shown}",
            scenario.name()
        );
        assert!(std::error::Error::source(&failure).is_none());
    }
}

#[tokio::test]
async fn a_failure_knows_whether_anything_was_sent() {
    let simulator = simulator().await;
    let reset = client(&simulator.base_url(), PATIENCE)
        .first_model(&secret(&key(Scenario::Reset, 1)), NOW)
        .await
        .unwrap_err();
    assert_eq!((reset.class, reset.sent, reset.status), (FailureClass::Network, true, None));
    let address = simulator.base_url();
    simulator.stop().await;
    let refused = client(&address, PATIENCE)
        .first_model(&secret(&key(Scenario::Good, 1)), NOW)
        .await
        .unwrap_err();
    assert_eq!((refused.class, refused.sent), (FailureClass::Network, false));
    assert_eq!(refused.io, Some(std::io::ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn all_pages_of_models_are_read() {
    let simulator = simulator().await;
    let (client, key) = (client(&simulator.base_url(), PATIENCE), key(Scenario::Good, 1));
    let whole = client.models(&secret(&key), NOW).await.unwrap().body;
    assert!(
        whole.len() > 5
            && whole[0].max_output_tokens.is_some()
            && whole[0].created_at > whole[1].created_at
    );
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = client.models_page(&secret(&key), 5, after.as_ref(), NOW).await.unwrap().body;
        paged.extend(page.models);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(paged, whole);
    let before = simulator.counts().total();
    for page in [
        r#"{"data":[{"id":"claude-opus-5"}],"has_more":true,"last_id":"claude-opus-5"}"#,
        r#"{"data":[{"id":"claude-b"}],"has_more":false,"last_id":"claude-b"}"#,
    ] {
        simulator.script().push(
            &key,
            Act::Raw(Raw { status: 200, headers: Vec::new(), body: page.as_bytes().to_vec() }),
        );
    }
    let ids: Vec<_> = client
        .models(&secret(&key), NOW)
        .await
        .unwrap()
        .body
        .into_iter()
        .map(|model| model.id)
        .collect();
    assert_eq!(ids, ["claude-opus-5", "claude-b"].map(|id| ModelId::parse(id).unwrap()));
    assert_eq!(simulator.counts().total() - before, 2);
}

#[tokio::test]
async fn a_list_with_a_hole_or_without_an_end_is_no_list() {
    let simulator = simulator().await;
    let (client, key) = (client(&simulator.base_url(), PATIENCE), key(Scenario::Good, 1));
    let page = br#"{"data":[{"id":"claude-opus-5"}],"has_more":true,"last_id":"claude-opus-5"}"#;
    let endless = || Act::Raw(Raw { status: 200, headers: Vec::new(), body: page.to_vec() });
    simulator.script().push(&key, endless());
    simulator.script().push(&key, Act::Refuse(Refusal::new(529, "overloaded_error", "Overloaded")));
    assert_eq!(
        client.models(&secret(&key), NOW).await.unwrap_err().class,
        FailureClass::Overloaded
    );
    (0..20).for_each(|_| simulator.script().push(&key, endless()));
    client.models(&secret(&key), NOW).await.unwrap();
    assert_eq!(simulator.script().left(&key), 10);
}
