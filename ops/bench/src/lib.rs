#![doc = include_str!("../README.md")]

mod append;
mod args;
mod attacks;
mod batches;
mod command;
mod error;
mod figures;
mod http;
mod live;
mod load;
mod person;
mod query;
mod runs;
mod store;
mod subject;
mod trial;

pub use append::{AppendBench, Measured, measure};
pub use attacks::{AttackBench, AttackMeasured, http2, measure_attacks, serve_nothing};
pub use batches::Batches;
pub use error::BenchError;
pub use figures::{Range, Sample, Spread};
pub use live::{LiveBench, LiveMeasured, measure_live, serve_bare_feed};
pub use load::{CONTENT_BYTES, run};
pub use query::{BareRows, QueryBench, QueryMeasured, measure_queries, serve_bare_keys};
pub use runs::{RunBench, RunMeasured, measure_runs, serve_upstream};
pub use store::{MongoGround, SqliteGround, SqliteRows};
pub use subject::Cores;
pub use trial::{Bare, Ground, Trial};

use clap::Parser as _;
use claviger::cli::CliError;
use std::process::ExitCode;

/// Runs `claviger-bench` on the process's arguments.
pub fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    claviger::system::telemetry::start(arguments.log.as_deref(), true, false);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return CliError::from(error).report(arguments.json),
    };
    match runtime.block_on(command::run(&arguments)) {
        Ok(code) => code,
        Err(error) => error.report(arguments.json),
    }
}
