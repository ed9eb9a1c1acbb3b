//! Dispatches to one measurement.

use super::{append, attacks, live, part, query, runs};
use crate::args::{Arguments, Command, PlaceArgs};
use crate::{BenchError, Cores, Ground, MongoGround, SqliteGround};
use claviger::cli::CliError;
use claviger::system::environment::Environment;
use claviger_domain::code::ErrorCode;
use claviger_store::address::MongoUri;
use std::path::PathBuf;
use std::process::ExitCode;

impl From<BenchError> for CliError {
    fn from(error: BenchError) -> Self {
        Self::new(ErrorCode::StoreUnavailable, claviger::cli::with_causes(&error))
    }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let (json, program) = (arguments.json, program(arguments)?);
    match &arguments.command {
        Command::Append(args) => append::run(args, json).await?,
        Command::Live(args) => live::run(args, program, json).await?,
        Command::Query(args) => query::run(args, program, json).await?,
        Command::Attacks(args) => attacks::run(args, program, json).await?,
        Command::Runs(args) => runs::run(args, program, json).await?,
        Command::Part(args) => part::run(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The program to be measured.
fn program(arguments: &Arguments) -> Result<PathBuf, CliError> {
    match &arguments.program {
        Some(program) => Ok(std::path::absolute(program)?),
        None => Ok(std::env::current_exe()?.with_file_name("claviger")),
    }
}

/// Where temporary stores of a kind are made: on a MongoDB server, or below a directory.
pub(super) fn ground(uri: Option<&MongoUri>, below: PathBuf, env: &Environment) -> Box<dyn Ground> {
    match uri {
        Some(uri) => Box::new(MongoGround::new(uri.clone(), env.clone())),
        None => Box::new(SqliteGround::new(below, env.clone())),
    }
}

/// The environment of a server's measurement.
pub(super) struct Place {
    pub(super) program: PathBuf,
    pub(super) parts: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) name: String,
    pub(super) cores: Cores,
}

impl Place {
    pub(super) fn of(args: &PlaceArgs, program: PathBuf) -> Result<Self, CliError> {
        let dir = args.dir.clone().unwrap_or_else(std::env::temp_dir);
        let name = format!("claviger-bench-{}", Environment::system().ids.next());
        let cores = if args.together { Cores::default() } else { Cores::apart() };
        let parts = std::env::current_exe()?;
        Ok(Self { program, parts, dir: std::path::absolute(dir)?, name, cores })
    }
}
