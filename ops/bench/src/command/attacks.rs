//! `bench attacks`.

use super::figures::{parts, table, waits, warn_unoptimised, whole};
use super::run::Place;
use crate::args::AttacksArgs;
use crate::{AttackBench, measure_attacks};
use claviger::cli::{CliError, output};
use std::path::PathBuf;
use std::time::Duration;

pub(super) async fn run(args: &AttacksArgs, program: PathBuf, json: bool) -> Result<(), CliError> {
    warn_unoptimised();
    claviger::system::process::raise_open_files();
    let Place { program, parts: baselines, dir, name, cores } = Place::of(&args.place, program)?;
    let bench = AttackBench {
        program,
        parts: baselines,
        dir,
        name,
        keys: args.keys.into(),
        connections: args.connections.into(),
        lead: Duration::from_secs(2),
        time: Duration::from_secs(args.seconds),
        rounds: args.place.rounds.into(),
        only: args.only.clone().unwrap_or_default(),
        cores,
    };
    let told =
        |measured: &crate::AttackMeasured| tracing::info!(attack = measured.attack, "measured");
    let measured = measure_attacks(&bench, told).await?;
    if json {
        output::json(&measured);
        return Ok(());
    }
    let heading = [
        "attack",
        "connections/s",
        "others aside, p50 / p99 ms",
        "others attacked, p50 / p99 ms",
        "p99 is times",
        "answers/s is times",
        "KiB before",
        "KiB after",
    ];
    let rows: Vec<_> = measured
        .iter()
        .map(|measured| {
            vec![
                measured.attack.to_owned(),
                whole(measured.begun_per_s),
                waits(measured.aside),
                waits(measured.attacked),
                parts(measured.p99_is_times),
                parts(measured.rate),
                measured.before_kib.to_string(),
                measured.after_kib.to_string(),
            ]
        })
        .collect();
    table(&heading, &rows, args.place.markdown);
    Ok(())
}
