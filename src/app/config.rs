//! Configuration: flags before `CLAVIGER_*` variables before `claviger.toml` before defaults.
//! Besides the command line (`src/cli`), nothing else reads the environment.

mod file;
mod given;
mod issuer;
mod listen;
mod reference;
mod settings;
mod shared;

pub use given::Given;
pub use issuer::IssuerConfig;
pub use listen::{ListenAddress, ListenAddressError};
pub use reference::reference;
pub(crate) use settings::{FILE_VARIABLE, file_argument};
pub use settings::{Readers, SETTINGS, Setting, Settings, Unset};

use crate::anthropic::proxy::{ProxyText, UpstreamProxy, UpstreamProxyError};
use crate::auth::Registration;
use crate::credentials::Sharing;
use crate::http::edge::hosts::Hosts;
use crate::http::edge::origins::Origins;
use crate::http::edge::peer::TrustedProxies;
use crate::limits::MemorySettings;
use crate::live::{LiveSettings, share_of};
use clap::ValueEnum;
use claviger_domain::secret::SecretText;
use claviger_domain::text::ModelId;
use claviger_store::address::MongoUri;
use serde::Deserialize;
use shared::Shared;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8005);

/// The bounds of a rate; 0 is no limit.
const RATES: (u32, Option<u32>) = (0, Some(60_000));

/// A setting that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration file {path} cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Somebody else can write what stands in the file, and nobody named it.
    #[error(
        "the configuration file {path} in the working directory belongs to another user, or others can write to it: \
         make it yours (chown, chmod go-w), or name it with --config"
    )]
    Untrusted { path: PathBuf },
    /// Not TOML, an unknown name, or a value of the wrong type. The place never quotes a value.
    #[error("the configuration file {path} is invalid: {place}")]
    Malformed { path: PathBuf, place: String },
    /// A number out of its bounds.
    #[error("{name} must be {bounds}, got {got}")]
    Range { name: &'static str, bounds: String, got: String },
    /// Any other value that is invalid; it isn't repeated, as it may be a secret in the wrong
    /// place.
    #[error("{name} must be {expected}")]
    Value { name: &'static str, expected: &'static str },
}

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationSetting {
    /// Everybody who can reach the server.
    Open,
    /// Nobody: `claviger user add` creates accounts.
    Closed,
}

/// Users whose runs may use a credential of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharingSetting {
    All,
    Admins,
    None,
}

/// Every setting, resolved and checked. What a field means stands in [`SETTINGS`].
#[expect(missing_debug_implementations, reason = "holds secrets")]
#[derive(Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    /// `None` for the embedded store.
    pub mongodb_uri: Option<MongoUri>,
    /// `None` for Anthropic's own.
    pub anthropic_base_url: Option<String>,
    /// `None` to call Anthropic directly, whatever the environment says.
    pub upstream_proxy: Option<UpstreamProxy>,
    /// `CLAVIGER_MASTER_KEYS`: base64, separated by commas. Wins over the file.
    pub master_keys: Option<SecretText>,
    pub master_keys_file: Option<PathBuf>,
    /// `CLAVIGER_TOKEN_KEY`: base64. Wins over the file.
    pub token_key: Option<SecretText>,
    pub token_key_file: Option<PathBuf>,
    pub registration: Registration,
    pub env_keys_for: Sharing,
    /// `ANTHROPIC_API_KEY`, if set and not empty.
    pub anthropic_api_key: Option<SecretText>,
    /// `CLAUDE_API_KEY`, if set and not empty.
    pub claude_api_key: Option<SecretText>,
    /// `None` for the cheapest current model.
    pub model: Option<ModelId>,
    /// `None` for the built-in table.
    pub prices: Option<PathBuf>,
    pub max_plan: bool,
    pub max_plan_for: Sharing,
    pub claude_bin: PathBuf,
    /// `CLAUDE_CODE_OAUTH_TOKEN`: the operator's own login for the `claude` program.
    pub claude_token: Option<SecretText>,
    /// This program, by which it starts the `claude` program: itself, except in tests.
    pub launcher: PathBuf,
    /// User and group of the `claude` program; `None` for the server's own.
    pub max_plan_user: Option<(u32, u32)>,
    pub max_plan_dir: Option<PathBuf>,
    /// `PATH`, for the `claude` program.
    pub path: OsString,
    pub calls_per_key: usize,
    pub max_keys: usize,
    pub test_timeout_ms: u64,
    pub calls: CallTimes,
    pub introspection: bool,
    pub view_wait_ms: u64,
    pub lease_ms: u64,
    pub drain_ms: u64,
    pub keep_alive_ms: u64,
    pub issuer: Option<IssuerConfig>,
    pub hosts: Hosts,
    pub origins: Origins,
    pub trusted_proxies: TrustedProxies,
    pub metrics_listen: Option<SocketAddr>,
    pub runs_at_once: usize,
    /// 0 for no limit.
    pub run_commands_per_minute: u32,
    /// 0 for no limit.
    pub run_bytes_per_day: u64,
    /// 0 for no limit.
    pub registrations_per_hour: u32,
    /// 0 for no limit.
    pub sign_ins_per_minute: u32,
    /// 0 for no limit.
    pub key_commands_per_minute: u32,
    /// 0 for no limit.
    pub key_tests_per_minute: u32,
    pub live: LiveSettings,
    /// For requests that arrive or are worked on, in all and of one address.
    pub request_memory: MemorySettings,
    /// What was set of the settings that a command shares with a server.
    pub given: Given,
}

