//! `bench live`.

use super::figures::{parts, table, tenths, waits, warn_unoptimised, whole};
use super::run::Place;
use crate::args::LiveArgs;
use crate::{LiveBench, LiveMeasured, measure_live};
use claviger::cli::{CliError, output};
use claviger_domain::code::ErrorCode;
use std::path::PathBuf;
use std::time::Duration;

/// Files a process needs besides its sockets.
const OTHERS: u64 = 200;

pub(super) async fn run(args: &LiveArgs, program: PathBuf, json: bool) -> Result<(), CliError> {
    warn_unoptimised();
    let needed = u64::from(args.subscriptions) + u64::from(args.stalled) + OTHERS;
    if let Some(limit) =
        claviger::system::process::raise_open_files().filter(|limit| *limit < needed)
    {
        let message = format!(
            "{needed} open files are needed, but the system allows {limit}: raise `ulimit -n`, or \
             use fewer subscriptions"
        );
        return Err(CliError::new(ErrorCode::Validation, message));
    }
    let Place { program, parts: baselines, dir, name, cores } = Place::of(&args.place, program)?;
    let bench = LiveBench {
        program,
        parts: baselines,
        dir,
        name,
        subscriptions: args.subscriptions.into(),
        events: args.events.into(),
        stalled: args.stalled.into(),
        rounds: args.place.rounds.into(),
        settle: Duration::from_secs(2),
        cores,
    };
    let measured = measure_live(&bench, |round| tracing::info!(round, "measured")).await?;
    if json {
        output::json(&measured);
        return Ok(());
    }
    table(
        &["figure", "server", "bare sockets", "server to bare"],
        &rows(&measured),
        args.place.markdown,
    );
    Ok(())
}

fn rows(measured: &LiveMeasured) -> Vec<Vec<String>> {
    let row = |figure: String, server: String, bare: String, ratio: String| {
        vec![figure, server, bare, ratio]
    };
    let none = || "-".to_owned();
    vec![
        row("KiB without any".to_owned(), whole(measured.idle_kib), none(), none()),
        row(
            format!("KiB of each of {} idle", measured.subscriptions),
            tenths(measured.kib_each),
            tenths(measured.bare_kib_each),
            none(),
        ),
        row(
            "one event to all, p50 / p99 ms".to_owned(),
            waits(measured.waits),
            waits(measured.bare_waits),
            format!("p99 {}", parts(measured.p99_is_times)),
        ),
        row(
            format!("the same beside {} stalled", measured.stalled),
            waits(measured.waits_beside_stalled),
            none(),
            format!("p99 {} of without", parts(measured.stalled_cost)),
        ),
        row("KiB of each stalled".to_owned(), tenths(measured.kib_each_stalled), none(), none()),
        row(
            "deliveries/s".to_owned(),
            whole(measured.deliveries_per_s),
            whole(measured.bare_deliveries_per_s),
            parts(measured.deliveries_ratio),
        ),
    ]
}
