//! Configuration: flags before `CLAVIGER_*` variables before `claviger.toml` before defaults. The only place that reads the environment.

use crate::auth::{JwksSettings, Registration, RoleClaim, jwks_address};
use crate::credentials::EnvKeysFor;
use crate::http::edge::origins::Origins;
use crate::http::edge::peer::TrustedProxies;
use crate::live::LiveSettings;
use clap::{Args, ValueEnum};
use claviger_domain::secret::SecretText;
use claviger_domain::text::ModelId;
use claviger_store::mongo::MongoUri;
use serde::Deserialize;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file looked for where none is named.
const DEFAULT_FILE: &str = "claviger.toml";

/// Where the server listens where nothing is said.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8005);

/// A setting is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read the configuration {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file isn't TOML, or has a setting that there isn't.
    #[error("the configuration {path} is wrong: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A value that can't be.
    #[error("{name} is wrong: {reason}")]
    Value {
        /// The setting.
        name: &'static str,
        /// What to write instead.
        reason: &'static str,
    },
}

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationSetting {
    /// Everybody who can reach the server.
    Open,
    /// Nobody: `claviger user add` makes accounts.
    Closed,
}

/// Whom the environment's keys serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvKeysSetting {
    /// Every user.
    All,
    /// Administrators only.
    Admins,
    /// Nobody.
    None,
}