impl Config {
    /// Resolves the settings, all of the file's included.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting.
    pub fn load(settings: Settings) -> Result<Self, ConfigError> {
        Self::resolve(file::fill(settings, |_| true)?, true)
    }

    /// The same for a command such as `key test`: a setting that it doesn't read stays at its
    /// default, even if the file sets it.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting.
    pub fn load_for(command: &str, settings: Settings) -> Result<Self, ConfigError> {
        let is_read = |name: &str| {
            SETTINGS.iter().any(|setting| setting.name == name && setting.is_read_by(command))
        };
        Self::resolve(file::fill(settings, is_read)?, is_read("registration"))
    }

    /// `says` is whether registration can be set.
    fn resolve(settings: Settings, says: bool) -> Result<Self, ConfigError> {
        let listen = settings.listen.map_or(DEFAULT_LISTEN, |listen| listen.0);
        let max_plan = settings.max_plan.unwrap_or(false);
        let Shared { registration, env_keys_for, max_plan_for } =
            Shared::of(&settings, listen, says)?;
        let rate = |name, per: Option<u32>, unset| within(name, per.unwrap_or(unset), RATES);
        let registrations = settings.registrations_per_hour;
        let (key_commands, run_commands) =
            (settings.key_commands_per_minute, settings.run_commands_per_minute);
        Ok(Self {
            given: Given::of(&settings),
            listen,
            issuer: IssuerConfig::of(&settings)?,
            calls: CallTimes::of(&settings)?,
            live: live_settings(&settings)?,
            registration,
            env_keys_for,
            max_plan_for,
            request_memory: request_memory(&settings)?,
            model: settings.model.as_deref().map(model).transpose()?,
            data_dir: settings.data_dir.unwrap_or_else(|| PathBuf::from("claviger-data")),
            mongodb_uri: settings.mongodb_uri,
            anthropic_base_url: settings.anthropic_base_url,
            upstream_proxy: upstream_proxy(settings.upstream_proxy.as_ref(), max_plan)?,
            master_keys: secret_variable("CLAVIGER_MASTER_KEYS"),
            master_keys_file: settings.master_keys_file,
            token_key: secret_variable("CLAVIGER_TOKEN_KEY"),
            token_key_file: settings.token_key_file,
            anthropic_api_key: secret_variable("ANTHROPIC_API_KEY"),
            claude_api_key: secret_variable("CLAUDE_API_KEY"),
            prices: settings.prices,
            max_plan,
            claude_bin: settings.claude_bin.unwrap_or_else(|| PathBuf::from("claude")),
            claude_token: claude_token(max_plan)?,
            launcher: PathBuf::from(crate::confined::ITSELF),
            max_plan_user: settings.max_plan_user.as_deref().map(user_and_group).transpose()?,
            max_plan_dir: settings.max_plan_dir,
            path: search_path(),
            calls_per_key: within(
                "calls_per_key",
                settings.calls_per_key.unwrap_or(16),
                (1, Some(1_000)),
            )?,
            runs_at_once: runs_at_once(settings.runs_at_once)?,
            run_commands_per_minute: rate("run_commands_per_minute", run_commands, 3_000)?,
            run_bytes_per_day: run_bytes_per_day(settings.run_bytes_per_day)?,
            max_keys: settings.max_keys.unwrap_or(100),
            test_timeout_ms: within(
                "test_timeout_ms",
                settings.test_timeout_ms.unwrap_or(20_000),
                (1, Some(600_000)),
            )?,
            introspection: settings.introspection.unwrap_or(true),
            view_wait_ms: settings.view_wait_ms.unwrap_or(5_000),
            lease_ms: within(
                "lease_ms",
                settings.lease_ms.unwrap_or(10_000),
                (100, Some(600_000)),
            )?,
            drain_ms: settings.drain_ms.unwrap_or(20_000),
            keep_alive_ms: keep_alive_ms(settings.keep_alive_ms)?,
            hosts: settings.hosts.unwrap_or_default(),
            origins: settings.origins.unwrap_or_default(),
            trusted_proxies: settings.trusted_proxies.unwrap_or_default(),
            metrics_listen: settings.metrics_listen.map(|listen| listen.0),
            registrations_per_hour: rate("registrations_per_hour", registrations, 20)?,
            sign_ins_per_minute: rate("sign_ins_per_minute", settings.sign_ins_per_minute, 60)?,
            key_commands_per_minute: rate("key_commands_per_minute", key_commands, 600)?,
            key_tests_per_minute: rate("key_tests_per_minute", settings.key_tests_per_minute, 60)?,
        })
    }
}

