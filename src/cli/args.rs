//! The arguments of every command. [`super::settings`] adds the settings that it reads.

use super::help;
use super::run::RunCommand;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
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
    #[command(subcommand, after_help = help::USER_ADD)]
    User(UserCommand),
    /// Manage a user's keys
    #[command(subcommand, after_help = help::KEY)]
    Key(KeyCommand),
    /// Start orchestrations on a server and watch them
    #[command(subcommand)]
    Run(RunCommand),
    /// Check the whole log, and compare the views with it
    #[command(after_help = help::VERIFY)]
    Verify,
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
    /// Measure this program on this machine, against a baseline of the same run
    #[command(subcommand)]
    Bench(BenchCommand),
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
    pub(super) at: SocketAddr,
    /// List the scenarios with a key for each, and end
    #[arg(long)]
    pub(super) keys: bool,
    /// Milliseconds between two pieces of a streamed text; 0 sends them at once
    #[arg(long, default_value = "25", value_name = "MS")]
    pub(super) pace_ms: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RoleArg {
    /// Everything of their own
    User,
    /// Structure and facts of everybody's, no content
    Auditor,
    /// An auditor who may also manage accounts
    Admin,
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Create an account
    #[command(after_help = help::USER_ADD)]
    Add(UserAddArgs),
}

#[derive(Args, Debug)]
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
    /// Read the password from standard input, one line (everybody on the machine could read a flag)
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
    /// Anthropic accepts the key; costs nothing
    Authentic,
    /// The key may use the model; costs nothing
    Model,
    /// There is credit; costs a message of one token
    Full,
}

#[derive(Debug, Subcommand)]
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

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ViewArg {
    /// Keys with their defaults
    Keys,
    /// Accounts
    Accounts,
    /// Runs
    Runs,
    /// Runs that have not ended, for the engine
    #[value(name = "open_runs")]
    OpenRuns,
    /// Calls and faults of each key
    Activity,
    /// Tokens and costs of runs
    Usage,
}

#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    /// keys, accounts, runs, `open_runs`, activity or usage
    #[arg(
        value_enum,
        hide_possible_values = true,
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub(super) view: Option<ViewArg>,
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

#[derive(Args, Debug)]
pub(super) struct RotateArgs {
    /// Remove the old keys from master.key at the end; backups made before need them
    #[arg(long)]
    pub(super) drop_old: bool,
}

const BENCH_APPEND: &str = "\
Each append is one KeyAdded event with facts and sealed content, one row of the view of keys, one command record, to a stream of its
writer's own, durable when answered. After each measurement the rows that the store wrote are read back and inserted bare, in the same
batches, into tables (collections) with the same indexes: on SQLite by prepared INSERTs of one connection with the writer's pragmas, one
transaction a batch; on MongoDB by insert_many, w: majority and journaled. On MongoDB the same documents are then appended once more by
the same number of writers with a transaction each that counts up a counter.

Build with `cargo build --release`, and let the machine do nothing else. Everything is written to a directory claviger-bench-… that is
removed, or to databases claviger_bench_… that are dropped; drop them yourself after an interrupted run.

Examples:
  claviger bench append                                              the embedded store, in the system's temporary directory
  claviger bench append --dir . --writers 64 --rounds 5 --markdown   on this disk, as a table for a document
  claviger bench append --mongodb-uri mongodb://127.0.0.1/?replicaSet=rs0 --processes 2";

const BENCH_LIVE: &str = "\
A server of this program's own (embedded store) and, in turn, sockets over a broadcast channel, each in a process of its own; all
subscribers are in this one. An event is renameKey over HTTP: what subscribers wait begins before it is asked for, so it has the commit in
it. Before memory is looked at, the server was started anew, all have heard of one event and then of nothing for two seconds. Stalled
readers ask for answers of megabytes and read none of them. Needs as many open files as there are subscriptions.

Examples:
  claviger bench live
  claviger bench live --subscriptions 1000 --rounds 1";

const BENCH_QUERY: &str = "\
hello is { __typename }, keys is a list of ten keys; both with an access token. The handler is axum alone: it reads JSON, checks the token's
signature, reads the rows of session, account, wrapped keys and view in one transaction, and writes the facts as they are stored. It opens
nothing that is sealed. cpu is processor time of the measured process for each answer.

Examples:
  claviger bench query
  claviger bench query --connections 64 --seconds 10 --markdown";

const BENCH_ATTACKS: &str = "\
Others are connections that list keys, again as soon as they are answered. They and the attacker share a core; the server and the one that
accepts and closes share another. Aside: the attacker is aimed at the latter. Attackers are bounded in connections at a time and a second.

Examples:
  claviger bench attacks
  claviger bench attacks --only HTTP/2 --rounds 5";

const BENCH_RUNS: &str = "\
The server (embedded store) and an upstream that answers at once are processes of their own; clients are in this one. A commit is an append of
one writer alone on a store of the same kind. Each piece of text says when the upstream wrote it. While many stream, each has a subscriber
over an event stream, and the server's memory is what it grew by.

