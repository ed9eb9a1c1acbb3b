//! The Anthropic client and the key test against the simulated upstream, over real HTTP.
#![cfg(test)]

use crate::harness::environment::NOW;
mod cases;
mod client;
mod corpus;
mod program;
mod proxies;
mod raw;
mod reports;
mod simulator;
mod stream;
mod verdicts;

use claviger::anthropic::client::{AnthropicClient, AnthropicConfig};
use claviger::anthropic::prices::PriceTable;
use claviger::anthropic::probe::{KeyProbe, KeyTestOutcome};
use claviger::simulator::Simulator;
use claviger::simulator::keys::{Scenario, key};
use claviger_domain::key_test::KeyTestLevel;
use claviger_domain::secret::SecretText;
use std::sync::Arc;
use std::time::Duration;

const LEVELS: [KeyTestLevel; 3] =
    [KeyTestLevel::Authentic, KeyTestLevel::Model, KeyTestLevel::Full];

fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn client(base_url: &str, call_timeout: Duration) -> AnthropicClient {
    AnthropicClient::new(&AnthropicConfig {
        base_url: base_url.to_owned(),
        call_timeout,
        ..AnthropicConfig::default()
    })
    .unwrap()
}

fn probe(base_url: &str, call_timeout: Duration) -> KeyProbe {
    KeyProbe::new(client(base_url, call_timeout), Arc::new(PriceTable::builtin().unwrap()))
}

/// A test of a key of this scenario, with the key.
async fn tested(
    simulator: &Simulator,
    scenario: Scenario,
    level: KeyTestLevel,
) -> (KeyTestOutcome, String) {
    let key = key(scenario, 1);
    let patience = Duration::from_secs(if scenario == Scenario::Hang { 0 } else { 20 })
        + Duration::from_millis(200);
    let outcome =
        probe(&simulator.base_url(), patience).test(&secret(&key), level, None, NOW).await;
    (outcome, key)
}

/// Whether any 12 characters in a row of the key's random end occur in the text. The scenario's
/// name before it is no secret.
fn leaks(key: &str, text: &str) -> bool {
    let end: Vec<char> = key.chars().skip(48).collect();
    end.windows(12).any(|window| text.contains(&window.iter().collect::<String>()))
}
