//! `bench`: measurements against a baseline of the same run.

use super::args::{BenchAppendArgs, BenchCommand};
use super::{CliError, output};
use crate::bench::{AppendBench, BenchError, CONTENT_BYTES, Measured, Range, measure};
use crate::config::Config;
use crate::effects::Effects;
use crate::wiring;
use claviger_domain::code::ErrorCode;
use std::process::ExitCode;
use std::time::Duration;

impl From<BenchError> for CliError {
    fn from(error: BenchError) -> Self {
        Self::new(ErrorCode::StoreUnavailable, super::with_causes(&error))
    }
}

pub(super) async fn run(command: &BenchCommand, config: &Config, json: bool) -> Result<ExitCode, CliError> {
    let BenchCommand::Append(args) = command;
    append(args, config, json).await?;
    Ok(ExitCode::SUCCESS)
}

async fn append(args: &BenchAppendArgs, config: &Config, json: bool) -> Result<(), CliError> {
    if cfg!(debug_assertions) {
        tracing::warn!("this program was built without optimisation, so its figures mean little: cargo build --release");
    }
    if args.processes > 1 && config.mongodb_uri.is_none() {
        let message = "an embedded store has one process: give --mongodb-uri, or leave --processes out";
        return Err(CliError::new(ErrorCode::Validation, message));
    }
    let effects = Effects::system();
    let ground = wiring::bench_ground(config, args.dir.clone().unwrap_or_else(std::env::temp_dir), &effects);
    let bench = AppendBench {
        writers: args.writers.iter().map(|writers| usize::from(*writers)).collect(),
        time: Duration::from_millis(args.seconds * 1000),
        rounds: usize::from(args.rounds),
        processes: usize::from(args.processes),
    };
    let told = |round, writers| tracing::info!(round, writers, "measured");
    let measured = measure(&*ground, &bench, &effects, told).await?;
    if json {
        output::json(&measured);
        return Ok(());
    }
    let (heading, rows) = table(&measured, args.processes > 1);
    if args.markdown {
        markdown(&heading, &rows);
    } else {
        output::table(&heading, &rows);
        output::line(&format!(
            "rates are appends in a second, median of {} rounds (lowest to highest); an append is one event with {CONTENT_BYTES} sealed \
             bytes, one row of a view, one command record; bare is the same rows in the same batches without any promise",
            args.rounds
        ));
    }
    Ok(())
}

/// Heading and rows, with the columns that have something to say.
fn table(measured: &[Measured], contended: bool) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let counted = measured.iter().any(|measured| measured.counter.is_some());
    let mut heading = vec!["writers", "appends/s", "batch mean / largest", "p50 / p99 ms", "bare/s", "ratio"];
    if contended {
        heading.push("conflicts");
    }
    if counted {
        heading.extend(["counter/s", "counter p50 / p99 ms", "counter conflicts", "store is times"]);
    }
    let rows = measured.iter().map(|measured| {
        let mut row = vec![
            measured.writers.to_string(),
            whole(measured.appends_per_s),
            format!("{:.1} / {}", measured.mean_batch, measured.largest_batch),
            format!("{:.1} / {:.1}", measured.latency.p50_ms, measured.latency.p99_ms),
            whole(measured.bare_per_s),
            parts(measured.ratio),
        ];
        if contended {
            row.push(measured.conflicts.to_string());
        }
        if let Some(counter) = &measured.counter {
            row.push(whole(counter.appends_per_s));
            row.push(format!("{:.1} / {:.1}", counter.latency.p50_ms, counter.latency.p99_ms));
            row.push(counter.conflicts.to_string());
            row.push(format!("{:.1}", counter.store_is_times.median));
        }
        row
    });
    (heading, rows.collect())
}

fn whole(range: Range) -> String {
    format!("{:.0} ({:.0} to {:.0})", range.median, range.low, range.high)
}

fn parts(range: Range) -> String {
    format!("{:.2} ({:.2} to {:.2})", range.median, range.low, range.high)
}

fn markdown(heading: &[&str], rows: &[Vec<String>]) {
    output::line(&format!("| {} |", heading.join(" | ")));
    output::line(&format!("|{}", "---:|".repeat(heading.len())));
    for row in rows {
        output::line(&format!("| {} |", row.join(" | ")));
    }
}
