//! Parts of the program that follow from the configuration alone.

use super::config::{Config, IssuerConfig};
use crate::anthropic::probe::KeyProbe;
use crate::auth::{
    Auth, AuthConfig, AuthPorts, ExternalIssuer, Jwks, JwksError, Passwords, Registration, TokenKey,
};
use crate::bus::{Bus, BusConfig, BusPorts};
use crate::credentials::CredentialPolicy;
use crate::limits::{CommandLimit, CommandLimits};
use crate::system::metrics::Metrics;
use claviger_application::{CommandGroup, KeyCommand, ServerInfo};
use claviger_domain::text::ModelId;
use std::sync::Arc;
use tokio_util::task::TaskTracker;

pub(super) fn command_bus(
    config: &Config,
    ports: BusPorts,
    (probe, test_model): (KeyProbe, ModelId),
    (metrics, tracker): (&Metrics, &TaskTracker),
) -> Arc<Bus> {
    let config = BusConfig {
        max_keys: config.max_keys,
        test_timeout_ms: config.test_timeout_ms,
        test_model,
        is_issuer_trusted: config.issuer.as_ref().is_some_and(|issuer| issuer.role_claim.is_none()),
        metrics: metrics.clone(),
    };
    Bus::new(ports, probe, config, tracker.clone())
}

pub(super) fn authentication(
    config: &Config,
    ports: AuthPorts,
    (token_key, issuer): (TokenKey, Option<ExternalIssuer>),
    tracker: &TaskTracker,
) -> Auth {
    let entropy = Arc::clone(&ports.env.entropy);
    let at_once = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let passwords = Passwords::new(at_once, entropy, tracker.clone());
    let auth_config = AuthConfig {
        registration: config.registration,
        registrations_per_hour: config.registrations_per_hour,
        sign_ins_per_minute: config.sign_ins_per_minute,
        ..AuthConfig::default()
    };
    let auth = Auth::new(ports, passwords, token_key, auth_config);
    match issuer {
        Some(issuer) => auth.with_issuer(issuer),
        None => auth,
    }
}

pub(super) fn external_issuer(
    config: &IssuerConfig,
    tracker: &TaskTracker,
) -> Result<ExternalIssuer, JwksError> {
    let jwks = Jwks::new(&config.url, config.fetching, tracker.clone())?;
    let IssuerConfig { issuer, audience, role_claim, .. } = config.clone();
    Ok(ExternalIssuer::new((issuer, audience), role_claim, jwks))
}

/// The limits for the faces that serve users.
pub(super) fn command_limits(config: &Config) -> CommandLimits {
    CommandLimits::new([
        CommandLimit {
            covers: |kind| kind == KeyCommand::TEST,
            per_minute: config.key_tests_per_minute,
            refusal: "too many key tests",
        },
        CommandLimit {
            covers: |kind| kind.group == CommandGroup::Key,
            per_minute: config.key_commands_per_minute,
            refusal: "too many key changes",
        },
        CommandLimit {
            covers: |kind| kind.group == CommandGroup::Run,
            per_minute: config.run_commands_per_minute,
            refusal: "too many commands on orchestrations",
        },
    ])
    .with_bytes_per_day(config.run_bytes_per_day)
}

pub(super) fn policy(config: &Config) -> CredentialPolicy {
    CredentialPolicy {
        anthropic_api_key: config.anthropic_api_key.is_some(),
        claude_api_key: config.claude_api_key.is_some(),
        env_keys_for: config.env_keys_for,
        max_plan: config.max_plan,
        max_plan_for: config.max_plan_for,
    }
}

pub(super) fn server_info(config: &Config) -> ServerInfo {
    ServerInfo {
        version: env!("CARGO_PKG_VERSION"),
        is_registration_open: config.registration == Registration::Open,
        has_issuer: config.issuer.is_some(),
        has_max_plan: config.max_plan,
    }
}
