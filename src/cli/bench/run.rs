//! Dispatches to one measurement.

use super::{append, attacks, live, part, query, runs};
use crate::bench::{BenchError, Cores};
use crate::cli::CliError;
use crate::cli::args::{BenchCommand, BenchPlaceArgs};
use crate::config::Config;
use crate::effects::Effects;
use claviger_domain::code::ErrorCode;
use std::path::PathBuf;
use std::process::ExitCode;

impl From<BenchError> for CliError {
    fn from(error: BenchError) -> Self {
        Self::new(ErrorCode::StoreUnavailable, crate::cli::with_causes(&error))
    }
}

pub(in crate::cli) async fn run(
    command: &BenchCommand,
    config: &Config,
    json: bool,
) -> Result<ExitCode, CliError> {
    match command {
        BenchCommand::Append(args) => append::run(args, config, json).await?,
        BenchCommand::Live(args) => live::run(args, json).await?,
        BenchCommand::Query(args) => query::run(args, json).await?,
        BenchCommand::Attacks(args) => attacks::run(args, json).await?,
        BenchCommand::Runs(args) => runs::run(args, config, json).await?,
        BenchCommand::Part(args) => part::run(args, config).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The environment of a server's measurement.
pub(super) struct Place {
    pub(super) program: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) name: String,
    pub(super) cores: Cores,
}

impl Place {
    pub(super) fn of(args: &BenchPlaceArgs) -> Result<Self, CliError> {
        let program = std::env::current_exe()?;
        let dir = args.dir.clone().unwrap_or_else(std::env::temp_dir);
        let name = format!("claviger-bench-{}", Effects::system().ids.next());
        let cores = if args.together { Cores::default() } else { Cores::apart() };
        Ok(Self { program, dir: std::path::absolute(dir)?, name, cores })
    }
}