Examples:
  claviger bench runs
  claviger bench runs --streams 50 --seconds 5 --kills 3";

#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// Durable appends a second, beside bare inserts of the same rows
    #[command(after_help = BENCH_APPEND)]
    Append(BenchAppendArgs),
    /// Thousands of idle subscriptions: memory of each, how soon all hear of an event, what stalled readers cost the others
    #[command(after_help = BENCH_LIVE)]
    Live(BenchLiveArgs),
    /// Queries a second, beside a bare handler that checks the same token and reads the same rows
    #[command(after_help = BENCH_QUERY)]
    Query(BenchQueryArgs),
    /// What others wait while somebody attacks, beside the same attacker aimed at a server that does nothing
    #[command(after_help = BENCH_ATTACKS)]
    Attacks(BenchAttacksArgs),
    /// Runs: what the engine costs beside one commit and beside the upstream, how late text is while many stream, how soon a killed one goes on
    #[command(after_help = BENCH_RUNS)]
    Runs(BenchRunsArgs),
    /// A baseline in a process of its own; measurements start it
    #[command(hide = true)]
    Part(BenchPartArgs),
}

/// Where and how a server is measured.
#[derive(Args, Debug)]
pub(super) struct BenchPlaceArgs {
    /// How often everything is measured, server and baseline in turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(super) rounds: u16,
    /// Let the system say who runs on which core, instead of keeping what is measured and who measures apart
    #[arg(long)]
    pub(super) together: bool,
    /// Where the embedded store is made, and removed [default: the system's temporary directory]
    #[arg(long)]
    pub(super) dir: Option<PathBuf>,
    /// Print a table in Markdown
    #[arg(long, conflicts_with = "json")]
    pub(super) markdown: bool,
}

#[derive(Args, Debug)]
pub(super) struct BenchLiveArgs {
    /// Sockets that subscribe and then say nothing
    #[arg(long, default_value_t = 9_000, value_parser = clap::value_parser!(u16).range(1..=9_800))]
    pub(super) subscriptions: u16,
    /// Events one after the other, and then as many as fast as they can be made
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) events: u16,
    /// Readers that take nothing
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(0..=100))]
    pub(super) stalled: u16,
    #[command(flatten)]
    pub(super) place: BenchPlaceArgs,
}

#[derive(Args, Debug)]
pub(super) struct BenchQueryArgs {
    /// Keys of the user who asks
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(super) keys: u16,
    /// Connections that ask again as soon as they are answered
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) connections: u16,
    /// How long each measurement goes on
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(super) seconds: u64,
    #[command(flatten)]
    pub(super) place: BenchPlaceArgs,
}

#[derive(Args, Debug)]
pub(super) struct BenchAttacksArgs {
    /// Attacks whose names contain this [default: all]
    #[arg(long)]
    pub(super) only: Option<String>,
    /// Keys that the others list
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(super) keys: u16,
    /// Connections of the others
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) connections: u16,
    /// How long each measurement goes on
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(super) seconds: u64,
    #[command(flatten)]
    pub(super) place: BenchPlaceArgs,
}

#[derive(Args, Debug)]
pub(super) struct BenchRunsArgs {
    /// Runs one after the other, for each of the first figures
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(10..=10_000))]
    pub(super) runs: u16,
    /// Runs that stream at once
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=900))]
    pub(super) streams: u16,
    /// How long each of those streams
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub(super) seconds: u64,
    /// How often the server is killed in the middle of a run
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) kills: u16,
    /// Where the embedded store is made, and removed [default: the system's temporary directory]
    #[arg(long)]
    pub(super) dir: Option<PathBuf>,
    /// Print a table in Markdown
    #[arg(long, conflicts_with = "json")]
    pub(super) markdown: bool,
}

#[derive(Args, Debug)]
pub(super) struct BenchPartArgs {
    /// Which
    pub(super) part: BenchPart,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum BenchPart {
    /// Sockets over a broadcast channel
    Feed,
    /// A handler that reads rows
    Keys,
    /// Accepts and closes
    Nothing,
    /// Streams text that says when it was written
    Upstream,
}

#[derive(Args, Debug)]
pub(super) struct BenchAppendArgs {
    /// Numbers of writers, comma between
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,200", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) writers: Vec<u16>,
    /// How long each measurement of the store goes on
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(super) seconds: u64,
    /// How often everything is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(super) rounds: u16,
    /// How many processes would have the store open (MongoDB): writers are dealt out to them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(super) processes: u16,
    /// Where the embedded store to be measured is made, and removed [default: the system's temporary directory]
    #[arg(long)]
    pub(super) dir: Option<PathBuf>,
    /// Print a table in Markdown
    #[arg(long, conflicts_with = "json")]
    pub(super) markdown: bool,
}

/// Where a demo keeps its store when none is named.
pub(super) fn demo_dir(pid: u32) -> PathBuf {
    std::env::temp_dir().join(format!("claviger-demo-{pid}"))
}
