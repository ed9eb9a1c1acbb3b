//! Every setting in one list: name, type, default, the commands that read it and what it does.
//! Flags, `--help`, `claviger.toml` and `ops/docs/CONFIGURATION.md` are made from it.

use super::{ListenAddress, RegistrationSetting, SharingSetting};
use crate::anthropic::proxy::ProxyText;
use crate::http::edge::hosts::Hosts;
use crate::http::edge::origins::Origins;
use crate::http::edge::peer::TrustedProxies;
use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};
use claviger_store::address::MongoUri;
use serde::Deserialize;
use std::path::PathBuf;

/// The commands that read a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readers {
    /// For the reference.
    pub label: &'static str,
    /// Each as it is typed after `claviger`.
    pub commands: &'static [&'static str],
}

const SERVE: Readers = Readers { label: "`serve`", commands: &["serve"] };
const SERVERS: Readers = Readers { label: "`serve`, `demo`", commands: &["serve", "demo"] };
const STORE: Readers = Readers {
    label: "store",
    commands: &[
        "serve",
        "user add",
        "user list",
        "user show",
        "user deactivate",
        "user reactivate",
        "user role",
        "user password",
        "user sessions",
        "user rename",
        "key list",
        "key add",
        "key test",
        "key default",
        "verify",
        "replay",
        "vault status",
        "vault rotate",
    ],
};
const UPSTREAM: Readers =
    Readers { label: "`serve`, `key test`", commands: &["serve", "key test"] };
const TESTS: Readers =
    Readers { label: "`serve`, `demo`, `key test`", commands: &["serve", "demo", "key test"] };
const ADDING: Readers =
    Readers { label: "`serve`, `demo`, `key add`", commands: &["serve", "demo", "key add"] };
const MODEL: Readers = Readers {
    label: "`serve`, `demo`, `key test`; flag and variable: `run start`",
    commands: &["serve", "demo", "key test", "run start"],
};

/// The value of a setting that nobody sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// As if this value were written.
    Value(&'static str),
    /// What happens then, in words.
    Means(&'static str),
}

impl Unset {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Value(text) | Self::Means(text) => text,
        }
    }
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key in `claviger.toml`; the flag has dashes for its underscores.
    pub name: &'static str,
    /// The variable of the environment.
    pub variable: &'static str,
    /// Heading in `--help` and in the reference.
    pub heading: &'static str,
    /// Stands for the value in `--help`.
    pub placeholder: &'static str,
    /// What applies where nobody sets it.
    pub unset: Unset,
    /// The commands that read it.
    pub readers: Readers,
    /// One sentence, without a full stop.
    pub about: &'static str,
    parser: fn() -> ValueParser,
}

impl Setting {
    /// Whether a command, or one below it, reads the setting.
    pub fn is_read_by(&self, command: &str) -> bool {
        self.readers.commands.iter().any(|reader| is_at_or_below(reader, command))
    }

    /// The flag, with its dashes.
    pub fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    /// The flag for clap, which doesn't read the variable yet.
    pub(crate) fn argument(&self) -> Arg {
        let help = format!("{} [default: {}]", self.about, self.unset.text());
        argument(self.name, self.placeholder, self.heading, (self.parser)()).help(help)
    }
}

/// `run start` is at or below `run start`, `run` and the empty command.
fn is_at_or_below(command: &str, above: &str) -> bool {
    command
        .strip_prefix(above)
        .is_some_and(|rest| above.is_empty() || rest.is_empty() || rest.starts_with(' '))
}

/// The flag that names the configuration file. It has no key in the file.
pub(crate) fn file_argument() -> Arg {
    let help =
        "The configuration file [default: claviger.toml in the working directory, if it exists]";
    argument("config", "FILE", STORE_HEADING, clap::value_parser!(PathBuf)).help(help)
}

/// The variable that names the configuration file.
pub(crate) const FILE_VARIABLE: &str = "CLAVIGER_CONFIG";

fn argument(
    name: &'static str,
    placeholder: &'static str,
    heading: &'static str,
    parser: ValueParser,
) -> Arg {
    Arg::new(name)
        .long(name.replace('_', "-"))
        .value_name(placeholder)
        .help_heading(heading)
        .action(ArgAction::Set)
        .value_parser(parser)
        .hide_possible_values(true)
        .hide_env(true)
}

