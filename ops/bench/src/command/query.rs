//! `bench query`.

use super::figures::{parts, table, waits, warn_unoptimised, whole};
use super::run::Place;
use crate::args::QueryArgs;
use crate::{QueryBench, measure_queries};
use claviger::cli::{CliError, output};
use std::path::PathBuf;
use std::time::Duration;

pub(super) async fn run(args: &QueryArgs, program: PathBuf, json: bool) -> Result<(), CliError> {
    warn_unoptimised();
    let Place { program, parts: baselines, dir, name, cores } = Place::of(&args.place, program)?;
    let bench = QueryBench {
        program,
        parts: baselines,
        dir,
        name,
        keys: args.keys.into(),
        connections: args.connections.into(),
        time: Duration::from_secs(args.seconds),
        rounds: args.place.rounds.into(),
        cores,
    };
    let measured = measure_queries(&bench, |round| tracing::info!(round, "measured")).await?;
    if json {
        output::json(&measured);
        return Ok(());
    }
    let heading = [
        "query",
        "answers/s",
        "handler/s",
        "ratio",
        "p50 / p99 ms",
        "handler p50 / p99 ms",
        "cpu us",
        "handler cpu us",
    ];
    let rows: Vec<_> = measured
        .iter()
        .map(|measured| {
            vec![
                measured.query.to_owned(),
                whole(measured.per_s),
                whole(measured.bare_per_s),
                parts(measured.ratio),
                waits(measured.waits),
                waits(measured.bare_waits),
                whole(measured.cpu_us),
                whole(measured.bare_cpu_us),
            ]
        })
        .collect();
    table(&heading, &rows, args.place.markdown);
    Ok(())
}
