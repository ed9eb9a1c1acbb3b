//! The arguments of every command. [`super::settings`] adds the settings that it reads.

use super::help;
use super::run::RunCommand;
use crate::app::config::ListenAddress;
use crate::views::registry::{self, View};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Bring your own Anthropic keys: an event-sourced vault and GraphQL server for them.
#[derive(Debug, Parser)]
#[command(name = "claviger", version, after_help = help::EXAMPLES, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Print the result as one JSON value
    #[arg(long, global = true, help_heading = "Output and log")]
    pub(super) json: bool,
    /// What to log, in the syntax of `RUST_LOG` [default: info for servers, warn for the rest]
    #[arg(
        long,
        env = "CLAVIGER_LOG",
        hide_env = true,
        global = true,
        value_name = "FILTER",
        help_heading = "Output and log"
    )]
    pub(super) log: Option<String>,
    /// Log one JSON object a line
    #[arg(
        long,
        env = "CLAVIGER_LOG_JSON",
        hide_env = true,
        global = true,
        help_heading = "Output and log"
    )]
    pub(super) log_json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve the API until SIGTERM or Ctrl-C
    #[command(after_help = help::SERVE)]
    Serve,
    /// Take a tour against a simulated Anthropic, on a throw-away store; then keep serving
    #[command(after_help = help::DEMO)]
    Demo(DemoArgs),
    /// Run the simulated Anthropic alone
    #[command(after_help = help::SIMULATE)]
    Simulate(SimulateArgs),
    /// Manage accounts
    #[command(subcommand, after_help = help::USER)]
    User(UserCommand),
    /// Manage a user's keys
    #[command(subcommand, after_help = help::KEY)]
    Key(KeyCommand),
    /// Start orchestrations on a server and watch them
    #[command(subcommand)]
    Run(RunCommand),
    /// Check the whole log, and compare the views with it
    #[command(after_help = help::VERIFY)]
    Verify(VerifyArgs),
    /// Rebuild a view from the log: rows that differ are replaced in place
    #[command(after_help = help::REPLAY)]
    Replay(ReplayArgs),
    /// Show and rotate the master keys
    #[command(subcommand, after_help = help::VAULT)]
    Vault(VaultCommand),
    /// Print the GraphQL schema
    #[command(after_help = help::SCHEMA)]
    Schema,
    /// Print the reference of all settings, in Markdown
    #[command(hide = true)]
    ConfigReference,
}

#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// End after the tour
    #[arg(long)]
    pub(super) exit: bool,
}

#[derive(Args, Debug)]
pub(super) struct SimulateArgs {
    /// Address to listen on
    #[arg(long = "at", default_value = "127.0.0.1:8006", value_name = "ADDRESS")]
    pub(super) at: ListenAddress,
    /// List the scenarios with a key for each, and end
    #[arg(long)]
    pub(super) keys: bool,
    /// Milliseconds between two pieces of a streamed text; 0 sends them at once
    #[arg(long, default_value = "25", value_name = "MS")]
    pub(super) pace_ms: u64,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, ValueEnum)]
pub(super) enum RoleArg {
    /// Everything of their own
    User,
    /// Structure and facts of everybody's, no content
    Auditor,
    /// An auditor who may also manage accounts
    Admin,
}

#[derive(Debug, Deserialize, Serialize, Subcommand)]
pub(super) enum UserCommand {
    /// Create an account
    #[command(after_help = help::USER_ADD)]
    Add(UserAddArgs),
    /// List the accounts, newest first
    #[command(after_help = help::USER)]
    List {
        /// Only accounts in this state; may be repeated
        #[arg(long, value_enum, value_name = "STATE")]
        state: Vec<StateArg>,
    },
    /// Show an account
    #[command(after_help = help::USER)]
    Show(Account),
    /// Keep a user from signing in, and end their sessions; their orchestrations pause
    #[command(after_help = help::USER)]
    Deactivate(Account),
    /// Let a user sign in again
    #[command(after_help = help::USER)]
    Reactivate(Account),
    /// Grant or revoke a role
    #[command(after_help = help::USER)]
    Role {
        #[command(flatten)]
        of: Account,
        /// Grant this role
        #[arg(long, value_enum, value_name = "ROLE", required_unless_present = "revoke")]
        grant: Option<RoleArg>,
        /// Revoke this role
        #[arg(long, value_enum, value_name = "ROLE", conflicts_with = "grant")]
        revoke: Option<RoleArg>,
    },
    /// Make the password void and print a token that sets a new one, once, within an hour
    #[command(after_help = help::USER)]
    Password(Account),
    /// List a user's sessions, newest first, or end them
    #[command(after_help = help::USER)]
    Sessions {
        #[command(flatten)]
        of: Account,
        /// End the session with this id
        #[arg(long, value_name = "ID", conflicts_with = "end_all")]
        end: Option<String>,
        /// End every session
        #[arg(long)]
        end_all: bool,
    },
    /// Change a user's names
    #[command(after_help = help::USER)]
    Rename {
        #[command(flatten)]
        of: Account,
        /// New username: 3 to 50 characters, no @
        #[arg(long)]
        username: Option<String>,
        /// New e-mail address
        #[arg(long)]
        email: Option<String>,
        /// New full name; empty removes it
        #[arg(long)]
        full_name: Option<String>,
    },
}