/// A value from the levels of a command line, the command itself last: its own flag, a flag before
/// it, then the variable, which only the command reads.
fn given<T: Clone + Send + Sync + 'static>(levels: &[&ArgMatches], name: &str) -> Option<T> {
    let has = |level: &&&ArgMatches| level.try_contains_id(name).is_ok_and(|found| found);
    let is_flag = |level: &&&ArgMatches| level.value_source(name) == Some(ValueSource::CommandLine);
    let holding = || levels.iter().rev().filter(has);
    let level = holding().find(is_flag).or_else(|| holding().next())?;
    level.try_get_one::<T>(name).ok().flatten().cloned()
}

const STORE_HEADING: &str = "Store";

macro_rules! settings {
    ($($heading:expr => {
        $($field:ident: $ty:ty = $variable:literal, $placeholder:literal, $unset:expr, $readers:expr,
            $about:literal;)+
    })+) => {
        /// Every setting, in the order of `--help` and of the reference.
        pub const SETTINGS: &[Setting] = &[$($(Setting {
            name: stringify!($field),
            variable: $variable,
            heading: $heading,
            placeholder: $placeholder,
            unset: $unset,
            readers: $readers,
            about: $about,
            parser: || clap::value_parser!($ty).into(),
        },)+)+];

        /// The settings as flags, variables or a file give them; `None` where they don't.
        #[derive(Clone, Debug, Default)]
        pub struct Settings {
            /// The configuration file.
            pub config: Option<PathBuf>,
            $($(pub $field: Option<$ty>,)+)+
        }

        /// The settings as `claviger.toml` has them.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct File { $($(#[serde(default)] $field: Option<$ty>,)+)+ }

        impl File {
            /// Leaves out what a command doesn't read.
            pub(super) fn only(mut self, keep: impl Fn(&str) -> bool) -> Self {
                $($(if !keep(stringify!($field)) { self.$field = None; })+)+
                self
            }
        }

        impl Settings {
            /// The flags and variables of a command line, by the levels of its commands.
            pub(crate) fn of(levels: &[&ArgMatches]) -> Self {
                Self {
                    config: given(levels, "config"),
                    $($($field: given(levels, stringify!($field)),)+)+
                }
            }

            /// Takes from the file what neither a flag nor a variable gives.
            pub(super) fn or(self, file: File) -> Self {
                Self { config: self.config, $($($field: self.$field.or(file.$field),)+)+ }
            }
        }
    };
}

use Unset::{Means, Value};

