//! The arguments of `claviger-bench`.

use clap::{Args, Parser, Subcommand, ValueEnum};
use claviger_store::address::MongoUri;
use std::path::PathBuf;

/// Measures Claviger on this machine, against a baseline of the same run.
#[derive(Debug, Parser)]
#[command(name = "claviger-bench", version, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Answer with one JSON value
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to log, as in `RUST_LOG` [default: warn]
    #[arg(long, env = "CLAVIGER_LOG", global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// The program to be measured [default: claviger, beside this program]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
}

const ABOUT_APPEND: &str = "\
Each append is one KeyAdded event with facts and sealed content, one row of the view of keys, one command record, to a stream of its
writer's own, durable when answered. After each measurement the rows that the store wrote are read back and inserted bare, in the same
batches, into tables (collections) with the same indexes: on SQLite by prepared INSERTs of one connection with the writer's pragmas, one
transaction a batch; on MongoDB by insert_many, w: majority and journaled. On MongoDB the same documents are then appended once more by
the same number of writers with a transaction each that counts up a counter.

Build with `cargo build --release`, and let the machine do nothing else. Everything is written to a directory claviger-bench-… that is
removed, or to databases claviger_bench_… that are dropped; drop them yourself after an interrupted run.

Examples:
  claviger-bench append                                              the embedded store, in the system's temporary directory
  claviger-bench append --dir . --writers 64 --rounds 5 --markdown   on this disk, as a table for a document
  claviger-bench append --mongodb-uri mongodb://127.0.0.1/?replicaSet=rs0 --processes 2";

const ABOUT_LIVE: &str = "\
A server of this program's own (embedded store) and, in turn, sockets over a broadcast channel, each in a process of its own; all
subscribers are in this one. An event is renameKey over HTTP: what subscribers wait begins before it is asked for, so it has the commit in
it. Before memory is looked at, the server was started anew, all have heard of one event and then of nothing for two seconds. Stalled
readers ask for answers of megabytes and read none of them. Needs as many open files as there are subscriptions.

Examples:
  claviger-bench live
  claviger-bench live --subscriptions 1000 --rounds 1";

const ABOUT_QUERY: &str = "\
hello is { __typename }, keys is a list of ten keys; both with an access token. The handler is axum alone: it reads JSON, checks the token's
signature, reads the rows of session, account, wrapped keys and view in one transaction, and writes the facts as they are stored. It opens
nothing that is sealed. cpu is processor time of the measured process for each answer.

Examples:
  claviger-bench query
  claviger-bench query --connections 64 --seconds 10 --markdown";

const ABOUT_ATTACKS: &str = "\
Others are connections that list keys, again as soon as they are answered. They and the attacker share a core; the server and the one that
accepts and closes share another. Aside: the attacker is aimed at the latter. Attackers are bounded in connections at a time and a second.

Examples:
  claviger-bench attacks
  claviger-bench attacks --only HTTP/2 --rounds 5";

const ABOUT_RUNS: &str = "\
The server (embedded store) and an upstream that answers at once are processes of their own; clients are in this one. A commit is an append of
one writer alone on a store of the same kind. Each piece of text says when the upstream wrote it. While many stream, each has a subscriber
over an event stream, and the server's memory is what it grew by.

Examples:
  claviger-bench runs
  claviger-bench runs --streams 50 --seconds 5 --kills 3";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Durable appends a second, beside bare inserts of the same rows
    #[command(after_help = ABOUT_APPEND)]
    Append(AppendArgs),
    /// Thousands of idle subscriptions: memory of each, how soon all receive an event, what stalled
    /// readers cost the others
    #[command(after_help = ABOUT_LIVE)]
    Live(LiveArgs),
    /// Queries a second, beside a bare handler that checks the same token and reads the same rows
    #[command(after_help = ABOUT_QUERY)]
    Query(QueryArgs),
    /// What others wait while somebody attacks, beside the same attacker aimed at a server that
    /// does nothing
    #[command(after_help = ABOUT_ATTACKS)]
    Attacks(AttacksArgs),
    /// Runs: what the engine costs beside one commit and beside the upstream, how late text is
    /// while many stream, how soon a killed one goes on
    #[command(after_help = ABOUT_RUNS)]
    Runs(RunsArgs),
    /// A baseline in a process of its own; measurements start it
    #[command(hide = true)]
    Part(PartArgs),
}

/// Where and how a server is measured.
#[derive(Args, Debug)]
pub(crate) struct PlaceArgs {
    /// How often everything is measured, server and baseline in turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
    /// Let the system choose cores, instead of keeping the measured processes and the measuring
    /// ones apart
    #[arg(long)]
    pub(crate) together: bool,
    /// Where the embedded store is made, and removed [default: the system's temporary directory]
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Print a table in Markdown
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
}

#[derive(Args, Debug)]
pub(crate) struct LiveArgs {
    /// Sockets that subscribe and then say nothing
    #[arg(long, default_value_t = 9_000, value_parser = clap::value_parser!(u16).range(1..=9_800))]
    pub(crate) subscriptions: u16,
    /// Events one after the other, and then as many as fast as they can be made
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) events: u16,
    /// Readers that take nothing
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(0..=100))]
    pub(crate) stalled: u16,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct QueryArgs {
    /// Keys of the user who asks
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(crate) keys: u16,
    /// Connections that ask again as soon as they are answered
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) connections: u16,
    /// How long each measurement goes on
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) seconds: u64,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct AttacksArgs {
    /// Attacks whose names contain this [default: all]
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// Keys that the others list
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(crate) keys: u16,
    /// Connections of the others
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) connections: u16,
    /// How long each measurement goes on
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) seconds: u64,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct RunsArgs {
    /// Runs one after the other, for each of the first figures
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(10..=10_000))]
    pub(crate) runs: u16,
    /// Runs that stream at once
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=900))]
    pub(crate) streams: u16,
    /// How long each of those streams
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub(crate) seconds: u64,
    /// How often the server is killed in the middle of a run
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) kills: u16,
    /// Where the embedded store is made, and removed [default: the system's temporary directory]
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Print a table in Markdown
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PartArgs {
    pub(crate) part: Part,
    /// The data directory of the measured server
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Part {
    /// Sockets over a broadcast channel
    Feed,
    /// A handler that reads rows
    Keys,
    /// Accepts and closes
    Nothing,
    /// Streams text that contains the time at which it was written
    Upstream,
}

#[derive(Args, Debug)]
pub(crate) struct AppendArgs {
    /// Numbers of writers, comma between
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,200", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) writers: Vec<u16>,
    /// How long each measurement of the store goes on
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) seconds: u64,
    /// How often everything is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
    /// How many processes would have the store open (MongoDB): writers are dealt out to them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) processes: u16,
    /// MongoDB to be measured, `mongodb://…`; give an address with a password by the variable only
    /// [default: the embedded store]
    #[arg(long, env = "CLAVIGER_MONGODB_URI", hide_env_values = true)]
    pub(crate) mongodb_uri: Option<MongoUri>,
    /// Where the embedded store to be measured is made, and removed [default: the system's
    /// temporary directory]
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Print a table in Markdown
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
}