#[derive(Args, Debug, Deserialize, Serialize)]
pub(super) struct Account {
    /// Username, e-mail address or id
    #[arg(value_name = "USER")]
    pub(super) user: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, ValueEnum)]
pub(super) enum StateArg {
    /// May sign in
    Active,
    /// May not sign in
    Deactivated,
    /// Its content was destroyed
    Erased,
}

#[derive(Args, Debug, Deserialize, Serialize)]
pub(super) struct UserAddArgs {
    /// Username: 3 to 50 characters, no @
    pub(super) name: String,
    /// E-mail address
    #[arg(long)]
    pub(super) email: String,
    /// user, auditor (structure and facts of everybody's, no content), or admin (an auditor who may
    /// also manage accounts)
    #[arg(long, value_enum, hide_possible_values = true, default_value = "user")]
    pub(super) role: RoleArg,
    /// Full name
    #[arg(long)]
    pub(super) full_name: Option<String>,
    /// Read the password from standard input, one line (everybody on the machine could read a
    /// flag); without this, print a token that sets one
    #[arg(long)]
    pub(super) password_stdin: bool,
}

#[derive(Args, Debug, Deserialize, Serialize)]
pub(super) struct OfUser {
    /// Username or e-mail address of the keys' owner
    #[arg(long, value_name = "NAME")]
    pub(super) user: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, ValueEnum)]
pub(super) enum LevelArg {
    /// Anthropic accepts the key; costs nothing
    Authentic,
    /// The key may use the model; costs nothing
    Model,
    /// There is credit; costs a message of one token
    Full,
}

#[derive(Debug, Deserialize, Serialize, Subcommand)]
pub(super) enum KeyCommand {
    /// List a user's keys, newest first
    #[command(after_help = help::KEY)]
    List(OfUser),
    /// Add a key; the secret comes from standard input
    #[command(after_help = help::KEY)]
    Add {
        #[command(flatten)]
        of: OfUser,
        /// Name of the key
        #[arg(long)]
        name: String,
        /// Context whose default it may become
        #[arg(long, default_value = "default")]
        context: String,
        /// Become the default even if the context has one
        #[arg(long)]
        default: bool,
    },
    /// Test a key at Anthropic
    #[command(after_help = help::KEY)]
    Test {
        #[command(flatten)]
        of: OfUser,
        /// Id or name of the key
        key: String,
        /// authentic (Anthropic accepts the key), model (it may use the model) or full (there is
        /// credit; costs a message of one token, the others nothing)
        #[arg(long, value_enum, hide_possible_values = true, default_value = "full")]
        level: LevelArg,
        /// Model of this test [default: that of --model]
        #[arg(long = "with", value_name = "MODEL")]
        with: Option<String>,
    },
    /// Make a key the default of a context
    #[command(after_help = help::KEY)]
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

/// The names of the views, as `keys, accounts or runs`.
fn view_names() -> String {
    let names: Vec<&str> = registry::ALL.iter().map(|view| view.name()).collect();
    match names.split_last() {
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Takes the name of a view.
fn view_parser() -> impl TypedValueParser<Value = &'static View> {
    let values =
        registry::ALL.iter().map(|view| PossibleValue::new(view.name()).help(view.about()));
    PossibleValuesParser::new(values)
        .try_map(|name| registry::named(&name).ok_or("is not the name of a view"))
}

#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    /// While a server runs on the embedded store, have it verify the store as it is now
    #[arg(long)]
    pub(super) live: bool,
}

#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    #[arg(
        help = view_names(),
        value_parser = view_parser(),
        hide_possible_values = true,
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub(super) view: Option<&'static View>,
    /// Every view
    #[arg(long)]
    pub(super) all: bool,
    /// Compare only, and end with exit code 1 if rows differ
    #[arg(long)]
    pub(super) check: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum VaultCommand {
    /// List the master keys in use, and how many user keys each protects
    #[command(after_help = help::VAULT)]
    Status,
    /// Move everything under a new master key; run it again if it was interrupted
    #[command(after_help = help::ROTATE)]
    Rotate(RotateArgs),
}

#[derive(Args, Debug, Deserialize, Serialize)]
pub(super) struct RotateArgs {
    /// Remove the old keys from master.key at the end; backups made before need them
    #[arg(long)]
    pub(super) drop_old: bool,
}

/// Where a demo keeps its store when none is named.
pub(super) fn demo_dir(pid: u32) -> PathBuf {
    std::env::temp_dir().join(format!("claviger-demo-{pid}"))
}
