//! What can be typed.

use super::run::RunCommand;
use crate::config::Settings;
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
  claviger bench append                       how many appends a second, beside bare inserts

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
    /// Measure this program on this machine, against a baseline of the same run
    #[command(subcommand)]
    Bench(BenchCommand),
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