macro_rules! settings {
    ($($(#[$doc:meta])* $field:ident: $ty:ty = $env:literal;)+) => {
        /// Settings that any command takes, as flags or from the environment.
        #[derive(Args, Clone, Debug, Default)]
        #[command(next_help_heading = "Settings")]
        pub struct Settings {
            /// The configuration file [default: claviger.toml, if it is there]
            #[arg(long, env = "CLAVIGER_CONFIG", value_name = "FILE", global = true)]
            pub config: Option<PathBuf>,
            $($(#[$doc])* #[arg(long, env = $env, global = true, hide_env_values = true)] pub $field: Option<$ty>,)+
        }

        /// The same settings as `claviger.toml` has them.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File { $(#[serde(default)] $field: Option<$ty>,)+ }

        impl Settings {
            /// Fills what neither a flag nor a variable says from the file.
            fn or(self, file: File) -> Self {
                Self { config: self.config, $($field: self.$field.or(file.$field),)+ }
            }
        }
    };
}

settings! {
    /// Address to listen on [default: 127.0.0.1:8005]
    listen: SocketAddr = "CLAVIGER_LISTEN";
    /// Directory of the embedded store and its keys [default: ./claviger-data]
    data_dir: PathBuf = "CLAVIGER_DATA_DIR";
    /// MongoDB to keep everything in, `mongodb://…`; give an address with a password by the variable only [default: the embedded store]
    mongodb_uri: MongoUri = "CLAVIGER_MONGODB_URI";
    /// Base address of Anthropic's API [default: Anthropic's]
    anthropic_base_url: String = "CLAVIGER_ANTHROPIC_BASE_URL";
    /// File with the master keys, base64, one a line, the current one first [default: made in the data directory]
    master_keys_file: PathBuf = "CLAVIGER_MASTER_KEYS_FILE";
    /// File with the key that signs access tokens, base64 [default: made in the data directory]
    token_key_file: PathBuf = "CLAVIGER_TOKEN_KEY_FILE";
    /// Who may make an account [default: open on a loopback address, else closed]
    registration: RegistrationSetting = "CLAVIGER_REGISTRATION";
    /// Whom `ANTHROPIC_API_KEY` and `CLAUDE_API_KEY` of the server's environment serve [default: all]
    env_keys_for: EnvKeysSetting = "CLAVIGER_ENV_KEYS_FOR";
    /// Model used where none is named [default: the cheapest current one]
    model: String = "CLAVIGER_MODEL";
    /// File with the prices of tokens, in the form of src/anthropic/prices.json [default: the table that was built in]
    prices: PathBuf = "CLAVIGER_PRICES";
    /// Let runs use the operator's `claude` program [default: false]
    max_plan: bool = "CLAVIGER_MAX_PLAN";
    /// The operator's `claude` program [default: claude]
    claude_bin: PathBuf = "CLAVIGER_CLAUDE_BIN";
    /// Most calls of runs at once with one key [default: 16]
    calls_per_key: usize = "CLAVIGER_CALLS_PER_KEY";
    /// Most keys a user may have [default: 100]
    max_keys: usize = "CLAVIGER_MAX_KEYS";
    /// How long a key test may take, in milliseconds [default: 20000]
    test_timeout_ms: u64 = "CLAVIGER_TEST_TIMEOUT_MS";
    /// Answer introspection queries [default: true]
    introspection: bool = "CLAVIGER_INTROSPECTION";
    /// How long a query waits for its minPosition, in milliseconds [default: 5000]
    view_wait_ms: u64 = "CLAVIGER_VIEW_WAIT_MS";
    /// How long another process waits before it takes over what one alone may do, in milliseconds [default: 10000]
    lease_ms: u64 = "CLAVIGER_LEASE_MS";
    /// How long running requests may take to end after SIGTERM, in milliseconds [default: 20000]
    drain_ms: u64 = "CLAVIGER_DRAIN_MS";
    /// Address of the keys of an external issuer, whose tokens are then taken beside our own [default: none]
    jwks_url: String = "CLAVIGER_JWKS_URL";
    /// The issuer as its tokens name it (iss)
    jwks_issuer: String = "CLAVIGER_JWKS_ISSUER";
    /// This server as the issuer's tokens name it (aud)
    jwks_audience: String = "CLAVIGER_JWKS_AUDIENCE";
    /// The claim that says what its users may do, such as roles or `realm_access.roles` [default: none, our accounts say it]
    jwks_role_claim: String = "CLAVIGER_JWKS_ROLE_CLAIM";
    /// Pages of other origins that may use this server, `https://app.example.org`, comma between [default: its own only]
    origins: Origins = "CLAVIGER_ORIGINS";
    /// Networks of proxies whose word about the client's address counts, `10.0.0.0/8`, comma between [default: none]
    trusted_proxies: TrustedProxies = "CLAVIGER_TRUSTED_PROXIES";
    /// Address to answer /metrics on, for Prometheus; nobody asks there who they are, so let it be a private one [default: none]
    metrics_listen: SocketAddr = "CLAVIGER_METRICS_LISTEN";
    /// Changes of keys a minute for each user, tests included; 0 for no limit [default: 600]
    key_commands_per_minute: u32 = "CLAVIGER_KEY_COMMANDS_PER_MINUTE";
    /// Tests of keys a minute for each user; 0 for no limit [default: 60]
    key_tests_per_minute: u32 = "CLAVIGER_KEY_TESTS_PER_MINUTE";
    /// How long a client of a socket or stream may take nothing of what waits for it, in milliseconds [default: 30000]
    stall_ms: u64 = "CLAVIGER_STALL_MS";
    /// How often an event stream says that it is still there, in milliseconds [default: 15000]
    heartbeat_ms: u64 = "CLAVIGER_HEARTBEAT_MS";
    /// Most sockets and streams of one user at once [default: 100]
    streams_per_user: usize = "CLAVIGER_STREAMS_PER_USER";
}

/// Everything that can be configured, resolved.
#[expect(missing_debug_implementations, reason = "holds secrets")]
#[derive(Clone)]
pub struct Config {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Directory of the embedded store and its keys.
    pub data_dir: PathBuf,
    /// MongoDB to keep everything in, if not the embedded store.
    pub mongodb_uri: Option<MongoUri>,
    /// Base address of Anthropic's API, if not Anthropic's.
    pub anthropic_base_url: Option<String>,
    /// Master keys from the environment, base64, comma between.
    pub master_keys: Option<SecretText>,
    /// File with the master keys.
    pub master_keys_file: Option<PathBuf>,
    /// Token key from the environment, base64.
    pub token_key: Option<SecretText>,
    /// File with the token key.
    pub token_key_file: Option<PathBuf>,
    /// Who may make an account.
    pub registration: Registration,
    /// Whom the environment's keys serve.
    pub env_keys_for: EnvKeysFor,
    /// `ANTHROPIC_API_KEY`, if set and not empty.
    pub anthropic_api_key: Option<SecretText>,
    /// `CLAUDE_API_KEY`, if set and not empty.
    pub claude_api_key: Option<SecretText>,
    /// Model used where none is named.
    pub model: Option<ModelId>,
    /// File with the prices of tokens, if not the built-in table.
    pub prices: Option<PathBuf>,
    /// Let runs use the operator's `claude` program.
    pub max_plan: bool,
    /// The operator's `claude` program.
    pub claude_bin: PathBuf,
    /// The operator's own login for it, if there is one.
    pub claude_token: Option<SecretText>,
    /// `PATH`, for it.
    pub path: OsString,
    /// Most calls of runs at once with one key.
    pub calls_per_key: usize,
    /// Most keys a user may have.
    pub max_keys: usize,
    /// How long a key test may take.
    pub test_timeout_ms: u64,
    /// Answer introspection queries.
    pub introspection: bool,
    /// How long a query waits for its `minPosition`.
    pub view_wait_ms: u64,
    /// How long a lease lasts that nobody renews.
    pub lease_ms: u64,
    /// How long running requests may take to end.
    pub drain_ms: u64,
    /// An issuer whose users may come with its tokens.
    pub issuer: Option<IssuerConfig>,
    /// Pages of other origins that may use this server.
    pub origins: Origins,
    /// Proxies whose word about the client's address counts.
    pub trusted_proxies: TrustedProxies,
    /// Address to answer `/metrics` on.
    pub metrics_listen: Option<SocketAddr>,
    /// Changes of keys a minute for each user.
    pub key_commands_per_minute: u32,
    /// Tests of keys a minute for each user.
    pub key_tests_per_minute: u32,
    /// Bounds and times of sockets and event streams.
    pub live: LiveSettings,
}

impl Config {
    /// Resolves the settings.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting.
    pub fn load(settings: Settings) -> Result<Self, ConfigError> {
        let settings = with_file(settings)?;
        let issuer = IssuerConfig::of(&settings)?;
        let listen = settings.listen.unwrap_or(DEFAULT_LISTEN);
        let registration = match settings.registration {
            Some(RegistrationSetting::Open) => Registration::Open,
            None if listen.ip().is_loopback() => Registration::Open,
            Some(RegistrationSetting::Closed) | None => Registration::Closed,
        };
        let model = settings.model.as_deref().map(|model| {
            ModelId::parse(model).ok_or(ConfigError::Value {
                name: "model",
                reason: "write a model id such as claude-haiku-5-5",
            })
        });
        let test_timeout_ms = settings.test_timeout_ms.unwrap_or(20_000);
        if !(1..=600_000).contains(&test_timeout_ms) {
            return Err(ConfigError::Value {
                name: "test_timeout_ms",
                reason: "write 1 to 600000 milliseconds",
            });
        }
        let lease_ms = settings.lease_ms.unwrap_or(10_000);
        if !(100..=600_000).contains(&lease_ms) {
            return Err(ConfigError::Value {
                name: "lease_ms",
                reason: "write 100 to 600000 milliseconds",
            });
        }
        let claude_token = claude_token(&settings)?;
        let calls_per_key = settings.calls_per_key.unwrap_or(16);
        if !(1..=1_000).contains(&calls_per_key) {
            return Err(ConfigError::Value {
                name: "calls_per_key",
                reason: "write 1 to 1000 calls",
            });
        }
        let live = live_settings(&settings)?;
        Ok(Self {
            listen,
            data_dir: settings.data_dir.unwrap_or_else(|| PathBuf::from("claviger-data")),
            mongodb_uri: settings.mongodb_uri,
            anthropic_base_url: settings.anthropic_base_url,
            master_keys: secret_variable("CLAVIGER_MASTER_KEYS"),
            master_keys_file: settings.master_keys_file,
            token_key: secret_variable("CLAVIGER_TOKEN_KEY"),
            token_key_file: settings.token_key_file,
            registration,
            env_keys_for: match settings.env_keys_for {
                None | Some(EnvKeysSetting::All) => EnvKeysFor::All,
                Some(EnvKeysSetting::Admins) => EnvKeysFor::Admins,
                Some(EnvKeysSetting::None) => EnvKeysFor::Nobody,
            },
            anthropic_api_key: secret_variable("ANTHROPIC_API_KEY"),
            claude_api_key: secret_variable("CLAUDE_API_KEY"),
            model: model.transpose()?,
            prices: settings.prices,
            max_plan: settings.max_plan.unwrap_or(false),
            claude_bin: settings.claude_bin.unwrap_or_else(|| PathBuf::from("claude")),
            claude_token,
            path: search_path(),
            calls_per_key,
            max_keys: settings.max_keys.unwrap_or(100),
            test_timeout_ms,
            introspection: settings.introspection.unwrap_or(true),
            view_wait_ms: settings.view_wait_ms.unwrap_or(5_000),
            lease_ms,
            drain_ms: settings.drain_ms.unwrap_or(20_000),
            issuer,
            origins: settings.origins.unwrap_or_default(),
            trusted_proxies: settings.trusted_proxies.unwrap_or_default(),
            metrics_listen: settings.metrics_listen,
            key_commands_per_minute: per_minute(
                "key_commands_per_minute",
                settings.key_commands_per_minute,
                600,
            )?,
            key_tests_per_minute: per_minute(
                "key_tests_per_minute",
                settings.key_tests_per_minute,
                60,
            )?,
            live,
        })
    }
}

fn with_file(settings: Settings) -> Result<Settings, ConfigError> {
    let (path, named) = match &settings.config {
        Some(path) => (path.clone(), true),
        None => (PathBuf::from(DEFAULT_FILE), false),
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(settings.or(parse(&path, &text)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => Ok(settings),
        Err(error) => Err(ConfigError::Unreadable { path, reason: error.to_string() }),
    }
}

fn parse(path: &Path, text: &str) -> Result<File, ConfigError> {
    toml::from_str(text).map_err(|error| {
        // The error's own words quote the line or the value, which may be a secret in the wrong place: only its place is used.
        let line = error
            .span()
            .map_or(0, |span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count());
        let setting = text
            .lines()
            .nth(line)
            .and_then(|line| line.split_once('='))
            .map_or("", |(name, _)| name.trim());
        let what = if toml::from_str::<toml::Table>(text).is_err() {
            "this isn't TOML".to_owned()
        } else if !is_setting_name(setting) {
            "there is no such setting, or its value can't be".to_owned()
        } else if error.message().starts_with("unknown field") {
            format!("there is no setting {setting}")
        } else {
            format!("the value of {setting} can't be")
        };
        let reason = format!("line {}: {what} (claviger --help lists the settings)", line + 1);
        ConfigError::Malformed { path: path.to_owned(), reason }
    })
}

/// Whether a text may be shown as the name of a setting.
fn is_setting_name(text: &str) -> bool {
    (1..=30).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// An external issuer, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// Where its keys are.
    pub url: String,
    /// As its tokens name it.
    pub issuer: String,
    /// We, as its tokens name us.
    pub audience: String,
    /// Where they say what a user may do.
    pub role_claim: Option<RoleClaim>,
    /// When keys are fetched; no setting of the operator's.
    pub fetching: JwksSettings,
}

impl IssuerConfig {
    /// All of it or nothing: a token that isn't checked against an issuer and an audience says nothing.
    fn of(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let text = |setting: &Option<String>| {
            setting.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let (url, issuer, audience) =
            (text(&settings.jwks_url), text(&settings.jwks_issuer), text(&settings.jwks_audience));
        let role_claim = text(&settings.jwks_role_claim).map(|claim| {
            let reason = "write the name of a claim, or a path such as realm_access.roles";
            RoleClaim::parse(&claim).ok_or(ConfigError::Value { name: "jwks_role_claim", reason })
        });
        let role_claim = role_claim.transpose()?;
        match (url, issuer, audience) {
            (None, None, None) if role_claim.is_none() => Ok(None),
            (Some(url), Some(issuer), Some(audience)) => {
                let reason = "write the https:// address of the issuer's keys (http:// only on this machine), without a password";
                jwks_address(&url).map_err(|_| ConfigError::Value { name: "jwks_url", reason })?;
                let fetching = JwksSettings::default();
                Ok(Some(Self { url, issuer, audience, role_claim, fetching }))
            }
            _ => Err(ConfigError::Value {
                name: "jwks_url",
                reason: "set jwks_url, jwks_issuer and jwks_audience together",
            }),
        }
    }
}

/// The operator's own login for the `claude` program: without it the program can do nothing.
fn claude_token(settings: &Settings) -> Result<Option<SecretText>, ConfigError> {
    let token = secret_variable("CLAUDE_CODE_OAUTH_TOKEN");
    if settings.max_plan == Some(true) && token.is_none() {
        let reason = "set CLAUDE_CODE_OAUTH_TOKEN to the operator's own token, which `claude setup-token` makes";
        return Err(ConfigError::Value { name: "max_plan", reason });
    }
    Ok(token)
}

fn live_settings(settings: &Settings) -> Result<LiveSettings, ConfigError> {
    let mut live = LiveSettings::default();
    live.stall = settings.stall_ms.map_or(live.stall, Duration::from_millis);
    live.heartbeat = settings.heartbeat_ms.map_or(live.heartbeat, Duration::from_millis);
    live.max_per_user = settings.streams_per_user.unwrap_or(live.max_per_user);
    if live.stall.is_zero() || live.heartbeat.is_zero() {
        return Err(ConfigError::Value {
            name: "stall_ms or heartbeat_ms",
            reason: "write 1 or more milliseconds",
        });
    }
    Ok(live)
}

fn per_minute(name: &'static str, setting: Option<u32>, default: u32) -> Result<u32, ConfigError> {
    let setting = setting.unwrap_or(default);
    let reason = "write 1 to 60000 a minute, or 0 for no limit";
    if setting <= 60_000 { Ok(setting) } else { Err(ConfigError::Value { name, reason }) }
}

/// Where programs are found.
fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// A variable that holds a secret: never a flag, which everybody on the machine could read.
#[expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
fn secret_variable(name: &str) -> Option<SecretText> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty()).map(SecretText::new)
}

/// The access token of the command line's user, which a flag would show to everybody on the machine.
pub(crate) fn client_token() -> Option<SecretText> {
    secret_variable("CLAVIGER_TOKEN")
}

/// How a terminal may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// In colour: `NO_COLOR` isn't set.
    pub(crate) colour: bool,
    /// It knows no cursor movements, by its own word.
    pub(crate) is_dumb: bool,
}

/// How the terminal of this process may be written to.
#[expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
pub(crate) fn look() -> Look {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Look {
        colour: set("NO_COLOR").is_none(),
        is_dumb: set("TERM").is_none_or(|term| term == "dumb"),
    }
}