settings! {
    STORE_HEADING => {
        data_dir: PathBuf = "CLAVIGER_DATA_DIR", "DIR", Value("claviger-data"), STORE,
            "Directory of the embedded store and of the keys that are created for it";
        mongodb_uri: MongoUri = "CLAVIGER_MONGODB_URI", "URI", Means("the embedded store"), STORE,
            "MongoDB replica set that keeps everything instead, mongodb://... or mongodb+srv://...; if it has a password, use the variable";
        lease_ms: u64 = "CLAVIGER_LEASE_MS", "MS", Value("10000"), STORE,
            "How long a lease outlives its process: then another takes over its timers, views and runs; 100 to 600000";
    }
    "Keys of the vault and of tokens" => {
        master_keys_file: PathBuf = "CLAVIGER_MASTER_KEYS_FILE", "FILE",
            Means("master.key in the data directory, created with a new store"), STORE,
            "File with the master keys, base64, one a line, the current one first";
        token_key_file: PathBuf = "CLAVIGER_TOKEN_KEY_FILE", "FILE",
            Means("token.key in the data directory, created with the store"), STORE,
            "File with the key that signs access tokens, base64";
    }
    "Server" => {
        listen: ListenAddress = "CLAVIGER_LISTEN", "ADDRESS", Value("127.0.0.1:8005"), SERVERS,
            "Address to listen on; port 0 takes a free one";
        metrics_listen: ListenAddress = "CLAVIGER_METRICS_LISTEN", "ADDRESS", Means("none"), SERVERS,
            "Private address that serves /metrics to Prometheus, without authentication";
        hosts: Hosts = "CLAVIGER_HOSTS", "LIST", Means("none"), SERVERS,
            "Host names of the server besides localhost, its address and its origins', separated by commas";
        origins: Origins = "CLAVIGER_ORIGINS", "LIST", Means("the server's own origin only"), SERVERS,
            "Other origins whose pages may use the server, https://app.example.org, separated by commas";
        trusted_proxies: TrustedProxies = "CLAVIGER_TRUSTED_PROXIES", "LIST", Means("none"), SERVERS,
            "Networks of proxies whose forwarding headers are believed, 10.0.0.0/8, separated by commas";
        introspection: bool = "CLAVIGER_INTROSPECTION", "BOOL", Value("true"), SERVERS,
            "Answer introspection queries";
        view_wait_ms: u64 = "CLAVIGER_VIEW_WAIT_MS", "MS", Value("5000"), SERVERS,
            "How long a query waits for the view to reach its minPosition";
        drain_ms: u64 = "CLAVIGER_DRAIN_MS", "MS", Value("20000"), SERVERS,
            "How long requests and calls in progress may take to end after SIGTERM";
        keep_alive_ms: u64 = "CLAVIGER_KEEP_ALIVE_MS", "MS", Value("75000"), SERVERS,
            "How long an idle HTTP/1 connection is kept; longer than load balancers keep theirs; 1000 to 3600000";
        stall_ms: u64 = "CLAVIGER_STALL_MS", "MS", Value("30000"), SERVERS,
            "How long the client of a socket or stream may read nothing that waits for it; at least 1";
        heartbeat_ms: u64 = "CLAVIGER_HEARTBEAT_MS", "MS", Value("15000"), SERVERS,
            "Interval of the heartbeats of an event stream; at least 1";
    }
    "Accounts" => {
        registration: RegistrationSetting = "CLAVIGER_REGISTRATION", "WHO",
            Means("open on a loopback address without proxy, else closed"), SERVE,
            "Who may register: open (everybody) or closed (claviger user add only)";
        jwks_url: String = "CLAVIGER_JWKS_URL", "URL", Means("none"), SERVERS,
            "Keys of an external issuer, whose tokens are then accepted too; needs issuer and audience";
        jwks_issuer: String = "CLAVIGER_JWKS_ISSUER", "TEXT", Means("none"), SERVERS,
            "The issuer as its tokens name it (iss)";
        jwks_audience: String = "CLAVIGER_JWKS_AUDIENCE", "TEXT", Means("none"), SERVERS,
            "This server as the issuer's tokens name it (aud)";
        jwks_role_claim: String = "CLAVIGER_JWKS_ROLE_CLAIM", "PATH", Means("roles of the accounts"), SERVERS,
            "Claim with the roles of the issuer's users, such as roles or realm_access.roles";
    }
    "Anthropic" => {
        anthropic_base_url: String = "CLAVIGER_ANTHROPIC_BASE_URL", "URL", Means("Anthropic's"), UPSTREAM,
            "Base address of Anthropic's API";
        upstream_proxy: ProxyText = "CLAVIGER_UPSTREAM_PROXY", "URL", Means("none; those of the environment are ignored"), UPSTREAM,
            "Proxy for calls of Anthropic, http://, https:// or socks5://host:port; if it has a password, use the variable";
        env_keys_for: SharingSetting = "CLAVIGER_ENV_KEYS_FOR", "WHO", Means("all for oneself, else admins"), SERVERS,
            "Users of the server's ANTHROPIC_API_KEY and CLAUDE_API_KEY: all, admins or none";
        model: String = "CLAVIGER_MODEL", "MODEL", Means("the cheapest current one"), MODEL,
            "Model used where none is named";
        prices: PathBuf = "CLAVIGER_PRICES", "FILE", Means("the built-in table"), UPSTREAM,
            "Prices of tokens, in the form of src/anthropic/prices.json; replaces the whole built-in table";
        test_timeout_ms: u64 = "CLAVIGER_TEST_TIMEOUT_MS", "MS", Value("20000"), TESTS,
            "How long a key test may take; 1 to 600000";
        retry_budget_ms: u64 = "CLAVIGER_RETRY_BUDGET_MS", "MS", Value("600000"), SERVERS,
            "How long a call of a run is made again after failures of Anthropic's, then the run pauses; 1000 to 86400000";
        upstream_idle_ms: u64 = "CLAVIGER_UPSTREAM_IDLE_MS", "MS", Value("300000"), SERVERS,
            "How long Anthropic may be silent during a call of a run; 1000 to 3600000";
        upstream_call_ms: u64 = "CLAVIGER_UPSTREAM_CALL_MS", "MS", Value("600000"), SERVERS,
            "How long a call of a run may take, and 100 more for each token it may write; 1000 to 86400000";
        max_plan: bool = "CLAVIGER_MAX_PLAN", "BOOL", Value("false"), SERVERS,
            "Let runs without a key use the operator's claude program, which must be there; needs CLAUDE_CODE_OAUTH_TOKEN";
        max_plan_for: SharingSetting = "CLAVIGER_MAX_PLAN_FOR", "WHO", Means("all for oneself, else admins"), SERVERS,
            "Users of max_plan: admins, none, or all for oneself";
        claude_bin: PathBuf = "CLAVIGER_CLAUDE_BIN", "PROGRAM", Value("claude"), SERVERS,
            "The claude program, a path or a name on PATH";
        max_plan_user: String = "CLAVIGER_MAX_PLAN_USER", "UID:GID", Means("the server's own, confined by Landlock"), SERVERS,
            "User and group that the claude program runs as, by number; needs a server that runs as root, and max_plan_dir";
        max_plan_dir: PathBuf = "CLAVIGER_MAX_PLAN_DIR", "DIR", Means("`claude` in the data directory"), SERVERS,
            "Settings of the claude program, in a directory for each user";
    }
    "Limits" => {
        calls_per_key: usize = "CLAVIGER_CALLS_PER_KEY", "N", Value("16"), SERVERS,
            "Concurrent calls of runs with one key; 1 to 1000";
        runs_at_once: usize = "CLAVIGER_RUNS_AT_ONCE", "N", Value("1000"), SERVERS,
            "Runs in progress at a time, of all users; 1 to 100000";
        run_commands_per_minute: u32 = "CLAVIGER_RUN_COMMANDS_PER_MINUTE", "N", Value("3000"), SERVERS,
            "Commands on runs per user and minute; 1 to 60000, or 0 for no limit";
        run_bytes_per_day: u64 = "CLAVIGER_RUN_BYTES_PER_DAY", "BYTES", Value("1073741824"), SERVERS,
            "Bytes of a user's commands on runs in a day; 16777216 to 1099511627776, or 0 for no limit";
        max_keys: usize = "CLAVIGER_MAX_KEYS", "N", Value("100"), ADDING,
            "Keys of one user";
        key_commands_per_minute: u32 = "CLAVIGER_KEY_COMMANDS_PER_MINUTE", "N", Value("600"), SERVERS,
            "Changes of keys per user and minute, tests included; 1 to 60000, or 0 for no limit";
        key_tests_per_minute: u32 = "CLAVIGER_KEY_TESTS_PER_MINUTE", "N", Value("60"), SERVERS,
            "Tests of keys per user and minute; 1 to 60000, or 0 for no limit";
        registrations_per_hour: u32 = "CLAVIGER_REGISTRATIONS_PER_HOUR", "N", Value("20"), SERVERS,
            "New accounts from one address and hour, but from this machine; 0 for no limit";
        sign_ins_per_minute: u32 = "CLAVIGER_SIGN_INS_PER_MINUTE", "N", Value("60"), SERVERS,
            "Sign-ins from one address and minute, but from this machine; 0 for no limit";
        streams_per_user: usize = "CLAVIGER_STREAMS_PER_USER", "N", Value("100"), SERVERS,
            "Concurrent sockets and event streams of one user";
        stream_memory_mib: usize = "CLAVIGER_STREAM_MEMORY_MIB", "MIB", Value("256"), SERVERS,
            "Memory for all sockets and event streams of signed-in users; one user gets an eighth; 64 to 1048576";
        request_memory_mib: usize = "CLAVIGER_REQUEST_MEMORY_MIB", "MIB", Value("128"), SERVERS,
            "Memory for all requests that arrive or are worked on; one address gets a quarter; 64 to 1048576";
    }
}