fn runs_at_once(given: Option<usize>) -> Result<usize, ConfigError> {
    within("runs_at_once", given.unwrap_or(1_000), (1, Some(100_000)))
}

/// Times of a run's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTimes {
    /// For how long a call is made again after failures of the upstream.
    pub retry_budget_ms: u64,
    /// How long the upstream may be silent.
    pub idle_ms: u64,
    /// For a whole call, besides the time for each token.
    pub whole_ms: u64,
}

impl CallTimes {
    fn of(settings: &Settings) -> Result<Self, ConfigError> {
        let (hour, day) = (3_600_000, 86_400_000);
        let idle_ms = settings.upstream_idle_ms.unwrap_or(300_000);
        let whole_ms = settings.upstream_call_ms.unwrap_or(600_000);
        let budget_ms = settings.retry_budget_ms.unwrap_or(600_000);
        Ok(Self {
            retry_budget_ms: within("retry_budget_ms", budget_ms, (1_000, Some(day)))?,
            idle_ms: within("upstream_idle_ms", idle_ms, (1_000, Some(hour)))?,
            whole_ms: within("upstream_call_ms", whole_ms, (1_000, Some(day)))?,
        })
    }
}

/// A number between its bounds; without the upper one, any from the lower one on.
fn within<T: PartialOrd + fmt::Display>(
    name: &'static str,
    value: T,
    (least, most): (T, Option<T>),
) -> Result<T, ConfigError> {
    if value >= least && most.as_ref().is_none_or(|most| value <= *most) {
        return Ok(value);
    }
    let bounds = most.map_or(format!("at least {least}"), |most| format!("{least} to {most}"));
    Err(ConfigError::Range { name, bounds, got: value.to_string() })
}

/// A header announces it in seconds.
fn keep_alive_ms(given: Option<u64>) -> Result<u64, ConfigError> {
    within("keep_alive_ms", given.unwrap_or(75_000), (1_000, Some(3_600_000)))
}

/// A command on runs has at most some MiB: with less in a day, the largest could never pass.
fn run_bytes_per_day(setting: Option<u64>) -> Result<u64, ConfigError> {
    match setting {
        None => Ok(1 << 30),
        Some(0) => Ok(0),
        Some(bytes) => within("run_bytes_per_day", bytes, (16 << 20, Some(1 << 40))),
    }
}

fn model(text: &str) -> Result<ModelId, ConfigError> {
    let expected = "a model id such as claude-haiku-5-5";
    ModelId::parse(text).ok_or(ConfigError::Value { name: "model", expected })
}

fn user_and_group(text: &str) -> Result<(u32, u32), ConfigError> {
    let expected = "the numbers of a user and a group, such as 990:990";
    text.split_once(':')
        .and_then(|(user, group)| Some((user.parse().ok()?, group.parse().ok()?)))
        .ok_or(ConfigError::Value { name: "max_plan_user", expected })
}

fn upstream_proxy(
    given: Option<&ProxyText>,
    max_plan: bool,
) -> Result<Option<UpstreamProxy>, ConfigError> {
    let proxy = given.map(ProxyText::read).transpose();
    let proxy = proxy.map_err(|_| ConfigError::Value {
        name: "upstream_proxy",
        expected: UpstreamProxyError::FORM,
    })?;
    if max_plan && proxy.as_ref().is_some_and(UpstreamProxy::is_socks) {
        let expected = "an http or https proxy with max_plan: the claude program knows no other";
        return Err(ConfigError::Value { name: "upstream_proxy", expected });
    }
    Ok(proxy)
}

/// Without this token the `claude` program can do nothing.
fn claude_token(max_plan: bool) -> Result<Option<SecretText>, ConfigError> {
    let token = secret_variable("CLAUDE_CODE_OAUTH_TOKEN");
    if max_plan && token.is_none() {
        let expected = "false unless CLAUDE_CODE_OAUTH_TOKEN holds the operator's own token, which `claude setup-token` creates";
        return Err(ConfigError::Value { name: "max_plan", expected });
    }
    Ok(token)
}

