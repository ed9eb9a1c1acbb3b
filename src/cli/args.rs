//! What can be typed.

use super::run::RunCommand;
use crate::app::config::Settings;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  claviger demo                               see what it does: users, keys, tests, on a throw-away store
  claviger serve                              serve http://127.0.0.1:8005 on ./claviger-data
  claviger user add ada --email ada@example.org --password-stdin < password
  claviger key add --user ada --name work < key.txt
  claviger key test --user ada work
  claviger run --help                         start, watch, list and stop orchestrations
  claviger replay --all --check               compare every view with the log

Exit codes: 0 done, 1 verify or replay found something, 2 wrong usage, 3 the run was cancelled, 130 interrupted, 10 and above one for each error code (see ops/docs/errors).
Every setting is a flag, a CLAVIGER_* variable, or a line of claviger.toml; flags win.";

/// Bring your own Anthropic keys: an event-sourced vault and GraphQL server for them.
#[derive(Debug, Parser)]
#[command(name = "claviger", version, after_help = EXAMPLES, max_term_width = 110)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Answer with one JSON value
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// What to log, as in `RUST_LOG` [default: info for servers, warn for the rest]
    #[arg(long, env = "CLAVIGER_LOG", global = true, value_name = "FILTER")]
    pub(super) log: Option<String>,
    /// Log one JSON object a line
    #[arg(long, env = "CLAVIGER_LOG_JSON", global = true)]
    pub(super) log_json: bool,
    #[command(flatten)]
    pub(super) settings: Settings,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve the API until SIGTERM or Ctrl-C
    Serve,
    /// Show what it does, against a simulated Anthropic, on a throw-away store; then keep serving
    Demo(DemoArgs),
    /// Run the simulated Anthropic alone
    Simulate(SimulateArgs),
    /// Manage accounts
    #[command(subcommand)]
    User(UserCommand),
    /// Manage a user's keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Start orchestrations on a server and watch them
    #[command(subcommand)]
    Run(RunCommand),
    /// Read the whole log anew and compare it with everything made from it
    Verify,
    /// Make a view anew from the log: rows that differ are mended in place, while servers go on
    Replay(ReplayArgs),
    /// Look after the vault
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Print the GraphQL schema
    Schema,
}

#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// End after the tour instead of serving on
    #[arg(long)]
    pub(super) exit: bool,
}

#[derive(Args, Debug)]
pub(super) struct SimulateArgs {
    /// Address to listen on
    #[arg(long = "at", default_value = "127.0.0.1:8006", value_name = "ADDRESS")]
    pub(super) at: SocketAddr,
    /// List the scenarios with a key for each, and end
    #[arg(long)]
    pub(super) keys: bool,
    /// Milliseconds between two pieces of a streamed text; 0 for all at once
    #[arg(long, default_value = "25", value_name = "MS")]
    pub(super) pace_ms: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RoleArg {
    /// Everything that is their own
    User,
    /// Structure and facts of all, content of none
    Auditor,
    /// An auditor who may also manage accounts
    Admin,
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Make an account
    Add(UserAddArgs),
}

#[derive(Args, Debug)]
pub(super) struct UserAddArgs {
    /// Username: 3 to 50 characters, no @
    pub(super) name: String,
    /// E-mail address
    #[arg(long)]
    pub(super) email: String,
    /// What the user may do
    #[arg(long, value_enum, default_value = "user")]
    pub(super) role: RoleArg,
    /// Name as the user writes it
    #[arg(long)]
    pub(super) full_name: Option<String>,
    /// Read the password from standard input, one line (a flag could be read by everybody on the machine)
    #[arg(long, required = true)]
    pub(super) password_stdin: bool,
}

#[derive(Args, Debug)]
pub(super) struct OfUser {
    /// Username or e-mail address of the keys' owner
    #[arg(long, value_name = "NAME")]
    pub(super) user: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LevelArg {
    /// Does Anthropic know the key? Costs nothing
    Authentic,
    /// May it use the model? Costs nothing
    Model,
    /// Is there credit? A message of one token
    Full,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// List a user's keys, newest first
    List(OfUser),
    /// Add a key; the secret comes from standard input
    Add {
        #[command(flatten)]
        of: OfUser,
        /// Name of the key
        #[arg(long)]
        name: String,
        /// Context it may become the default of
        #[arg(long, default_value = "default")]
        context: String,
        /// Become the default even if the context has one
        #[arg(long)]
        default: bool,
    },
    /// Try a key at Anthropic
    Test {
        #[command(flatten)]
        of: OfUser,
        /// Id or name of the key
        key: String,
        /// How far to go
        #[arg(long, value_enum, default_value = "full")]
        level: LevelArg,
        /// Model to try it with [default: the cheapest current one]
        #[arg(long = "with", value_name = "MODEL")]
        with: Option<String>,
    },
    /// Make a key the default of a context
    Default {
        #[command(flatten)]
        of: OfUser,
        /// Id or name of the key
        key: String,
        /// The context
        #[arg(long, default_value = "default")]
        context: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ViewArg {
    /// Keys with their defaults
    Keys,
    /// Accounts
    Accounts,
    /// Runs
    Runs,
    /// Runs that haven't ended, for whoever works on them
    #[value(name = "open_runs")]
    OpenRuns,
    /// What calls taught about keys
    Activity,
    /// What calls of runs used
    Usage,
}

#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    /// Which view
    #[arg(value_enum, required_unless_present = "all", conflicts_with = "all")]
    pub(super) view: Option<ViewArg>,
    /// Every view
    #[arg(long)]
    pub(super) all: bool,
    /// Compare only: say whose rows differ, and end with 1 if any do
    #[arg(long)]
    pub(super) check: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum VaultCommand {
    /// Which master keys are in use, and how much they protect
    Status,
    /// Bring everything under a new master key; run it again if it was cut short
    #[command(after_help = ROTATE)]
    Rotate(RotateArgs),
}

const ROTATE: &str = "\
Examples:
  claviger vault rotate                       embedded store: stop the server first; a new key is made in master.key
  CLAVIGER_MASTER_KEYS=$NEW,$OLD CLAVIGER_TOKEN_KEY=$TOKEN claviger vault rotate --mongodb-uri mongodb://db.example.org/claviger

Where you give the master keys yourself, by CLAVIGER_MASTER_KEYS or a file of yours:
  1. Add the new key (`openssl rand -base64 32`) to the list of every process, behind the old one, and restart them.
  2. Run `claviger vault rotate` with the new key first in its list. On MongoDB the servers run on.
  3. When it has ended, remove the old key from every list, and restart them. Destroy it once no backup needs it.
Ctrl-C ends it after the batch under way. What it has done stays, and the next run goes on.";

#[derive(Args, Debug)]
pub(super) struct RotateArgs {
    /// Remove the old keys from master.key at the end; backups made before need them
    #[arg(long)]
    pub(super) drop_old: bool,
}

/// Where a demo keeps its store when none is named.
pub(super) fn demo_dir(pid: u32) -> PathBuf {
    std::env::temp_dir().join(format!("claviger-demo-{pid}"))
}