fn live_settings(settings: &Settings) -> Result<LiveSettings, ConfigError> {
    let mut live = LiveSettings::default();
    if let Some(stall_ms) = settings.stall_ms {
        live.stall = Duration::from_millis(within("stall_ms", stall_ms, (1, None))?);
    }
    if let Some(heartbeat_ms) = settings.heartbeat_ms {
        live.heartbeat = Duration::from_millis(within("heartbeat_ms", heartbeat_ms, (1, None))?);
    }
    live.max_per_user = settings.streams_per_user.unwrap_or(live.max_per_user);
    if let Some(mib) = settings.stream_memory_mib {
        live.memory = share_of(mebibytes("stream_memory_mib", mib)?);
    }
    Ok(live)
}

/// One address may take a quarter: many clients may share it.
fn request_memory(settings: &Settings) -> Result<MemorySettings, ConfigError> {
    let mib = settings.request_memory_mib.unwrap_or(128);
    let in_all = mebibytes("request_memory_mib", mib)?;
    Ok(MemorySettings { in_all, of_one: in_all / 4 })
}

/// A setting in MiB, in bytes. Below the lower bound, not even one large request would fit.
fn mebibytes(name: &'static str, mib: usize) -> Result<usize, ConfigError> {
    Ok(within(name, mib, (64, Some(1024 * 1024)))? * 1024 * 1024)
}

fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// A variable that holds a secret: never a flag, which everybody on the machine could read.
#[expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
fn secret_variable(name: &str) -> Option<SecretText> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty()).map(SecretText::new)
}

/// The access token of `claviger run`: never a flag, which everybody on the machine could read.
pub(crate) fn client_token() -> Option<SecretText> {
    secret_variable("CLAVIGER_TOKEN")
}

/// What a terminal supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// `NO_COLOR` isn't set.
    pub(crate) colour: bool,
    /// Without cursor movements, by `TERM`.
    pub(crate) is_dumb: bool,
}

/// What the terminal of this process supports.
#[expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
pub(crate) fn look() -> Look {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Look {
        colour: set("NO_COLOR").is_none(),
        is_dumb: set("TERM").is_none_or(|term| term == "dumb"),
    }
}

#[cfg(test)]
mod tests {
    use super::settings::File;
    use super::{Config, SETTINGS, Settings, Unset};

    /// Everything that has a default value.
    fn defaults(config: &Config) -> String {
        let Config { listen, data_dir, claude_bin, live, request_memory, .. } = config;
        let numbers = [
            config.lease_ms,
            config.view_wait_ms,
            config.drain_ms,
            config.keep_alive_ms,
            config.test_timeout_ms,
        ];
        let calls = [config.calls.retry_budget_ms, config.calls.idle_ms, config.calls.whole_ms];
        let counts = [config.calls_per_key, config.max_keys, config.runs_at_once];
        let rates = [
            config.key_commands_per_minute,
            config.key_tests_per_minute,
            config.run_commands_per_minute,
            config.registrations_per_hour,
            config.sign_ins_per_minute,
        ];
        let bytes = config.run_bytes_per_day;
        let switches = [config.introspection, config.max_plan];
        format!(
            "{listen} {data_dir:?} {claude_bin:?} {live:?} {request_memory:?} {numbers:?} {calls:?} {counts:?} {rates:?} {bytes} {switches:?}"
        )
    }

    #[test]
    fn the_defaults_in_the_list_are_those_that_apply() {
        let lines = SETTINGS.iter().filter_map(|setting| match setting.unset {
            Unset::Means(_) => None,
            Unset::Value(value)
                if value.parse::<u64>().is_ok() || value.parse::<bool>().is_ok() =>
            {
                Some(format!("{} = {value}\n", setting.name))
            }
            Unset::Value(value) => Some(format!("{} = \"{value}\"\n", setting.name)),
        });
        let lines = lines.collect::<String>();
        assert!(lines.lines().count() > 15, "{lines}");
        let file: File = toml::from_str(&lines).unwrap();
        let listed = Config::resolve(Settings::default().or(file), true)
            .unwrap_or_else(|error| panic!("{error}"));
        let unset =
            Config::resolve(Settings::default(), true).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(defaults(&listed), defaults(&unset));
    }

    #[test]
    fn the_names_of_a_setting_are_one_name() {
        for setting in SETTINGS {
            let name = setting.name.to_uppercase();
            assert_eq!(setting.variable, format!("CLAVIGER_{name}"));
        }
    }
}
